//! The end of a path: kept rows are encoded on the worker's thread, and wait in a queue.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use host_model::{
    DeliveryCounters, Kept, MetricData, PathCounters, Schema, Seed, Settled, Signal, Sink, SpanKind, Threshold, TraceParent,
    unix_ns,
};

use crate::buffer::{Buffer, PARCEL_BYTES, Pool, Taken};
use crate::columns::Columns;
use crate::ids::{Identities, Known};
use crate::otlp::request::Scope;
use crate::otlp::span::{Row, ThresholdText};
use crate::otlp::{log, span};
use crate::plan::{Allowed, Plan};
use crate::ways::Ways;

/// Maximum number of plans kept: those of the generations that may be on a path at once, and the one of raw events.
const PLANS: usize = 8;

/// The sink of one path.
pub(crate) struct PathSink {
    path: Arc<str>,
    counters: Arc<DeliveryCounters>,
    scope: Arc<Scope>,
    ways: Arc<Ways>,
    allowed: Allowed,
    plans: Vec<Arc<Plan>>,
    identities: Identities,
    pool: Pool,
    encoded: Buffer,
    lines: Vec<u8>,
    thresholds: ThresholdText,
}

// === impl PathSink ===

impl PathSink {
    pub(crate) fn new(
        path: &str,
        counters: Arc<DeliveryCounters>,
        ways: Arc<Ways>,
        allowed: Allowed,
        version: &str,
        seed: &Seed,
    ) -> Self {
        Self {
            path: path.into(),
            counters,
            scope: Arc::new(Scope::new(&format!("host/{path}"), version)),
            ways,
            allowed,
            plans: Vec::new(),
            identities: Identities::new(seed, path),
            pool: Pool::default(),
            encoded: Buffer::default(),
            lines: Vec::new(),
            thresholds: ThresholdText::default(),
        }
    }

    fn plan(&mut self, schema: &Arc<Schema>) -> Arc<Plan> {
        if let Some(plan) = self.plans.iter().find(|plan| Arc::ptr_eq(&plan.schema, schema)) {
            return Arc::clone(plan);
        }
        if self.plans.len() == PLANS {
            self.plans.remove(0);
        }
        let plan = Arc::new(Plan::new(schema, &self.allowed));
        self.plans.push(Arc::clone(&plan));
        plan
    }

    /// Puts the encoded rows into their queue.
    fn hand_on(&mut self, signal: Signal, rows: u64) {
        if rows == 0 {
            return;
        }
        let Some(queue) = self.ways.queue(signal) else { return };
        let taken = self.pool.take(&mut self.encoded);
        queue.push(&self.scope, taken, rows, Some(&self.counters));
    }

    /// Puts the lines into the output's queue; without a collector they are the delivery of the rows.
    fn show(&mut self, rows: u64) {
        let Some(lines) = self.ways.lines() else { return };
        if rows == 0 {
            return;
        }
        let counters = (!self.ways.collects()).then_some(&self.counters);
        let taken = Taken::from(std::mem::take(&mut self.lines));
        match lines.budget.admit(taken.held, rows, counters) {
            Some(receipt) => lines.writer.push(taken.bytes, receipt),
            None => match counters {
                Some(counters) => counters.count(rows, Settled::QueueFull),
                None => PathCounters::add(&self.ways.shared.unseen, rows),
            },
        }
    }
}

impl Sink for PathSink {
    fn write(&mut self, kept: &Kept) {
        let plan = self.plan(&kept.schema);
        let columns = Columns::of(&kept.schema, &kept.batch);
        let signal = kept.schema.signal;
        let encodes = self.ways.queue(signal).is_some();
        let format = self.ways.lines().map(|lines| lines.format).filter(|_| signal != Signal::None);
        if !encodes && (format.is_none() || self.ways.collects()) {
            self.counters.count(columns.rows as u64, Settled::Exported);
        }
        if !encodes && format.is_none() {
            return;
        }
        let now = match kept.observed_ns {
            0 => unix_ns(),
            observed => observed.wrapping_add(kept.unix_offset_ns),
        };
        let longest = plan.longest_row(&columns);
        let (mut waiting, mut shown, mut withheld) = (0, 0, 0);
        for index in 0..columns.rows {
            let row = self.row(kept, &plan, &columns, index, now);
            withheld += row.withheld;
            if encodes {
                let (at, room) = (self.encoded.at, self.encoded.room(longest));
                self.encoded.at = match signal {
                    Signal::Log => log::encode(room, at, &plan, &columns, &row, now, &mut self.thresholds),
                    _ => span::encode(room, at, &plan, &columns, &row, &mut self.thresholds),
                };
                waiting += 1;
                if self.encoded.at >= PARCEL_BYTES {
                    self.hand_on(signal, std::mem::take(&mut waiting));
                }
            }
            if let Some(format) = format {
                format.encode(&mut self.lines, &self.path, &plan, &columns, &row);
                shown += 1;
                if self.lines.len() >= PARCEL_BYTES {
                    self.show(std::mem::take(&mut shown));
                }
            }
        }
        self.hand_on(signal, waiting);
        self.encoded.shrink();
        self.show(shown);
        if withheld > 0 {
            self.ways.shared.withheld.fetch_add(withheld, Relaxed);
        }
    }

    fn metrics(&mut self, metrics: &[MetricData]) {
        self.ways.metrics(&self.scope, metrics);
    }

    fn flush(&mut self) {
        self.ways.hurry();
    }

    fn queue(&self) -> (u64, u64) {
        self.ways.level()
    }
}

impl PathSink {
    #[inline]
    fn row(&mut self, kept: &Kept, plan: &Plan, columns: &Columns<'_>, index: usize, now: u64) -> Row {
        let parent = plan.parent.and_then(|field| TraceParent::parse(columns.text(field, index)));
        let known = Known {
            randomness: kept.randomness.get(index).copied().unwrap_or_default(),
            explicit: kept.explicit_randomness,
            parent,
            correlation: plan.correlation.map_or(0, |field| columns.number(field, index)),
            server: plan.kind.is_some_and(|field| SpanKind::of(columns.number(field, index)) == SpanKind::Server),
        };
        let unix_ns = match plan.time.map_or(0, |field| columns.number(field, index)) {
            0 => now,
            monotonic => monotonic.wrapping_add(kept.unix_offset_ns),
        };
        Row {
            index,
            ids: self.identities.of_row(known),
            unix_ns,
            threshold: kept.thresholds.get(index).copied().unwrap_or(Threshold::ALWAYS),
            withheld: if plan.withheld.is_empty() { 0 } else { plan.withheld_in(columns, index) },
        }
    }
}
