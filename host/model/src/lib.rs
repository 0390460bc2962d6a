//! The nouns of the path and the traits of its stages, in the order of an event's path.
//!
//! A *probe* writes *records* into a ring; a *run* of them is decoded into the columns of a *batch*; a sampler gives each row a
//! *threshold*; kept rows go to an enricher and then to a *sink*. The *ledger* counts every step.
//!
//! There is no I/O here, no tokio, no wasmtime and no kernel: all higher levels depend on this crate, and it on none of them.

#![forbid(unsafe_code)]

pub mod audit;
pub mod batch;
pub mod clock;
pub mod comparison;
pub mod delivery;
pub mod fault;
pub mod layout;
pub mod ledger;
pub mod lock;
pub mod metric;
pub mod plan;
pub mod plugin;
pub mod probe;
pub mod protocol;
pub mod run;
pub mod schema;
pub mod seed;
pub mod span_kind;
pub mod stage;
pub mod stats;
pub mod text;
pub mod trace;
pub mod verdict;
pub mod worker_handle;

pub use batch::{Batch, Kept};
pub use clock::unix_ns;
pub use comparison::{Comparison, Example};
pub use delivery::{Delivery, DeliveryCounters, Settled};
pub use fault::{Fallback, Fault, FaultKind, Input, Observer};
pub use layout::{Layout, Member, MemberKind};
pub use ledger::{Ledger, PathCounters, Snapshot};
pub use lock::{Condvar, Lock, ReadWriteLock};
pub use metric::{AttributeValue, Float, Histogram, MetricData, MetricPoint, PointValue};
pub use plan::{KernelPlan, PlanError, Rule, Stats, Subject};
pub use plugin::{Digest, PluginId, Role};
pub use probe::{Filter, Probe, ProbeState};
pub use protocol::{
    Beginnings, Description, Disowned, Opinion, Recogniser, Sender, Signature, SwitchPoint, Transport, UnknownPort,
};
pub use run::Run;
pub use schema::{ColumnType, Condition, Field, FieldUse, Instrument, Metric, Schema, Sensitivity, Signal};
pub use seed::Seed;
pub use span_kind::SpanKind;
pub use stage::{
    Added, Decoded, Decoder, Enricher, KernelCounters, Looked, MapAccess, MapError, NoMaps, Plugin, Sampler, Sink, Source,
    State, TableError, Tables, Waker,
};
pub use stats::{CallStats, Health};
pub use text::printable;
pub use trace::TraceParent;
pub use verdict::{Decisions, NEVER, Threshold};
pub use worker_handle::{CommandSender, Commands, Next, WorkerHandle};
