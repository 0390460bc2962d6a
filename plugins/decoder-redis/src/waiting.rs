//! A command that waits for its reply, and a reply that waits for its command.

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};

use crate::attributes::Exchange;
use crate::reply::Reply;
use crate::vocabulary::{Code, Kind, Name};

/// A command without a reply yet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub name: Name,
    pub kind: Kind,
    pub detail: u16,
    pub arguments: u32,
}

/// A reply without a command yet: if a client writes in one thread and reads in another, the record of the write may come second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct EarlyReply {
    pub time_ns: u64,
    pub reply: Reply,
}

// === impl Waiting ===

impl Waiting {
    #[inline]
    pub(crate) fn exchange(&self, database: u16, code: Code) -> Exchange {
        Exchange { name: self.name, database, arguments: self.arguments, batch: 0, code }
    }
}
