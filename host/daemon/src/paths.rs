//! The paths of events: from a probe, or from a lane of the router, to the exporter.

pub(crate) mod compose;
pub(crate) mod path;
pub(crate) mod trunk;
pub(crate) mod lanes;
pub(crate) mod swap;
