//! The client's bytes: commands.

use serde::{Deserialize, Serialize};

use crate::inline::Words;
use crate::line::{self, Malformed};
use crate::vocabulary::{Kind, Name, Vocabulary};

/// The position in a client's bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Number of arguments of the last command that are still to come.
    left: u32,
    /// Whether the position is lost: the next command must be searched.
    is_lost: bool,
}

/// One command, once its name is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its offset in the bytes.
    pub start: usize,
    pub name: Name,
    pub kind: Kind,
    /// Number of arguments behind the name.
    pub arguments: u32,
    /// For `SELECT` the database; for `CLIENT REPLY` one of [`ON`], [`OFF`] and [`SKIP`].
    pub detail: u16,
}

/// `CLIENT REPLY ON`
pub(crate) const ON: u16 = 0;
/// `CLIENT REPLY OFF`
pub(crate) const OFF: u16 = 1;
/// `CLIENT REPLY SKIP`
pub(crate) const SKIP: u16 = 2;

/// Maximum length of a command's name; the longest known one has 21 bytes.
const MAX_NAME: u32 = 64;
/// Maximum length of an inline command. Redis accepts 64 KiB, but typed commands are shorter.
const MAX_INLINE: usize = 1024;

// === impl Requests ===

impl Requests {
    /// Marks the position as lost: the next command must be searched.
    pub(crate) fn lose_position(&mut self) {
        *self = Self { left: 0, is_lost: true };
    }

    /// Returns the next command that starts at `at` or behind. `at` moves over consumed bytes, and beyond the end of the bytes if a length
    /// covers bytes that are still to come. None: the rest of the bytes must be passed again, with more behind it.
    #[inline(always)]
    pub(crate) fn next(&mut self, words: &Vocabulary, bytes: &[u8], at: &mut usize) -> Result<Option<Command>, Malformed> {
        if self.is_lost && !self.find_command(words, bytes, at) {
            return Ok(None);
        }
        loop {
            while self.left > 0 {
                if !skip_string(bytes, at)? {
                    return Ok(None);
                }
                self.left -= 1;
            }
            let rest = bytes.get(*at..).unwrap_or_default();
            match rest.first() {
                None => return Ok(None),
                Some(b'*') => match line::parse_number(rest)? {
                    None => return Ok(None),
                    // An empty command, which gets no reply.
                    Some((None | Some(0), length)) => *at += length,
                    Some((Some(count), length)) => {
                        let Some((command, end, left)) = parse_command(words, bytes, *at, count, length)? else {
                            return Ok(None);
                        };
                        (*at, self.left) = (end, left);
                        return Ok(Some(command));
                    }
                },
                Some(b'\r' | b'\n') => *at += 1,
                Some(_) => {
                    let Some((command, length)) = parse_inline(words, rest, *at)? else { return Ok(None) };
                    *at += length;
                    return Ok(Some(command));
                }
            }
        }
    }

    /// Moves to the start of the next command. A match behind other bytes counts only if its name is known.
    #[cold]
    fn find_command(&mut self, words: &Vocabulary, bytes: &[u8], at: &mut usize) -> bool {
        let is_start = |&start: &usize| {
            let rest = bytes.get(start..).unwrap_or_default();
            match rest.first() {
                Some(b'*') => first_command(words, rest).is_some_and(|command| start == 0 || command.name != Name::default()),
                Some(byte) if is_word(byte) && start == 0 => matches!(parse_inline(words, rest, 0), Ok(Some(_))),
                _ => false,
            }
        };
        let behind_lines = bytes.iter().enumerate().skip(*at).filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
        let found = std::iter::once(*at).chain(behind_lines).find(is_start);
        *at = found.unwrap_or(bytes.len()).max(*at);
        self.is_lost = found.is_none();
        !self.is_lost
    }
}

/// Returns the command at the start of these bytes, if its name has come.
pub(crate) fn first_command(words: &Vocabulary, bytes: &[u8]) -> Option<Command> {
    match (bytes.first()?, line::parse_number(bytes)) {
        (b'*', Ok(Some((Some(count @ 1..), length)))) => {
            let (command, ..) = parse_command(words, bytes, 0, count, length).ok()??;
            Some(command)
        }
        (b'*', _) => None,
        _ => Some(parse_inline(words, bytes, 0).ok()??.0),
    }
}

/// Parses a command of `count` strings, the first of which is `header` bytes behind `start`; returns it with the offset behind the parsed
/// strings and the number of remaining ones. None if one of the strings has not come yet.
#[inline(always)]
fn parse_command(
    words: &Vocabulary,
    bytes: &[u8],
    start: usize,
    count: u32,
    header: usize,
) -> Result<Option<(Command, usize, u32)>, Malformed> {
    let mut at = start + header;
    let Some(name) = parse_string(bytes, &mut at)? else { return Ok(None) };
    let name = words.command(name);
    let mut command = Command { start, name, kind: words.kind(name), arguments: count.saturating_sub(1), detail: 0 };
    let mut left = command.arguments;
    while command.needs_argument() && left > 0 {
        let Some(argument) = parse_string(bytes, &mut at)? else { return Ok(None) };
        left -= 1;
        if !command.read_argument(words, argument) {
            break;
        }
    }
    Ok(Some((command, at, left)))
}

/// Whether a word can begin with this byte.
const fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'"' | b'\'')
}

/// Parses an inline command; also returns the length of the line.
#[cold]
fn parse_inline(words: &Vocabulary, rest: &[u8], start: usize) -> Result<Option<(Command, usize)>, Malformed> {
    let Some(length) = line::end(rest) else {
        let may_become_one = rest.len() < MAX_INLINE && rest.first().is_some_and(is_word);
        return if may_become_one { Ok(None) } else { Err(Malformed) };
    };
    let text = rest.get(..length).unwrap_or_default();
    let (mut parts, mut part) = (Words::new(text), Vec::new());
    parts.next(&mut part);
    let name = words.command(&part);
    // An HTTP request is not the command `GET`: Redis closes such a connection as well.
    if name == Name::default() || text.ends_with(b" HTTP/1.1\r\n") {
        return Err(Malformed);
    }
    let mut command = Command { start, name, kind: words.kind(name), arguments: 0, detail: 0 };
    let mut wants_more = command.needs_argument();
    while parts.next(&mut part) {
        command.arguments += 1;
        wants_more = wants_more && command.read_argument(words, &part) && command.needs_argument();
    }
    // Such a line is always answered with an error.
    if parts.is_unbalanced {
        command.kind = Kind::Plain;
    }
    Ok(Some((command, length)))
}

/// Returns the string at `at`, and moves `at` behind it; an empty string if it is too long for a name. None if it has not come yet.
#[inline]
fn parse_string<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, Malformed> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let Some((length, header)) = parse_string_header(rest)? else { return Ok(None) };
    let end = header + length as usize;
    *at += end + 2;
    if length > MAX_NAME {
        return Ok(Some(&[]));
    }
    match rest.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(rest.get(header..end)),
        Some(_) => Err(Malformed),
    }
}

/// Moves `at` behind the string there, whose bytes may still be to come. Returns false if its length has not come yet.
#[inline]
fn skip_string(bytes: &[u8], at: &mut usize) -> Result<bool, Malformed> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let Some((length, header)) = parse_string_header(rest)? else { return Ok(false) };
    let end = header + length as usize;
    if rest.get(end..end + 2).is_some_and(|end| end != b"\r\n") {
        return Err(Malformed);
    }
    *at += end + 2;
    Ok(true)
}

/// Returns the length of a string and that of its header; None if they have not come yet.
#[inline(always)]
fn parse_string_header(rest: &[u8]) -> Result<Option<(u32, usize)>, Malformed> {
    match rest.first() {
        None => Ok(None),
        Some(b'$') => match line::parse_number(rest)? {
            None => Ok(None),
            Some((Some(length), header)) => Ok(Some((length, header))),
            Some((None, _)) => Err(Malformed),
        },
        Some(_) => Err(Malformed),
    }
}

// === impl Command ===

impl Command {
    /// Whether its name or its effect depends on the next argument.
    #[inline]
    fn needs_argument(&self) -> bool {
        matches!(self.kind, Kind::Container | Kind::Select | Kind::Reply)
    }

    /// Applies the next argument; returns whether the one behind it is needed, too.
    fn read_argument(&mut self, words: &Vocabulary, argument: &[u8]) -> bool {
        match self.kind {
            Kind::Container => {
                let container = self.name;
                self.name = words.subcommand(container, argument);
                self.kind = if self.name == container { Kind::Plain } else { words.kind(self.name) };
                self.arguments -= u32::from(self.name != container);
                true
            }
            Kind::Select => {
                self.detail = std::str::from_utf8(argument).ok().and_then(|index| index.parse().ok()).unwrap_or_default();
                false
            }
            Kind::Reply => {
                self.detail = match argument.to_ascii_uppercase().as_slice() {
                    b"OFF" => OFF,
                    b"SKIP" => SKIP,
                    _ => ON,
                };
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, OFF, Requests};
    use crate::line::Malformed;
    use crate::vocabulary::{Kind, Vocabulary};

    /// Returns the names of all commands in the pieces of a stream, with their number of arguments, and the rest of the last piece.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<(String, u32)>, usize), Malformed> {
        let (words, mut requests) = (Vocabulary::new(), Requests::default());
        let (mut names, mut bytes, mut skip) = (Vec::new(), Vec::new(), 0_usize);
        for piece in pieces {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            bytes.extend_from_slice(&piece[skipped..]);
            let mut at = 0;
            while let Some(command) = requests.next(&words, &bytes, &mut at)? {
                names.push((command.name.text().to_owned(), command.arguments));
            }
            skip += at.saturating_sub(bytes.len());
            bytes.drain(..at.min(bytes.len()));
        }
        Ok((names, bytes.len()))
    }

    fn named(names: &[(&str, u32)]) -> Vec<(String, u32)> {
        names.iter().map(|(name, arguments)| ((*name).to_owned(), *arguments)).collect()
    }

    const PIPELINE: &[u8] = b"*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$12\r\n*1\r\n$4\r\nPING\r\n\
        *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*0\r\nPING hello\r\n\r\n*3\r\n$6\r\nCLIENT\r\n$7\r\nsetinfo\r\n$0\r\n\r\n*1\r\n$6\r\nfoobar\r\n";

    #[test]
    fn a_pipeline_is_read_however_it_is_cut_into_pieces() {
        let expected = named(&[("SET", 2), ("GET", 1), ("PING", 1), ("CLIENT SETINFO", 1), ("OTHER", 0)]);
        assert_eq!(read(&[PIPELINE]), Ok((expected.clone(), 0)));
        for cut in 0..PIPELINE.len() {
            assert_eq!(read(&[&PIPELINE[..cut], &PIPELINE[cut..]]), Ok((expected.clone(), 0)), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = PIPELINE.chunks(1).collect();
        assert_eq!(read(&bytes), Ok((expected, 0)));
    }

    #[test]
    fn a_value_that_was_not_captured_is_passed_by_its_length() {
        let (words, mut requests) = (Vocabulary::new(), Requests::default());
        let mut at = 0;
        let bytes = b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$100000\r\nxxxx";
        let command = requests.next(&words, bytes, &mut at).unwrap().unwrap();
        assert_eq!((command.name.text(), command.arguments), ("MSET", 4));
        assert_eq!(requests.next(&words, bytes, &mut at), Ok(None));
        assert_eq!(at, bytes.len() - 4 + 100_002);
        let mut at = 0;
        let rest = b"$1\r\nb\r\n$2\r\nyy\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(requests.next(&words, rest, &mut at).unwrap().unwrap().name.text(), "PING");
    }

    #[test]
    fn after_a_loss_the_next_command_with_a_known_name_is_found() {
        let (words, mut requests) = (Vocabulary::new(), Requests::default());
        requests.lose_position();
        let (mut at, nothing) = (0, b"lue\r\n*2\r\n$3\r\nxyz\r\n$1\r\n1\r\n");
        assert_eq!(requests.next(&words, nothing, &mut at), Ok(None));
        assert_eq!(at, nothing.len());
        let (mut at, bytes) = (0, b"ue\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        let found = requests.next(&words, bytes, &mut at).unwrap().unwrap();
        assert_eq!((found.name.text(), found.start), ("GET", 15));
    }

    #[test]
    fn what_redis_would_refuse_is_garbled_and_claims_are_not_believed() {
        let bad: [&[u8]; 9] = [
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/1.1\r\n",
            b"hi there\r\n",
            b"*1\r\n:3\r\n",
            b"*1\r\n$-1\r\n",
            b"*2147483648\r\n",
            b"*1\r\n$2147483648\r\n",
            b"*1\r\n$3\r\nGETxx",
            b"*2\r\n$3\r\nGET\r\n$1\r\nabc",
        ];
        for bytes in bad {
            assert_eq!(read(&[bytes]).map(drop), Err(Malformed), "{:?}", String::from_utf8_lossy(bytes));
        }
        // The largest values that may be claimed: nothing is allocated for them, and offsets stay within 32 bits.
        let (names, kept) = read(&[b"*2147483647\r\n$2147483647\r\n", b"x"]).unwrap();
        assert_eq!((names, kept), (named(&[("OTHER", 2_147_483_646)]), 0));
    }

    #[test]
    fn what_changes_the_conversation_is_told() {
        let words = Vocabulary::new();
        let first = |bytes: &[u8]| Requests::default().next(&words, bytes, &mut 0).unwrap().unwrap();
        let is = |command: Command, kind: Kind, detail: u16| assert_eq!((command.kind, command.detail), (kind, detail));
        is(first(b"*2\r\n$6\r\nselect\r\n$2\r\n15\r\n"), Kind::Select, 15);
        is(first(b"SELECT 3\r\n"), Kind::Select, 3);
        is(first(b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\noff\r\n"), Kind::Reply, OFF);
        is(first(b"*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n"), Kind::Plain, 0);
        is(first(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n"), Kind::Subscribe, 0);
        is(first(b"*1\r\n$6\r\nCLIENT\r\n"), Kind::Container, 0);
    }
}
