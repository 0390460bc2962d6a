//! The reasons why records are not routed.

use std::sync::Arc;

/// The reasons why records are not routed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The probe writes a different record.
    #[error("its records are `struct {found}`, not `struct {expected}`")]
    Record {
        /// The struct that the probe writes.
        found: String,
        /// The struct that is routed.
        expected: &'static str,
    },
    /// The record lacks a member.
    #[error("its record has no member `{name}` of {size} bytes; build the object against bpf/l7/record.h of this host")]
    Member {
        /// The member.
        name: &'static str,
        /// Its size.
        size: u32,
    },
    /// The protocol has a lane already.
    #[error("there is a path for protocol {0} already")]
    Twice(String),
    /// The protocol has no lane.
    #[error("there is no path for protocol {0}")]
    None(String),
    /// The maximum number of lanes is reached.
    #[error("there are {max} protocols already; unload one")]
    TooMany {
        /// The maximum.
        max: usize,
    },
    /// The system did not create the thread.
    #[error("no thread for the router: {0}")]
    Thread(std::io::Error),
    /// The router has ended.
    #[error("the router of probe {0} has ended")]
    Ended(Arc<str>),
}
