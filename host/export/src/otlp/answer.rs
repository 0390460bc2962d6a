//! The answer of a collector: `Export…Response { partial_success = 1 { rejected = 1, message = 2 } }` and, over gRPC, the `RetryInfo` in
//! the details of a status. Parsed by hand: it comes from the network, so nothing in it is trusted.

use std::time::Duration;

/// The part of a request that a collector rejected, although it took the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    /// Number of rejected items.
    pub rejected: u64,
    /// The reason; also set for a warning without rejections.
    pub message: String,
}

/// A field of a message: its number and its value.
enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
    Other,
}

/// Parses a response in protobuf; None if it is not one.
pub(crate) fn partial_success(response: &[u8]) -> Option<Partial> {
    let mut partial = Partial::default();
    let mut fields = Fields(response);
    for field in &mut fields {
        let Field::Bytes(1, message) = field else { continue };
        let mut fields = Fields(message);
        for field in &mut fields {
            match field {
                Field::Number(1, rejected) => partial.rejected = u64::try_from(rejected as i64).unwrap_or(0),
                Field::Bytes(2, text) => partial.message = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
        if !fields.0.is_empty() {
            return None;
        }
    }
    fields.0.is_empty().then_some(partial)
}

/// Parses a response in JSON, which some collectors return for any request; None if it is not an object.
pub(crate) fn partial_success_json(response: &[u8]) -> Option<Partial> {
    let response: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(response).ok()?;
    let Some(partial) = response.get("partialSuccess") else { return Some(Partial::default()) };
    let rejected = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"].iter().find_map(|name| partial.get(name));
    // Numbers of 64 bits are strings in the JSON of protobuf.
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let message = partial.get("errorMessage").and_then(|message| message.as_str()).unwrap_or_default();
    Some(Partial { rejected: rejected.and_then(number).unwrap_or(0), message: message.to_owned() })
}

/// Returns the end of the first item in a list of length-delimited fields; None if there is none.
pub(crate) fn item_end(items: &[u8]) -> Option<usize> {
    let mut fields = Fields(items);
    match fields.next()? {
        Field::Bytes(..) => Some(items.len() - fields.0.len()),
        _ => None,
    }
}

/// Returns the delay that a `google.rpc.Status` asks for, if it carries a `RetryInfo`.
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

/// Parses `RetryInfo { retry_delay = 1: Duration { seconds = 1, nanos = 2 } }`.
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

/// Returns the text of a `google.rpc.Status`, which an HTTP collector sends with an error.
pub(crate) fn status_message(status: &[u8]) -> Option<String> {
    Fields(status).find_map(|field| match field {
        Field::Bytes(2, text) => std::str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    })
}

/// Iterates over the fields of a message; stops at the first that is malformed, with the rest from there on.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let mut rest = Fields(self.0);
        let field = rest.field()?;
        self.0 = rest.0;
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
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
        assert_eq!(partial_success(&[]), Some(Partial::default()));
        assert_eq!(partial_success_json(b"{}"), Some(Partial::default()));
    }

    #[test]
    fn rejected_items_and_the_reason_are_read() {
        let answer = [0x0a, 6, 0x08, 3, 0x12, 2, b'n', b'o'];
        assert_eq!(partial_success(&answer), Some(Partial { rejected: 3, message: "no".into() }));
        for rejected in ["3", "\"3\""] {
            let answer = format!("{{\"partialSuccess\":{{\"rejectedSpans\":{rejected},\"errorMessage\":\"no\"}}}}");
            assert_eq!(
                partial_success_json(answer.as_bytes()),
                Some(Partial { rejected: 3, message: "no".into() }),
                "{answer}"
            );
        }
    }

    #[test]
    fn what_is_not_an_answer_is_not_read_as_one() {
        for other in
            [&[0x0a, 200, 0x08, 3][..], &[0x0a, 2, 0x08], &[0x0a, 2, 0x12, 9], &[0xff; 64], b"<html>not found</html>", b"ok"]
        {
            assert_eq!(partial_success(other), None, "{other:?}");
        }
        for other in [&b"<html>"[..], b"", b"[]", b"\"ok\"", b"{"] {
            assert_eq!(partial_success_json(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_negative_count_of_refused_items_is_none() {
        let mut answer = vec![0x0a, 11, 0x08];
        answer.extend([0xff; 9]);
        answer.push(1);
        assert_eq!(partial_success(&answer).unwrap().rejected, 0);
    }
}
