//! The server's bytes: replies, and messages that it pushes between them.

use serde::{Deserialize, Serialize};

use crate::line::{self, Malformed};
use crate::transaction::{Outcome, Transaction};
use crate::vocabulary::Code;

/// The position in a server's bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Replies {
    /// Number of elements of the current reply that are still to come; nesting needs no more state.
    left: u64,
    /// The current reply, once its first element is known.
    current: Option<Reply>,
    /// Whether the end of a line is still to come.
    in_line: bool,
    /// For the reply to `EXEC`: number of results that are still to come, and their total.
    results: (u64, u64),
    /// Which of them have failed.
    outcome: Outcome,
}

/// One reply, or an out-of-band message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub shape: Shape,
    /// The kind of error; empty if it is not an error.
    pub code: Code,
}

/// The kinds of replies that are distinguished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// Any value.
    Value,
    /// A null array: the reply to `EXEC` when a key has changed.
    Null,
    /// `+QUEUED`: a command of a transaction.
    Queued,
    /// A line that begins with a digit, as those of `MONITOR` do.
    Line,
    /// An array that begins as a published message does.
    Message,
    /// An array that begins as the confirmation of a subscription does.
    Confirmation,
    /// A RESP3 push of any other kind.
    Push,
    /// A RESP3 push that is a confirmation.
    PushedConfirmation,
}

/// Maximum length of a line that is reassembled.
const MAX_LINE: usize = 256;
/// Maximum length of a word that distinguishes pushes and confirmations from values; see [`first_string`].
const MAX_WORD: usize = 12;

// === impl Replies ===

impl Replies {
    /// Marks the position as lost: a reply of which only a part was read is dropped.
    pub(crate) fn lose_position(&mut self) {
        *self = Self::default();
    }

    /// Returns the next reply that ends in this call, of which `missing` bytes behind `bytes` were not captured. `at` moves over consumed
    /// bytes, and beyond the end of the bytes if a length covers bytes that are still to come. None: the rest of the bytes must be passed
    /// again, with more behind it.
    ///
    /// `exec` is the queued transaction, if the next reply is that to `EXEC`.
    #[inline(always)]
    pub(crate) fn next(
        &mut self,
        bytes: &[u8],
        missing: usize,
        exec: Option<&Transaction>,
        at: &mut usize,
    ) -> Result<Option<Reply>, Malformed> {
        if self.in_line && !self.skip_line_end(bytes, at) {
            return Ok(None);
        }
        loop {
            if self.left == 0
                && let Some(reply) = self.current
            {
                if *at > bytes.len() + missing {
                    // The reply ends in a later call, and so does the command: its last two bytes are waited for.
                    *at -= 2;
                    self.in_line = true;
                    return Ok(None);
                }
                self.current = None;
                return Ok(Some(reply));
            }
            let rest = bytes.get(*at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            self.left = self.left.max(1);
            if self.is_first() {
                (self.results, self.outcome) = ((0, 0), Outcome::default());
            }
            if !self.read_element(rest, at)? {
                return Ok(None);
            }
            if let Some(transaction) = exec
                && self.results.1 == 0
                && self.current.is_some()
            {
                self.left = transaction.results(self.left);
                self.results = (self.left, self.left);
            }
        }
    }

    /// Returns which commands of the last answered transaction have failed.
    pub(crate) const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Consumes one element. Returns false if it must be passed again, with more behind it.
    #[inline(always)]
    fn read_element(&mut self, rest: &[u8], at: &mut usize) -> Result<bool, Malformed> {
        let Some(&kind) = rest.first() else { return Ok(false) };
        match kind {
            b'+' | b'-' | b':' | b',' | b'_' | b'#' | b'(' => self.read_line(kind, rest, at),
            b'$' | b'=' | b'!' => {
                let Some((length, header)) = line::parse_number(rest)? else { return Ok(false) };
                let Some(length) = length else {
                    self.skip(1, Reply::VALUE);
                    *at += header;
                    return Ok(true);
                };
                let end = header + length as usize;
                if rest.get(end..end + 2).is_some_and(|end| end != b"\r\n") {
                    return Err(Malformed);
                }
                let reply = match kind {
                    b'!' => {
                        let wanted = (length as usize).min(MAX_LINE);
                        let Some(text) = rest.get(header..header + wanted) else { return Ok(false) };
                        Reply::of_error(text)
                    }
                    _ => Reply::VALUE,
                };
                self.skip(1, reply);
                *at += end + 2;
                Ok(true)
            }
            b'*' | b'~' | b'%' | b'>' | b'|' => self.read_aggregate(kind, rest, at),
            // Keep-alive of a server that prepares a replica.
            b'\n' if self.is_first() => {
                *at += 1;
                Ok(true)
            }
            _ => Err(Malformed),
        }
    }

    /// Reads an element that is a line.
    #[inline(always)]
    fn read_line(&mut self, kind: u8, rest: &[u8], at: &mut usize) -> Result<bool, Malformed> {
        let end = line::end(rest);
        if end.is_none() && rest.len() < MAX_LINE {
            return Ok(false);
        }
        let text = rest.get(1..end.unwrap_or(MAX_LINE)).unwrap_or_default();
        if end.is_some() && !text.ends_with(b"\r\n") {
            return Err(Malformed);
        }
        let reply = match kind {
            b'-' => Reply::of_error(text),
            b'_' => Reply { shape: Shape::Null, ..Reply::VALUE },
            b'+' if text == b"QUEUED\r\n" => Reply { shape: Shape::Queued, ..Reply::VALUE },
            b'+' if text.first().is_some_and(u8::is_ascii_digit) => Reply { shape: Shape::Line, ..Reply::VALUE },
            _ => Reply::VALUE,
        };
        self.skip(1, reply);
        self.in_line = end.is_none();
        *at += end.unwrap_or(rest.len());
        Ok(!self.in_line)
    }

    /// Reads an element that announces a number of others.
    fn read_aggregate(&mut self, kind: u8, rest: &[u8], at: &mut usize) -> Result<bool, Malformed> {
        let Some((count, header)) = line::parse_number(rest)? else { return Ok(false) };
        let elements = match kind {
            b'%' | b'|' => u64::from(count.unwrap_or(0)) * 2,
            _ => u64::from(count.unwrap_or(0)),
        };
        if kind == b'|' {
            // Attributes precede their element, and do not count as one.
            self.left = self.left.saturating_add(elements);
            *at += header;
            return Ok(true);
        }
        let mut reply = Reply::VALUE;
        if count.is_none() {
            reply.shape = Shape::Null;
        }
        if self.is_first() && elements > 0 && matches!(kind, b'*' | b'>') {
            let Some(word) = first_string(rest.get(header..).unwrap_or_default()) else { return Ok(false) };
            reply.shape = match (word, kind) {
                (b"message" | b"pmessage" | b"smessage", b'*') => Shape::Message,
                (b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe", kind) => {
                    if kind == b'>' {
                        Shape::PushedConfirmation
                    } else {
                        Shape::Confirmation
                    }
                }
                (_, b'>') => Shape::Push,
                _ => Shape::Value,
            };
        }
        self.skip(1, reply);
        self.left = self.left.saturating_add(elements);
        *at += header;
        Ok(true)
    }

    /// Whether the next element is the reply itself: not within one, and not among attributes before it.
    fn is_first(&self) -> bool {
        self.left == 1 && self.current.is_none()
    }

    /// Skips this many elements; the first of all defines the kind of the reply.
    #[inline]
    fn skip(&mut self, elements: u64, reply: Reply) {
        if self.is_first() {
            self.current = Some(reply);
        } else if self.left == self.results.0 && self.left > 0 {
            let (left, all) = self.results;
            if reply.code != Code::NONE {
                self.outcome.mark_failed(all - left);
            }
            self.results.0 -= 1;
        }
        self.left = self.left.saturating_sub(elements);
    }

    /// Searches the end of a long line.
    #[cold]
    fn skip_line_end(&mut self, bytes: &[u8], at: &mut usize) -> bool {
        let end = line::end(bytes.get(*at..).unwrap_or_default());
        self.in_line = end.is_none();
        *at = end.map_or(bytes.len().max(*at), |end| *at + end);
        !self.in_line
    }
}

/// Returns the first string of an array; empty if the array begins with another type or a long string, None if it has not come yet.
fn first_string(rest: &[u8]) -> Option<&[u8]> {
    match rest.first()? {
        b'$' => match line::parse_number(rest) {
            Ok(None) => None,
            Ok(Some((Some(length), header))) if length as usize <= MAX_WORD => rest.get(header..header + length as usize),
            _ => Some(&[]),
        },
        _ => Some(&[]),
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) const VALUE: Self = Self { shape: Shape::Value, code: Code::NONE };

    #[cold]
    fn of_error(text: &[u8]) -> Self {
        Self { shape: Shape::Value, code: Code::of(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Replies, Shape};
    use crate::line::Malformed;

    /// Describes all replies in the pieces of a stream; also returns the rest of the last piece.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<String>, usize), Malformed> {
        let (mut replies, mut told, mut bytes, mut skip) = (Replies::default(), Vec::new(), Vec::new(), 0_usize);
        for piece in pieces {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            bytes.extend_from_slice(&piece[skipped..]);
            if bytes.is_empty() {
                continue;
            }
            let mut at = 0;
            while let Some(reply) = replies.next(&bytes, 0, None, &mut at)? {
                told.push(format!("{:?}{:?}", reply.shape, reply.code));
            }
            skip += at.saturating_sub(bytes.len());
            bytes.drain(..at.min(bytes.len()));
        }
        Ok((told, bytes.len()))
    }

    fn one(bytes: &[u8]) -> String {
        let (told, kept) = read(&[bytes]).unwrap();
        assert_eq!((told.len(), kept), (1, 0), "{:?}", String::from_utf8_lossy(bytes));
        told.concat()
    }

    #[test]
    fn every_type_is_one_reply_however_it_is_cut_into_pieces() {
        let replies: [(&[u8], &str); 26] = [
            (b"+OK\r\n", "Value\"\""),
            (b"-ERR unknown command\r\n", "Value\"ERR\""),
            (b":-12\r\n", "Value\"\""),
            (b"$3\r\nab\n\r\n", "Value\"\""),
            (b"$0\r\n\r\n", "Value\"\""),
            (b"$-1\r\n", "Value\"\""),
            (b"*-1\r\n", "Null\"\""),
            (b"*0\r\n", "Value\"\""),
            (b"*2\r\n*2\r\n:1\r\n-WRONGTYPE x\r\n*1\r\n$1\r\nx\r\n", "Value\"\""),
            (b"_\r\n", "Null\"\""),
            (b",1.5e3\r\n", "Value\"\""),
            (b"#t\r\n", "Value\"\""),
            (b"(3492890328409238509324850943850943825024385\r\n", "Value\"\""),
            (b"!21\r\nSYNTAX invalid syntax\r\n", "Value\"SYNTAX\""),
            (b"=15\r\ntxt:Some string\r\n", "Value\"\""),
            (b"%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:1\r\n:2\r\n", "Value\"\""),
            (b"~1\r\n$1\r\na\r\n", "Value\"\""),
            (b"|1\r\n+ttl\r\n:1\r\n-MOVED 1 h:1\r\n", "Value\"MOVED\""),
            (b"|1\r\n+a\r\n*1\r\n+b\r\n*1\r\n|1\r\n+c\r\n:3\r\n:4\r\n", "Value\"\""),
            (b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", "Push\"\""),
            (b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "PushedConfirmation\"\""),
            (b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", "Confirmation\"\""),
            (b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "Message\"\""),
            (b"*1\r\n$20\r\naaaaaaaaaaaaaaaaaaaa\r\n", "Value\"\""),
            (b"+QUEUED\r\n", "Queued\"\""),
            (b"+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n", "Line\"\""),
        ];
        for (bytes, expected) in replies {
            assert_eq!(one(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        let all = replies.map(|(bytes, _)| bytes).concat();
        let expected: Vec<_> = replies.iter().map(|(_, told)| (*told).to_owned()).collect();
        assert_eq!(read(&[&all]), Ok((expected.clone(), 0)));
        assert_eq!(read(&all.chunks(1).collect::<Vec<_>>()), Ok((expected.clone(), 0)));
        for cut in 0..all.len() {
            assert_eq!(read(&[&all[..cut], &all[cut..]]), Ok((expected.clone(), 0)), "cut at {cut}");
        }
    }

    #[test]
    fn what_was_not_captured_is_passed_and_the_reply_ends_with_its_call() {
        let mut replies = Replies::default();
        let mut at = 0;
        let big = b"$100000\r\nxxxx";
        assert_eq!(
            replies.next(big, 99_998, None, &mut at).map(|reply| reply.map(|reply| reply.shape)),
            Ok(Some(Shape::Value))
        );
        assert_eq!(at, 9 + 100_000 + 2);
        let mut at = 0;
        assert_eq!(replies.next(big, 1000, None, &mut at), Ok(None), "it goes on in later calls");
        assert_eq!(at, 9 + 100_000);
        let mut at = 0;
        assert!(replies.next(b"\r\n+OK\r\n", 0, None, &mut at).unwrap().is_some());
        assert_eq!(at, 2);
    }

    #[test]
    fn a_long_line_is_not_kept() {
        let long = [b"-ERR ".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(read(&[&long, &[b'y'; 100_000], b"y\r\n+OK\r\n"]), Ok((vec!["Value\"ERR\"".into(), "Value\"\"".into()], 0)));
    }

    #[test]
    fn claims_of_a_billion_elements_and_deep_nesting_cost_nothing() {
        assert_eq!(read(&[&b"%2147483647\r\n".repeat(10_000)]), Ok((Vec::new(), 0)));
        assert_eq!(read(&[&b"*1\r\n".repeat(100_000), b":1\r\n"]), Ok((vec!["Value\"\"".into()], 0)));
        assert_eq!(read(&[b"*2147483648\r\n"]), Err(Malformed));
        for bad in [&b"HTTP/1.1 200 OK\r\n"[..], b"\0", b"+OK\n", b"$3\r\nabcdef", b"$?\r\n"] {
            assert_eq!(read(&[bad]), Err(Malformed), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
