//! W3C Trace Context: the trace that a row is part of.

/// The 56 bits of a trace id that sampling uses.
pub const RANDOMNESS: u64 = (1 << 56) - 1;

/// A valid W3C `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The id of the trace.
    pub trace: [u8; 16],
    /// The id of the caller's span.
    pub span: [u8; 8],
    /// Trace flags.
    pub flags: u8,
}

// === impl TraceParent ===

impl TraceParent {
    /// Parses `00-<trace id>-<span id>-<flags>`; None if it is empty or breaks a rule of W3C Trace Context.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (fixed, rest) = text.split_first_chunk::<55>()?;
        let [version, trace, span, flags] = [0..2, 3..35, 36..52, 53..55].map(|range| fixed.get(range));
        let [version] = hex(version?)?;
        let dashes = [2, 35, 52].iter().all(|&at| fixed.get(at) == Some(&b'-'));
        // A later version may have more after another dash.
        let length = if version == 0 { rest.is_empty() } else { matches!(rest.first(), None | Some(b'-')) };
        let [flags] = hex(flags?)?;
        let parent = Self { trace: hex(trace?)?, span: hex(span?)?, flags };
        let valid = dashes && length && version != 0xff && parent.trace != [0; 16] && parent.span != [0; 8];
        valid.then_some(parent)
    }

    /// Returns the randomness of the trace id.
    #[must_use]
    pub fn randomness(&self) -> u64 {
        carried(u128::from_be_bytes(self.trace))
    }
}

/// Returns the randomness of a trace id: its low 56 bits.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub const fn carried(trace: u128) -> u64 {
    trace as u64 & RANDOMNESS
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |sum, &digit| Some(sum << 4 | digit_value(digit)?))?;
    }
    Some(bytes)
}

const fn digit_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_traceparent_names_its_trace_its_caller_and_its_randomness() {
        let parent = TraceParent::parse(VALID.as_bytes()).unwrap();
        assert_eq!((parent.trace[0], parent.span[7], parent.flags), (0x4b, 0xb7, 1));
        assert_eq!(parent.randomness(), 0xce_929d_0e0e_4736);
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
}
