//! Trace and span ids of a row: drawn, or the caller's from a `traceparent`.

use std::hash::{BuildHasher, Hasher, RandomState};

use host_model::Threshold;

/// The 56 bits that sampling looks at.
const RANDOMNESS: u64 = (1 << 56) - 1;
/// W3C trace flags of a trace that begins here: sampled, and its id is random.
const OWN_FLAGS: u32 = 0x03;
/// OTLP: it is known whether the parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;
/// OTLP: the parent is remote.
const IS_REMOTE: u32 = 0x200;

/// Who a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Of the trace.
    pub trace: [u8; 16],
    /// Of the row itself.
    pub span: [u8; 8],
    /// Of the caller's span.
    pub parent: Option<[u8; 8]>,
    /// As in OTLP: the trace flags, and whether the parent is remote.
    pub flags: u32,
    /// The randomness, where the trace id does not carry it.
    pub randomness: Option<u64>,
}

/// A valid W3C `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// Of the trace.
    pub trace: [u8; 16],
    /// Of the caller's span.
    pub span: [u8; 8],
    /// Trace flags.
    pub flags: u8,
}

/// Draws ids: a generator that need not be secret, seeded by the system, one per sink.
#[derive(Debug)]
pub(crate) struct Identities {
    state: u64,
}

// === impl Ids ===

impl Ids {
    /// The randomness: told apart, or the low 56 bits of the trace id.
    pub(crate) fn carried_randomness(&self) -> u64 {
        self.randomness.unwrap_or(u128::from_be_bytes(self.trace) as u64 & RANDOMNESS)
    }
}

// === impl Identities ===

impl Identities {
    pub(crate) fn seeded() -> Self {
        Self { state: RandomState::new().build_hasher().finish() }
    }

    /// 64 bits (SplitMix64).
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The ids of a row that was compared with `randomness`.
    #[inline]
    pub(crate) fn of_row(&mut self, randomness: u64, explicit: bool, parent: Option<TraceParent>) -> Ids {
        let randomness = randomness & RANDOMNESS;
        let span = (self.draw() | 1).to_be_bytes();
        if let Some(parent) = parent {
            let carried = u128::from_be_bytes(parent.trace) as u64 & RANDOMNESS == randomness;
            return Ids {
                trace: parent.trace,
                span,
                parent: Some(parent.span),
                flags: u32::from(parent.flags) | HAS_IS_REMOTE | IS_REMOTE,
                randomness: (explicit || !carried).then_some(randomness),
            };
        }
        let (high, low) = (self.draw(), self.draw());
        let low = if explicit { low } else { low & !RANDOMNESS | randomness };
        let trace = u128::from(high | 1) << 64 | u128::from(low);
        let flags = OWN_FLAGS | HAS_IS_REMOTE;
        Ids { trace: trace.to_be_bytes(), span, parent: None, flags, randomness: explicit.then_some(randomness) }
    }
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads `00-<trace id>-<span id>-<flags>`; None if it is empty or breaks a rule of W3C Trace Context.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (fixed, rest) = text.split_first_chunk::<55>()?;
        let [version, trace, span, flags] = [0..2, 3..35, 36..52, 53..55].map(|range| fixed.get(range));
        let [version] = hex(version?)?;
        let dashes = [2, 35, 52].iter().all(|&at| fixed.get(at) == Some(&b'-'));
        // A version that is not known yet may have more behind another dash.
        let length = if version == 0 { rest.is_empty() } else { matches!(rest.first(), None | Some(b'-')) };
        let [flags] = hex(flags?)?;
        let parent = Self { trace: hex(trace?)?, span: hex(span?)?, flags };
        let valid = dashes && length && version != 0xff && parent.trace != [0; 16] && parent.span != [0; 8];
        valid.then_some(parent)
    }
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |sum, &digit| Some(sum << 4 | digit_value(digit)?))?;
    }
    Some(bytes)
}

fn digit_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Appends bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(buf: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        buf.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Appends a threshold as `th` wants it: hexadecimal digits without trailing zeros, `0` for always.
pub(crate) fn write_threshold(buf: &mut Vec<u8>, threshold: Threshold) {
    let mut rest = threshold.get() << 8;
    buf.push(digit((rest >> 60) as u8));
    rest <<= 4;
    while rest != 0 {
        buf.push(digit((rest >> 60) as u8));
        rest <<= 4;
    }
}

/// 56 bits of randomness as `rv` wants them: 14 hexadecimal digits.
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

    #[test]
    fn a_valid_traceparent_makes_the_row_part_of_its_callers_trace() {
        let parent = TraceParent::parse(VALID.as_bytes()).unwrap();
        let ids = Identities::seeded().of_row(0xce929d0e0e4736, false, Some(parent));
        assert_eq!(ids.trace[..4], [0x4b, 0xf9, 0x2f, 0x35]);
        assert_eq!(ids.parent.unwrap()[6..], [0x02, 0xb7]);
        assert_eq!((ids.flags, ids.randomness), (0x301, None));
    }

    #[test]
    fn randomness_that_the_callers_trace_id_does_not_carry_is_kept_apart() {
        let parent = TraceParent::parse(VALID.as_bytes());
        assert_eq!(Identities::seeded().of_row(7, false, parent).randomness, Some(7));
    }

    #[test]
    fn the_low_56_bits_of_a_trace_id_are_the_rows_randomness() {
        let ids = Identities::seeded().of_row(0x00ab_cdef_0123_4567, false, None);
        assert_eq!(ids.trace[9..], [0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67]);
        assert_eq!((ids.parent, ids.flags, ids.randomness), (None, 0x103, None));
    }

    #[test]
    fn a_randomness_of_the_samplers_own_is_not_the_trace_id() {
        let mut identities = Identities::seeded();
        let (one, two) = (identities.of_row(5, true, None), identities.of_row(5, true, None));
        assert_ne!(one.trace[9..], two.trace[9..]);
        assert_eq!(one.randomness, Some(5));
    }

    #[test]
    fn what_is_not_a_traceparent_is_refused() {
        let cases = [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-00"),
            VALID.replace("00-4b", "ff-4b"),
            VALID.replace("4bf9", "4BF9"),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            VALID.replace('-', "_"),
        ];
        for case in cases {
            assert_eq!(TraceParent::parse(case.as_bytes()), None, "{case}");
        }
        assert!(TraceParent::parse(format!("01{}-future", &VALID[2..]).as_bytes()).is_some());
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
