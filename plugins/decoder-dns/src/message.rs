//! One message: its header and its question.

use crate::name::{self, ParseError};

/// The parts of a message that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub id: u16,
    pub is_response: bool,
    pub opcode: u8,
    /// Whether answers are missing in it.
    pub is_truncated: bool,
    /// Code of a response; with EDNS up to 4095.
    pub code: u16,
    /// Number of answer records, as the header claims.
    pub answers: u16,
    /// Type and class of its first question; None if it has none.
    pub question: Option<(u16, u16)>,
    /// Hash of all questions; 0 if there are none.
    pub digest: u64,
}

/// Length of the header.
pub(crate) const HEADER: usize = 12;
/// Maximum number of questions in a message; servers refuse more than one.
const MAX_QUESTIONS: u16 = 8;
/// The type of the record that EDNS adds.
const OPT: u16 = 41;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

// === impl Message ===

impl Message {
    /// Parses the beginning of a message, and puts the name of its first question into `name`, in lower case.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8], name: &mut Vec<u8>) -> Result<Self, ParseError> {
        name.clear();
        let Some(&[id_high, id_low, flags, more, q_high, q_low, a_high, a_low, n_high, n_low, x_high, x_low]) =
            bytes.first_chunk::<HEADER>()
        else {
            return Err(ParseError::Truncated);
        };
        let number = |high, low| u16::from_be_bytes([high, low]);
        let questions = number(q_high, q_low);
        let mut message = Self {
            id: number(id_high, id_low),
            is_response: flags & 0x80 != 0,
            opcode: flags >> 3 & 15,
            is_truncated: flags & 2 != 0,
            code: u16::from(more & 15),
            answers: number(a_high, a_low),
            question: None,
            digest: 0,
        };
        if questions > MAX_QUESTIONS {
            return Err(ParseError::Malformed);
        }
        let mut at = HEADER;
        for place in 0..questions {
            let start = name.len();
            at = name::read(bytes, at, name)?;
            let Some(&[t_high, t_low, c_high, c_low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                return Err(ParseError::Truncated);
            };
            at += 4;
            let (question, class) = (number(t_high, t_low), number(c_high, c_low));
            let own = name.get(start..).unwrap_or_default();
            message.digest = mix(digest(message.digest, own), u64::from(question) << 16 | u64::from(class)).max(1);
            if place == 0 {
                message.question = Some((question, class));
            } else {
                name.truncate(start);
            }
        }
        let records = u32::from(number(n_high, n_low)) + u32::from(number(x_high, x_low));
        // The upper bits of a code are in a record behind the others; messages with such a code have no answers.
        if message.is_response && message.answers == 0 && records > 0 {
            message.code |= extended_code(bytes, at, records).unwrap_or(0);
        }
        Ok(message)
    }

    /// Returns the key that a question and its answer share, the same at both ends.
    pub(crate) fn key(&self) -> u64 {
        mix(self.digest, u64::from(self.id))
    }
}

/// Returns the upper bits of the code, if the message has an EDNS record and it was captured.
fn extended_code(bytes: &[u8], mut at: usize, records: u32) -> Option<u16> {
    for _ in 0..records {
        at = name::skip(bytes, at)?;
        let &[t_high, t_low, _, _, extended, _, _, _, l_high, l_low] = bytes.get(at..)?.first_chunk()?;
        if u16::from_be_bytes([t_high, t_low]) == OPT {
            return Some(u16::from(extended) << 4);
        }
        at += 10 + usize::from(u16::from_be_bytes([l_high, l_low]));
    }
    None
}

pub(crate) fn digest(seed: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let hash = words.iter().fold(seed ^ text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)))
}

/// The finaliser of SplitMix64.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    let mut word = hash.wrapping_add(SEED) ^ value;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::{Message, ParseError};

    /// Returns a message with these flags, counts and remaining bytes.
    pub(crate) fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
        bytes.extend_from_slice(rest);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(Message, String), ParseError> {
        let mut name = Vec::new();
        let message = Message::read(bytes, &mut name)?;
        Ok((message, String::from_utf8(name).unwrap()))
    }

    const WWW: &[u8] = b"\x03wWw\x07eXample\x03com\0\0\x01\0\x01";

    #[test]
    fn a_question_and_its_answer_have_the_same_key_whatever_the_case() {
        let (query, name) = read(&message(0x0100, [1, 0, 0, 0], WWW)).unwrap();
        assert_eq!((&*name, query.question, query.is_response, query.id), ("www.example.com", Some((1, 1)), false, 0x1234));
        let (answer, _) = read(&message(0x8180, [1, 2, 0, 0], &WWW.to_ascii_uppercase())).unwrap();
        assert_eq!((answer.is_response, answer.answers, answer.code), (true, 2, 0));
        assert_eq!(query.key(), answer.key());
        let (other, _) = read(&message(0x8180, [1, 2, 0, 0], b"\x03www\x07example\x03com\0\0\x1c\0\x01")).unwrap();
        assert_ne!(query.key(), other.key());
    }

    #[test]
    fn edns_has_the_upper_bits_of_the_code_behind_other_records() {
        let authority = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x02xx";
        let opt = b"\0\0\x29\x10\0\x01\0\0\0\0\0";
        let (answer, _) = read(&message(0x8180, [1, 0, 1, 1], &[WWW, authority, opt].concat())).unwrap();
        assert_eq!(answer.code, 16);
        let (cut, _) = read(&message(0x8180, [1, 0, 1, 1], &[WWW, authority].concat())).unwrap();
        assert_eq!(cut.code, 0, "not captured");
        let (many, _) = read(&message(0x8183, [1, 0, 65535, 65535], WWW)).unwrap();
        assert_eq!(many.code, 3, "what is claimed costs nothing");
    }

    #[test]
    fn several_questions_are_one_and_none_is_one_too() {
        let (two, name) = read(&message(0x0100, [2, 0, 0, 0], &[WWW, b"\xc0\x0c\0\x1c\0\x01"].concat())).unwrap();
        assert_eq!((&*name, two.question), ("www.example.com", Some((1, 1))));
        let (one, _) = read(&message(0x0100, [1, 0, 0, 0], WWW)).unwrap();
        assert_ne!(one.key(), two.key());
        let (none, name) = read(&message(0x8181, [0, 0, 0, 0], b"")).unwrap();
        assert_eq!((&*name, none.question, none.digest, none.code), ("", None, 0, 1));
        assert_eq!(read(&message(0x0100, [9, 0, 0, 0], WWW)), Err(ParseError::Malformed));
    }

    #[test]
    fn what_was_not_captured_is_short() {
        let whole = message(0x0100, [1, 0, 0, 0], WWW);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Err(ParseError::Truncated), "{length} bytes");
        }
    }
}
