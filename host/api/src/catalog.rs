//! Every endpoint there is.

use hyper::Method;

use crate::endpoint::Endpoint;
use crate::generation::GetSlots;
use crate::plugin::{LoadPlugin, RollbackPlugin, UnloadPlugin};
use crate::probe::{GetProbes, LoadProbe, UnloadProbe};
use crate::repro::{GetRepro, GetRepros};
use crate::requests::GetRequests;
use crate::shadow::{ComparePlugin, DiscardPlugin, GetShadows, PromotePlugin, ShadowPlugin};
use crate::status::{GetPlugins, GetStatus, Stop};

/// Method and path of every endpoint: first what can be looked at, then what can be changed.
pub const ENDPOINTS: &[(Method, &str)] = &[
    of::<GetStatus>(),
    of::<GetRequests>(),
    of::<GetPlugins>(),
    of::<GetSlots>(),
    of::<GetShadows>(),
    of::<ComparePlugin>(),
    of::<GetRepros>(),
    of::<GetRepro>(),
    of::<GetProbes>(),
    of::<LoadPlugin>(),
    of::<UnloadPlugin>(),
    of::<RollbackPlugin>(),
    of::<ShadowPlugin>(),
    of::<PromotePlugin>(),
    of::<DiscardPlugin>(),
    of::<LoadProbe>(),
    of::<UnloadProbe>(),
    of::<Stop>(),
];

const fn of<E: Endpoint>() -> (Method, &'static str) {
    (E::METHOD, E::PATH)
}
