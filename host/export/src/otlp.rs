//! OTLP, written to protobuf bytes straight from columns: no struct per row stands between.

pub(crate) mod wire;
pub(crate) mod slice_writer;
pub(crate) mod vec_writer;

pub(crate) mod attribute;
pub(crate) mod span;

pub(crate) mod log;

pub(crate) mod metric;

pub(crate) mod request;

pub(crate) mod answer;
