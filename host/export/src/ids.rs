//! Trace and span ids of a row: drawn; the caller's from a `traceparent`; or derived from the value that both ends of an exchange share, so
//! that the server's span is a child of the client's though neither knows of the other.

use host_model::trace::{self, RANDOMNESS};
use host_model::{Seed, Threshold, TraceParent};

/// W3C trace flags of a trace that begins here: sampled, and its id is random.
const OWN_FLAGS: u32 = 0x03;
/// OTLP flag: it is known whether the parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;
/// OTLP flag: the parent is remote.
const IS_REMOTE: u32 = 0x200;

/// The ids of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The id of the trace.
    pub trace: [u8; 16],
    /// The id of the row's span.
    pub span: [u8; 8],
    /// The id of the caller's span.
    pub parent: Option<[u8; 8]>,
    /// Flags as in OTLP: the trace flags, and whether the parent is remote.
    pub flags: u32,
    /// The randomness, if the trace id does not carry it.
    pub randomness: Option<u64>,
}

/// The values that the ids of a row are made from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// The randomness that its threshold was compared with, 56 bits.
    pub randomness: u64,
    /// Whether the sampler chose the randomness.
    pub explicit: bool,
    /// The span of its caller.
    pub parent: Option<TraceParent>,
    /// The correlation, equal at both ends of its exchange; 0 for none.
    pub correlation: u64,
    /// Whether the row is of the server's end.
    pub server: bool,
}

/// Generates ids: a generator that need not be secret, one per sink.
#[derive(Debug)]
pub(crate) struct Identities {
    state: u64,
    seed: Seed,
}

// === impl Ids ===

impl Ids {
    /// Returns the randomness: the separate one, or the low 56 bits of the trace id.
    pub(crate) fn carried_randomness(&self) -> u64 {
        self.randomness.unwrap_or(trace::carried(u128::from_be_bytes(self.trace)))
    }
}

// === impl Identities ===

impl Identities {
    /// Creates the generator of the sink of this name.
    pub(crate) fn new(seed: &Seed, name: &str) -> Self {
        Self { state: seed.generator(name), seed: seed.clone() }
    }

    /// Returns 64 bits (SplitMix64).
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns the ids of a row.
    #[inline]
    pub(crate) fn of_row(&mut self, row: Known) -> Ids {
        let common = row.correlation != 0;
        // The client's end is the span that the server's end names as its parent: the client's own caller is behind it. The span of the
        // server is derived too: an exchange that was given up and later ends has two rows of one span.
        let (span, local) = match (common, row.server) {
            (true, true) => (self.common_span(!row.correlation), Some(self.common_span(row.correlation))),
            (true, false) => (self.common_span(row.correlation), None),
            (false, _) => ((self.draw() | 1).to_be_bytes(), None),
        };
        let (trace, flags) = match row.parent {
            Some(parent) => (parent.trace, u32::from(parent.flags) | HAS_IS_REMOTE | IS_REMOTE),
            None if common => (self.seed.trace_of(row.correlation).to_be_bytes(), own_flags(local.is_some())),
            None => (self.draw_trace(row).to_be_bytes(), own_flags(false)),
        };
        let randomness = row.randomness & RANDOMNESS;
        let carried = !row.explicit && trace::carried(u128::from_be_bytes(trace)) == randomness;
        let parent = local.or(row.parent.map(|parent| parent.span));
        Ids { trace, span, parent, flags, randomness: (!carried).then_some(randomness) }
    }

    /// Returns a span id that is the same at every call and in every process.
    fn common_span(&self, common: u64) -> [u8; 8] {
        self.seed.span_of(common).to_be_bytes()
    }

    /// Returns the id of a new trace; it carries its randomness, unless the sampler chose that.
    fn draw_trace(&mut self, row: Known) -> u128 {
        let (high, low) = (self.draw(), self.draw());
        let low = if row.explicit { low } else { low & !RANDOMNESS | row.randomness & RANDOMNESS };
        u128::from(high | 1) << 64 | u128::from(low)
    }
}

/// Returns the flags of a trace that starts on this node; its parent, if any, is in another process.
const fn own_flags(called: bool) -> u32 {
    if called { OWN_FLAGS | HAS_IS_REMOTE | IS_REMOTE } else { OWN_FLAGS | HAS_IS_REMOTE }
}

/// Appends bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(buf: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        buf.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Appends a threshold in the format of `th`: hexadecimal digits without trailing zeros, `0` for always.
pub(crate) fn write_threshold(buf: &mut Vec<u8>, threshold: Threshold) {
    let mut rest = threshold.get() << 8;
    buf.push(digit((rest >> 60) as u8));
    rest <<= 4;
    while rest != 0 {
        buf.push(digit((rest >> 60) as u8));
        rest <<= 4;
    }
}

/// Formats 56 bits of randomness for `rv`: 14 hexadecimal digits.
pub(crate) fn randomness_digits(randomness: u64) -> [u8; 14] {
    std::array::from_fn(|place| digit((randomness >> (52 - 4 * place)) as u8 & 15))
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn identities() -> Identities {
        Identities::new(&Seed::system(), "test")
    }

    fn parent() -> Option<TraceParent> {
        TraceParent::parse(VALID.as_bytes())
    }

    #[test]
    fn a_valid_traceparent_makes_the_row_part_of_its_callers_trace() {
        let ids = identities().of_row(Known { randomness: 0xce929d0e0e4736, parent: parent(), ..Known::default() });
        assert_eq!(ids.trace[..4], [0x4b, 0xf9, 0x2f, 0x35]);
        assert_eq!(ids.parent.unwrap()[6..], [0x02, 0xb7]);
        assert_eq!((ids.flags, ids.randomness), (0x301, None));
    }

    #[test]
    fn randomness_that_the_callers_trace_id_does_not_carry_is_kept_apart() {
        let row = Known { randomness: 7, parent: parent(), ..Known::default() };
        assert_eq!(identities().of_row(row).randomness, Some(7));
    }

    #[test]
    fn the_low_56_bits_of_a_trace_id_are_the_rows_randomness() {
        let ids = identities().of_row(Known { randomness: 0x00ab_cdef_0123_4567, ..Known::default() });
        assert_eq!(ids.trace[9..], [0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67]);
        assert_eq!((ids.parent, ids.flags, ids.randomness), (None, 0x103, None));
    }

    #[test]
    fn a_randomness_of_the_samplers_own_is_not_the_trace_id() {
        let (mut identities, row) = (identities(), Known { randomness: 5, explicit: true, ..Known::default() });
        let (one, two) = (identities.of_row(row), identities.of_row(row));
        assert_ne!(one.trace[9..], two.trace[9..]);
        assert_eq!(one.randomness, Some(5));
    }

    /// Returns the ids of both ends of an exchange, from two sinks of one run.
    fn both_ends(row: Known) -> (Ids, Ids) {
        let seed = Seed::system();
        let row = Known { correlation: 99, randomness: trace::carried(seed.trace_of(99)), ..row };
        let client = Identities::new(&seed, "one").of_row(Known { server: false, ..row });
        (client, Identities::new(&seed, "other").of_row(Known { server: true, ..row }))
    }

    #[test]
    fn the_server_s_end_of_an_exchange_is_a_child_of_the_client_s() {
        let (client, server) = both_ends(Known::default());
        assert_eq!((client.trace, client.parent), (server.trace, None));
        assert_eq!(server.parent, Some(client.span));
        assert_ne!(server.span, client.span);
        assert_eq!((client.flags, server.flags), (0x103, 0x303));
        assert_eq!((client.randomness, server.randomness), (None, None), "the trace id carries it");
    }

    #[test]
    fn two_rows_of_an_exchange_are_of_one_span_at_either_end() {
        let mut ids = Identities::new(&Seed::system(), "one");
        for server in [false, true] {
            let row = Known { correlation: 99, server, ..Known::default() };
            assert_eq!(ids.of_row(row).span, ids.of_row(row).span);
        }
    }

    #[test]
    fn with_a_traceparent_both_ends_are_in_the_caller_s_trace() {
        let (client, server) = both_ends(Known { parent: parent(), ..Known::default() });
        assert_eq!((client.trace, server.trace), (parent().unwrap().trace, parent().unwrap().trace));
        assert_eq!(client.parent, Some(parent().unwrap().span));
        assert_eq!(server.parent, Some(client.span));
    }

    #[test]
    fn a_fixed_seed_repeats_itself() {
        let row = Known { randomness: 5, ..Known::default() };
        let once = || Identities::new(&Seed::fixed(), "test").of_row(row);
        assert_eq!(once(), once());
    }

    #[test]
    fn a_threshold_is_written_as_the_model_writes_it() {
        for threshold in [0, 1, 0x80_0000_0000_0000, 0xc0_0000_0000_0000, 0x0f_0000_0000_0000, (1 << 56) - 1] {
            let threshold = Threshold::new(threshold);
            let mut buf = Vec::new();
            write_threshold(&mut buf, threshold);
            assert_eq!(String::from_utf8(buf).unwrap(), threshold.to_string());
        }
    }
}
