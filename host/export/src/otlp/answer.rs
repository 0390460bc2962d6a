//! What a collector answers: `Export…Response { partial_success = 1 { rejected = 1, message = 2 } }` and, over gRPC, the
//! `RetryInfo` in the details of a status. Read by hand: it comes from the network, so nothing in it is believed.

use std::time::Duration;

/// What a collector left out of a request that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    /// Items it refused.
    pub rejected: u64,
    /// Why; also set for a warning without refusals.
    pub message: String,
}

/// A field of a message: its number and its value.
enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
    Other,
}

/// Reads a response. What is not one counts as a full success: the collector took the request.
pub(crate) fn partial_success(response: &[u8]) -> Partial {
    let mut partial = Partial::default();
    for field in Fields(response) {
        let Field::Bytes(1, message) = field else { continue };
        for field in Fields(message) {
            match field {
                Field::Number(1, rejected) => partial.rejected = u64::try_from(rejected as i64).unwrap_or(0),
                Field::Bytes(2, text) => partial.message = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
    }
    partial
}

/// The delay that a `google.rpc.Status` asks for, if it carries a `RetryInfo`.
pub(crate) fn retry_delay(status: &[u8]) -> Option<Duration> {
    for field in Fields(status) {
        let Field::Bytes(3, any) = field else { continue };
        let mut is_retry_info = false;
        let mut value: &[u8] = &[];
        for field in Fields(any) {
            match field {
                Field::Bytes(1, url) => is_retry_info = url.ends_with(b"google.rpc.RetryInfo"),
                Field::Bytes(2, bytes) => value = bytes,
                _ => {}
            }
        }
        if is_retry_info {
            return Some(duration(value));
        }
    }
    None
}

/// `RetryInfo { retry_delay = 1: Duration { seconds = 1, nanos = 2 } }`.
fn duration(retry_info: &[u8]) -> Duration {
    let mut delay = Duration::ZERO;
    for field in Fields(retry_info) {
        let Field::Bytes(1, duration) = field else { continue };
        for field in Fields(duration) {
            match field {
                Field::Number(1, seconds) if seconds <= i64::MAX as u64 => {
                    delay = delay.saturating_add(Duration::from_secs(seconds))
                }
                Field::Number(2, nanos) if nanos < 1_000_000_000 => delay = delay.saturating_add(Duration::from_nanos(nanos)),
                _ => {}
            }
        }
    }
    delay
}

/// The text of a `google.rpc.Status`, which an HTTP collector sends with an error.
pub(crate) fn status_message(status: &[u8]) -> Option<String> {
    Fields(status).find_map(|field| match field {
        Field::Bytes(2, text) => std::str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    })
}

/// Walks the fields of a message; ends where it is not one.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        Some(match tag & 7 {
            0 => Field::Number(tag >> 3, self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(tag >> 3, self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        })
    }
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_is_a_full_success() {
        assert_eq!(partial_success(&[]), Partial::default());
    }

    #[test]
    fn rejected_items_and_the_reason_are_read() {
        let answer = [0x0a, 6, 0x08, 3, 0x12, 2, b'n', b'o'];
        assert_eq!(partial_success(&answer), Partial { rejected: 3, message: "no".into() });
    }

    #[test]
    fn an_answer_that_lies_about_its_lengths_is_read_as_far_as_it_holds() {
        assert_eq!(partial_success(&[0x0a, 200, 0x08, 3]), Partial::default());
        assert_eq!(partial_success(&[0xff; 64]), Partial::default());
        assert_eq!(partial_success(b"<html>not found</html>"), Partial::default());
    }

    #[test]
    fn a_negative_count_of_refused_items_is_none() {
        let mut answer = vec![0x0a, 11, 0x08];
        answer.extend([0xff; 9]);
        answer.push(1);
        assert_eq!(partial_success(&answer).rejected, 0);
    }
}
