//! The server's bytes: replies of one or more lines.

use plugin_sdk::scan;
use serde::{Deserialize, Serialize};

use crate::binary::{HEADER, Header, RESPONSE};
use crate::line::{self, Malformed, words};
use crate::request::Style;
use crate::vocabulary::{Code, Name};

/// The position in a server's bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Replies {
    /// Number of values of the current reply so far.
    values: u32,
    /// A reply whose last byte is still to come.
    ending: Option<Reply>,
}

/// One reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub code: Code,
    /// Number of values in it.
    pub values: u32,
    pub style: Style,
    /// The opaque of its command.
    pub opaque: u32,
    /// For a binary message: its command, and whether that is a quiet one.
    pub command: (Name, bool),
}

// === impl Replies ===

impl Replies {
    /// Marks the position as lost: a reply of which only a part was read is dropped.
    pub(crate) fn lose_position(&mut self) {
        *self = Self::default();
    }

    /// Returns the next reply that ends in this call, of which `missing` bytes behind `bytes` were not captured. `at` moves over consumed
    /// bytes, and beyond the end of the bytes if a length covers bytes that are still to come. None: the rest of the bytes must be passed
    /// again, with more behind it.
    #[inline(always)]
    pub(crate) fn next(&mut self, bytes: &[u8], missing: usize, at: &mut usize) -> Result<Option<Reply>, Malformed> {
        if *at < bytes.len()
            && let Some(reply) = self.ending.take()
        {
            *at += 1;
            return Ok(Some(reply));
        }
        loop {
            let rest = bytes.get(*at..).unwrap_or_default();
            let Some(&first) = rest.first() else { return Ok(None) };
            let mut part = Part { reply: Reply::TEXT, is_last: true, length: 0 };
            if first == RESPONSE {
                if !part.read_binary(rest)? {
                    return Ok(None);
                }
            } else {
                let Some((line, length)) = scan::line(rest) else {
                    return if rest.len() > line::MAX_LINE { Err(Malformed) } else { Ok(None) };
                };
                part.length = length;
                part.read_line(line)?;
            }
            *at += part.length;
            if !part.is_last {
                self.values += u32::from(first == b'V');
                continue;
            }
            part.reply.values += std::mem::take(&mut self.values);
            if *at > bytes.len() + missing {
                // The reply ends in a later call, and so does the command: its last byte is waited for.
                *at -= 1;
                self.ending = Some(part.reply);
                return Ok(None);
            }
            return Ok(Some(part.reply));
        }
    }
}

/// A line or a message of a reply.
struct Part {
    /// The reply that it belongs to.
    reply: Reply,
    /// Whether it ends the reply.
    is_last: bool,
    /// Length with the data behind it.
    length: usize,
}

// === impl Part ===

impl Part {
    /// Reads a line whose length is known.
    #[inline(always)]
    fn read_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let end = scan::find(line, b' ').unwrap_or(line.len());
        let word = line.get(..end).unwrap_or_default();
        let rest = || words(line.get(end..).unwrap_or_default());
        match word {
            b"VALUE" | b"CONFIG" => {
                self.is_last = false;
                self.add_data(rest().nth(2))?;
            }
            b"STAT" | b"ITEM" | b"mg" => self.is_last = false,
            _ if word.starts_with(b"key=") => self.is_last = false,
            b"VA" | b"HD" | b"EN" | b"NF" | b"NS" | b"EX" | b"MN" | b"ME" => {
                (self.reply.code, self.reply.style) = (Code::of(word), Style::Meta);
                self.reply.opaque = line::hash_opaque(rest());
                if word == b"VA" {
                    self.reply.values = 1;
                    self.add_data(rest().next())?;
                }
            }
            _ => {
                self.reply.code = Code::of(word);
                // A number, the version, or a new word.
                let is_word = |is_part: fn(&u8) -> bool| !word.is_empty() && word.iter().all(is_part);
                if self.reply.code == Code::NONE
                    && !is_word(u8::is_ascii_digit)
                    && !is_word(|byte| byte.is_ascii_uppercase() || *byte == b'_')
                {
                    return Err(Malformed);
                }
            }
        }
        Ok(())
    }

    /// Adds the length of the data behind the line, which this word gives.
    #[inline(always)]
    fn add_data(&mut self, length: Option<&[u8]>) -> Result<(), Malformed> {
        self.length += length.and_then(line::parse_length).ok_or(Malformed)? as usize + 2;
        Ok(())
    }

    /// Reads a binary message; returns false if its header has not come.
    fn read_binary(&mut self, rest: &[u8]) -> Result<bool, Malformed> {
        let Some(header) = Header::read(rest) else { return Ok(false) };
        if !header.is_sound() {
            return Err(Malformed);
        }
        let command @ (name, _) = Name::of_opcode(header.opcode);
        let values = u32::from(header.status == 0 && matches!(name.text(), "get" | "gat"));
        self.reply =
            Reply { code: Code::of_status(header.status), values, style: Style::Binary, opaque: header.opaque, command };
        // Statistics are many messages, the last of which is empty.
        self.is_last = !(name.text() == "stats" && header.body > 0 && header.status == 0);
        self.length = HEADER + header.body as usize;
        Ok(true)
    }
}

// === impl Reply ===

impl Reply {
    /// A text reply before its line is parsed.
    const TEXT: Self = Self { code: Code::NONE, values: 0, style: Style::Text, opaque: 0, command: (Name::NONE, false) };
}

#[cfg(test)]
mod tests {
    use super::Replies;
    use crate::line::Malformed;

    fn read(pieces: &[&[u8]]) -> Result<(Vec<String>, usize), Malformed> {
        let (mut replies, mut told, mut bytes, mut skip) = (Replies::default(), Vec::new(), Vec::new(), 0_usize);
        for piece in pieces {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            bytes.extend_from_slice(&piece[skipped..]);
            let mut at = 0;
            while let Some(reply) = replies.next(&bytes, 0, &mut at)? {
                told.push(format!("{}{}", reply.code.text(), reply.values));
            }
            skip += at.saturating_sub(bytes.len());
            bytes.drain(..at.min(bytes.len()));
        }
        Ok((told, bytes.len()))
    }

    const REPLIES: &[u8] = b"STORED\r\nVALUE a 0 5\r\nEND\r\n\r\nVALUE b 0 0 77\r\n\r\nEND\r\nEND\r\n12\r\n9 \r\nVA 2 t0\r\nhi\r\nEN\r\nHD O1\r\nMN\r\n\
        STAT pid 1\r\nSTAT x y\r\nEND\r\nVERSION 1.6.18\r\nCLIENT_ERROR bad hunter2\r\nkey=a exp=1\r\nEND\r\nME k x=1\r\nBUSY x\r\nNEW\r\n";

    #[test]
    fn replies_are_read_however_they_are_cut_into_pieces() {
        let expected = [
            "STORED0",
            "END2",
            "END0",
            "0",
            "0",
            "VA1",
            "EN0",
            "HD0",
            "MN0",
            "END0",
            "0",
            "CLIENT_ERROR0",
            "END0",
            "ME0",
            "BUSY0",
            "0",
        ];
        let expected = expected.map(str::to_owned).to_vec();
        assert_eq!(read(&[REPLIES]), Ok((expected.clone(), 0)));
        for cut in 0..REPLIES.len() {
            assert_eq!(read(&[&REPLIES[..cut], &REPLIES[cut..]]), Ok((expected.clone(), 0)), "cut at {cut}");
        }
        assert_eq!(read(&REPLIES.chunks(1).collect::<Vec<_>>()), Ok((expected, 0)));
    }

    #[test]
    fn what_is_no_reply_is_garbled_and_claims_are_not_believed() {
        for bad in [
            "VALUE k 0 9223372036854775807\r\n",
            "VALUE k 0 -1\r\n",
            "VALUE k\r\n",
            "VA 2147483647\r\n",
            "hunter2\r\n",
            "\r\n",
            "\0\n",
        ] {
            assert_eq!(read(&[bad.as_bytes()]), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_reply_ends_with_the_call_that_it_ends_in() {
        let (mut replies, mut at) = (Replies::default(), 0);
        assert!(replies.next(b"VA 100000\r\nxx", 100_000, &mut at).unwrap().is_some());
        assert_eq!(at, 11 + 100_002);
        let mut at = 0;
        assert_eq!(replies.next(b"VA 100000\r\nxx", 1000, &mut at), Ok(None));
        assert_eq!(at, 11 + 100_001);
        let mut at = 0;
        assert!(replies.next(b"\n", 0, &mut at).unwrap().is_some());
    }
}
