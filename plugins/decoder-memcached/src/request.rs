//! The client's bytes: commands.

use plugin_sdk::scan;
use serde::{Deserialize, Serialize};

use crate::binary::{HEADER, Header, REQUEST};
use crate::line::{self, Malformed, words};
use crate::vocabulary::Name;

/// The position in a client's bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Whether the position is lost: the next command must be searched.
    is_lost: bool,
}

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its offset in the bytes.
    pub start: usize,
    pub name: Name,
    pub keys: u16,
    pub style: Style,
    pub answer: ReplyMode,
    /// Whether a meta command creates what does not exist; its reply is sent even if it is quiet.
    pub creates: bool,
    /// An identifier that the reply repeats, for matching; 0 for none.
    pub opaque: u32,
}

/// The encoding of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Style {
    Text,
    Meta,
    Binary,
}

/// Whether a command gets a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReplyMode {
    Always,
    /// Only for an unusual outcome: the command is quiet.
    Unusual,
    Never,
}

// === impl Requests ===

impl Requests {
    /// Marks the position in the bytes of one end as lost: bytes are missing, or could not be parsed.
    pub(crate) fn lose_position(&mut self) {
        self.is_lost = true;
    }

    /// Returns the next command that starts at `at` or behind, in a call of which `missing` bytes behind `bytes` were not captured. `at`
    /// moves over consumed bytes, and beyond the end of the bytes if a length covers bytes that are still to come. None: the rest of the
    /// bytes must be passed again, with more behind it.
    #[inline(always)]
    pub(crate) fn next(&mut self, bytes: &[u8], missing: usize, at: &mut usize) -> Result<Option<Command>, Malformed> {
        if self.is_lost && !self.find_command(bytes, at) {
            return Ok(None);
        }
        let rest = bytes.get(*at..).unwrap_or_default();
        let Some(&first) = rest.first() else { return Ok(None) };
        if first == REQUEST {
            return parse_binary(rest, at);
        }
        let (line, length) = match scan::line(rest) {
            Some((line, length)) => (line, Some(length)),
            // All words of the line behind the command's name may be keys.
            None if missing > 0 && rest.contains(&b' ') => (rest, None),
            None => return if rest.len() > line::MAX_LINE || !is_text(rest) { Err(Malformed) } else { Ok(None) },
        };
        let (command, data) = parse_text(line)?;
        let command = Command { start: *at, ..command };
        match length {
            Some(length) => *at += length + data.map_or(0, |data| data as usize + 2),
            None => *at = bytes.len() + missing,
        }
        Ok(Some(command))
    }

    /// Moves to the start of the next command: the first line that begins with the name of a command.
    #[cold]
    fn find_command(&mut self, bytes: &[u8], at: &mut usize) -> bool {
        let is_start = |&start: &usize| {
            let rest = bytes.get(start..).unwrap_or_default();
            match Header::read(rest) {
                Some(header) if rest.first() == Some(&REQUEST) => start == 0 && header.is_sound(),
                _ => first_command(rest).is_some(),
            }
        };
        let behind_lines = bytes.iter().enumerate().skip(*at).filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
        let found = std::iter::once(*at).chain(behind_lines).find(is_start);
        *at = found.unwrap_or(bytes.len()).max(*at);
        self.is_lost = found.is_none();
        !self.is_lost
    }
}

/// Returns the command at the start of these bytes, if its line is complete and its name is known.
pub(crate) fn first_command(bytes: &[u8]) -> Option<Command> {
    let (line, _) = scan::line(bytes)?;
    let (command, _) = parse_text(line).ok()?;
    (command.name != Name::default()).then_some(command)
}

/// Parses the command on a line, as if it began at 0; also returns the length of the data behind the line.
#[inline(always)]
fn parse_text(line: &[u8]) -> Result<(Command, Option<u32>), Malformed> {
    let end = scan::find(line, b' ').unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or_default();
    let mut command = Command {
        start: 0,
        name: Name::of(name),
        keys: 1,
        style: Style::Text,
        answer: ReplyMode::Always,
        creates: false,
        opaque: 0,
    };
    let mut data = None;
    match name {
        b"get" | b"gets" => command.keys = count_keys(rest, 0),
        b"gat" | b"gats" => command.keys = count_keys(rest, 1),
        b"set" | b"add" | b"replace" | b"append" | b"prepend" => data = words(rest).nth(3).and_then(line::parse_length),
        // Without its last number it is refused, and no value follows.
        b"cas" => data = words(rest).nth(4).and_then(|_| words(rest).nth(3)).and_then(line::parse_length),
        b"mg" | b"ms" | b"md" | b"ma" | b"mn" | b"me" => {
            command.style = Style::Meta;
            if name == b"ms" {
                data = words(rest).nth(1).and_then(line::parse_length);
            }
            let flags = words(rest).skip(if name == b"ms" { 2 } else { 1 });
            // `mn` and `me` have no quiet form: servers accept the flag and reply all the same.
            if !matches!(name, b"mn" | b"me") && flags.clone().any(|flag| flag == b"q") {
                command.answer = ReplyMode::Unusual;
                command.creates = flags.clone().any(|flag| flag.first() == Some(&b'N'));
            }
            command.opaque = line::hash_opaque(flags);
        }
        b"quit" | b"shutdown" => (command.answer, command.keys) = (ReplyMode::Never, 0),
        _ if command.name == Name::default() && !is_text(line) => return Err(Malformed),
        _ => {}
    }
    if command.style == Style::Text && rest.ends_with(b" noreply") {
        command.answer = ReplyMode::Never;
    }
    Ok((command, data))
}

fn parse_binary(rest: &[u8], at: &mut usize) -> Result<Option<Command>, Malformed> {
    let Some(header) = Header::read(rest) else { return Ok(None) };
    if !header.is_sound() {
        return Err(Malformed);
    }
    let (name, is_quiet) = Name::of_opcode(header.opcode);
    let command = Command {
        start: *at,
        name,
        keys: u16::from(header.key > 0),
        style: Style::Binary,
        answer: if is_quiet { ReplyMode::Unusual } else { ReplyMode::Always },
        creates: false,
        opaque: header.opaque,
    };
    *at += HEADER + header.body as usize;
    Ok(Some(command))
}

/// Counts the words behind the first `behind` ones.
fn count_keys(line: &[u8], behind: usize) -> u16 {
    words(line).skip(behind).count().try_into().unwrap_or(u16::MAX)
}

/// Whether a server would accept this as a line at all.
fn is_text(line: &[u8]) -> bool {
    line.iter().take(256).all(|&byte| (b' '..0x7f).contains(&byte) || byte == b'\r' || byte == b'\t' || byte >= 0x80)
        && line.first() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::{ReplyMode, Requests, Style};
    use crate::line::Malformed;

    /// Describes all commands in the pieces of a stream; also returns the rest of the last piece.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<String>, usize), Malformed> {
        let (mut requests, mut told, mut bytes, mut skip) = (Requests::default(), Vec::new(), Vec::new(), 0_usize);
        for piece in pieces {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            bytes.extend_from_slice(&piece[skipped..]);
            let mut at = 0;
            while let Some(command) = requests.next(&bytes, 0, &mut at)? {
                let answer = if command.answer == ReplyMode::Always { "" } else { "!" };
                told.push(format!("{}{answer}{}", command.name.text(), command.keys));
            }
            skip += at.saturating_sub(bytes.len());
            bytes.drain(..at.min(bytes.len()));
        }
        Ok((told, bytes.len()))
    }

    const PIPELINE: &[u8] =
        b"set k 0 0 7\r\nget x\r\n\r\nget a b  c\r\ndelete k noreply\r\ncas k 0 0 1 99 noreply\r\nx\r\nmg k v q O1\r\n\
        ms k 2 T0\r\nhi\r\nmn\r\nhunter2 x\r\nset k 0 0 -1\r\nset k 0 0 2147483647\r\nstats\r\nquit\r\n";

    #[test]
    fn a_pipeline_is_read_however_it_is_cut_into_pieces() {
        let expected =
            ["set1", "get3", "delete!1", "cas!1", "mg!1", "ms1", "mn1", "OTHER1", "set1", "set1", "stats1", "quit!0"]
                .map(str::to_owned)
                .to_vec();
        assert_eq!(read(&[PIPELINE]), Ok((expected.clone(), 0)));
        for cut in 0..PIPELINE.len() {
            assert_eq!(read(&[&PIPELINE[..cut], &PIPELINE[cut..]]), Ok((expected.clone(), 0)), "cut at {cut}");
        }
        assert_eq!(read(&PIPELINE.chunks(1).collect::<Vec<_>>()), Ok((expected, 0)));
    }

    #[test]
    fn a_value_is_passed_by_its_length_and_keys_that_were_not_captured_are_keys() {
        let (mut requests, mut at) = (Requests::default(), 0);
        let set = b"set k 0 0 100000\r\nxxx";
        assert!(requests.next(set, 99_999, &mut at).unwrap().is_some());
        assert_eq!(at, 18 + 100_002);
        let (mut at, get) = (0, b"get key1 key2 ke");
        assert_eq!(requests.next(get, 500, &mut at).unwrap().unwrap().keys, 3);
        assert_eq!(at, get.len() + 500);
    }

    #[test]
    fn binary_messages_are_headers_and_bodies() {
        let mut message = [0; 24];
        (message[0], message[1], message[3], message[11], message[15]) = (0x80, 0x0d, 3, 3, 7);
        let (mut requests, mut at) = (Requests::default(), 0);
        let command = requests.next(&[&message[..], b"key"].concat(), 0, &mut at).unwrap().unwrap();
        assert_eq!(
            (command.name.text(), command.style, command.answer, command.opaque),
            ("get", Style::Binary, ReplyMode::Unusual, 7)
        );
        assert_eq!(at, 27);
        message[8] = 0xff;
        assert_eq!(requests.next(&message, 0, &mut 0), Err(Malformed), "a body of 4 GiB");
        (message[8], message[11]) = (0, 2);
        assert_eq!(requests.next(&message, 0, &mut 0), Err(Malformed), "a key that is longer than the body");
        assert_eq!(requests.next(&message[..23], 0, &mut 0), Ok(None));
    }

    #[test]
    fn after_a_loss_the_next_line_with_a_known_name_is_found() {
        let mut requests = Requests::default();
        requests.lose_position();
        let (mut at, bytes) = (0, b"lue\r\nhunter2 x\r\nget k\r\n");
        let found = requests.next(bytes, 0, &mut at).unwrap().unwrap();
        assert_eq!((found.name.text(), found.start), ("get", 16));
        for bad in [&b"\x16\x03\x01\x02\0\x01\n"[..], b" get\r\n", &[b'x'; 9000]] {
            assert_eq!(Requests::default().next(bad, 0, &mut 0), Err(Malformed));
        }
    }
}
