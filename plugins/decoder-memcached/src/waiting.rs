//! A command that waits for its reply, and the replies that it can have.

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};

use crate::attributes::Exchange;
use crate::reply::Reply;
use crate::request::{ReplyMode, Style};
use crate::vocabulary::{Code, Name};

/// A command without a reply yet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub opaque: u32,
    pub keys: u16,
    pub name: Name,
    pub style: Style,
    pub answer: ReplyMode,
    pub creates: bool,
}

// === impl Waiting ===

impl Waiting {
    pub(crate) fn exchange(&self, reply: Option<&Reply>) -> Exchange {
        let (code, values) = reply.map_or((Code::NONE, 0), |reply| (reply.code, reply.values));
        Exchange { name: self.name, code, keys: self.keys, values }
    }

    /// Whether this may be the reply to a command that gets only unusual ones.
    pub(crate) fn accepts_unusual(&self, reply: &Reply) -> bool {
        let code = reply.code.text();
        match (self.style, reply.style) {
            (Style::Binary, Style::Binary) => {
                let usual = if matches!(self.name.text(), "get" | "gat") { "KEY_ENOENT" } else { "SUCCESS" };
                self.opaque == reply.opaque && reply.command == (self.name, true) && code != usual
            }
            (Style::Meta, Style::Meta) if self.opaque != reply.opaque => false,
            (Style::Meta, Style::Meta) => match (self.name.text(), code) {
                // A miss is usual for `mg`, and success for the others. Servers of 1.6 report that a key to delete or count does not exist;
                // if a server does not, the reply is that of a later command, and looks the same.
                ("mg", "EN") | ("ms" | "md", "HD") => false,
                ("ma", "HD") => self.creates,
                ("ma", "VA") => false,
                _ => self.accepts(reply),
            },
            (Style::Meta, Style::Text) => reply.code.is_error(),
            _ => false,
        }
    }

    /// Whether a command can have such a reply at all. It matters for the replies to meta commands, of which quiet ones may come between
    /// others.
    pub(crate) fn accepts(&self, reply: &Reply) -> bool {
        match (self.style, reply.style) {
            (Style::Meta, Style::Meta) => {}
            (style, Style::Meta) => return style == Style::Meta,
            _ => return true,
        }
        match self.name.text() {
            "mg" => matches!(reply.code.text(), "HD" | "VA" | "EN"),
            "ms" => matches!(reply.code.text(), "HD" | "NS" | "EX" | "NF"),
            "md" => matches!(reply.code.text(), "HD" | "EX" | "NF"),
            "ma" => matches!(reply.code.text(), "HD" | "VA" | "NS" | "EX" | "NF"),
            "me" => matches!(reply.code.text(), "ME" | "EN"),
            _ => reply.code.text() == "MN",
        }
    }
}
