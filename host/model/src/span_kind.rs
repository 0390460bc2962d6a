//! The kind of a span: the end of an exchange that its row describes.

/// The kind of a span, with its number in OTLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within a process.
    #[default]
    Internal = 1,
    /// The end that received the request.
    Server = 2,
    /// The end that sent the request.
    Client = 3,
    /// The end that sent a message for later.
    Producer = 4,
    /// The end that received that message.
    Consumer = 5,
}

// === impl SpanKind ===

impl SpanKind {
    /// Returns the kind of this number; internal for an unknown one.
    #[inline]
    #[must_use]
    pub const fn of(number: u64) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Internal,
        }
    }

    /// Returns its number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns its name: `server`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_that_of_its_kind_and_all_others_are_internal() {
        for kind in [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer] {
            assert_eq!(SpanKind::of(kind.number().into()), kind);
        }
        assert!([0, 6, 258, u64::MAX].iter().all(|number| SpanKind::of(*number) == SpanKind::Internal));
    }
}
