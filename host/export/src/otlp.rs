//! OTLP, encoded as protobuf straight from columns, without a struct per row.

pub(crate) mod wire;
pub(crate) mod slice_writer;
pub(crate) mod vec_writer;

pub(crate) mod attribute;
pub(crate) mod span;

pub(crate) mod log;

pub(crate) mod metric;

pub(crate) mod request;

pub(crate) mod answer;
