//! Requests that the paths of protocols have counted.

use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

/// `GET /v1/requests`: the requests that were counted, the most frequent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRequests;

/// Requests of one kind, counted since the start. Scripts rely on these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// `http`, `grpc`, `postgresql`; else the name of the path.
    pub protocol: String,
    /// At which end they were seen: `server` or `client`; empty where the decoder does not tell.
    pub role: String,
    /// The process at that end.
    pub comm: String,
    /// The port of the server; 0 if it is not known.
    pub server_port: u16,
    /// What was asked for: a method, a command, a type of record.
    pub method: String,
    /// Of what: a route, a service, a table, a name.
    pub route: String,
    /// What was answered: a code, as text.
    pub status: String,
    /// How many.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Half of them took no longer, nanoseconds.
    pub p50_ns: u64,
    /// 99 of 100 took no longer, nanoseconds.
    pub p99_ns: u64,
}

/// The text of every field in the entry that sums all further kinds: there are more than `metrics.cardinality`.
pub const OTHERS: &str = "(others)";

impl Endpoint for GetRequests {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/requests";
    type Answer = Vec<Request>;
}
