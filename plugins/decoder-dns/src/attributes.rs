//! The attributes of a lookup's row, and its metrics.

use plugin_sdk::conversation::{Kept, Kind, Sheet};
use plugin_sdk::{FieldUse, Signal};

use crate::vocabulary;

/// One question, and its answer if there was one: the protocol's part of a row.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The name as asked; empty if `route` is the same.
    pub(crate) name: Kept,
    /// The name, or `*`.
    pub(crate) route: Kept,
    pub(crate) question: u16,
    pub(crate) opcode: u8,
    /// The response code; None without an answer.
    pub(crate) code: Option<u16>,
    pub(crate) answers: u16,
    pub(crate) retransmits: u16,
    pub(crate) is_truncated: bool,
}

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
    Sheet::<Exchange>::new("dns.lookup", Signal::Span)
        .name(|lookup, texts, text| {
            text.str(vocabulary::question_type(lookup.question)).str(" ").chars(texts.of(lookup.route));
        })
        .kept("dns.question.name", |lookup| lookup.route)
        .used(FieldUse::Dimension)
        .label("dns.question.type", |lookup| vocabulary::question_type(lookup.question))
        .used(FieldUse::Dimension)
        .label("dns.response_code", |lookup| lookup.code.map_or("", vocabulary::response_code))
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("dns.question.qname", |lookup| lookup.name)
        .omit_zero()
        .label("dns.opcode", |lookup| vocabulary::opcode(lookup.opcode))
        .u32("dns.answer.count", |lookup| u32::from(lookup.answers))
        .boolean("dns.response.truncated", |lookup| u8::from(lookup.is_truncated))
        .omit_zero()
        .u32("dns.retransmits", |lookup| u32::from(lookup.retransmits))
        .omit_zero()
        .histogram("dns.lookup.duration", "How long answers take, as those who ask see it.", "duration")
        .only_kind(Kind::Client)
        .histogram("dns.server.request.duration", "How long answers take, as servers see it.", "duration")
        .only_kind(Kind::Server)
}
