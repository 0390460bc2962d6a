//! Finds the start of a packet after missing bytes.

use plugin_sdk::conversation::Sender;

use crate::packet::{HEADER, Packet, parse_packet};
use crate::recognise::is_command;
use crate::vocabulary;

/// Maximum number of headers that are tried in one call: bounds the time for bytes that nearly fit everywhere.
const MAX_STEPS: usize = 2048;

/// Maximum length that a separate header may claim, a megabyte: without it any four bytes would be accepted.
const LONGEST_READ: usize = 1 << 20;

/// Returns the position in a call at which packets begin again: its start if they fit there, else the first position from which packets of
/// a server reach exactly its end and the last of them may end a response, which requires that the whole call was captured. `missing` bytes
/// follow that were not.
pub(crate) fn resync(sender: Sender, bytes: &[u8], missing: u32) -> Option<usize> {
    let mut steps = MAX_STEPS;
    // Servers read a header separately, and then the rest.
    if missing == 0
        && bytes.len() == HEADER
        && parse_packet(bytes).is_some_and(|packet| (1..LONGEST_READ).contains(&packet.length))
    {
        return Some(0);
    }
    let is_long_command = || sender == Sender::Client && parse_packet(bytes).is_some_and(|packet| is_command(&packet));
    if follow_packets(sender, bytes, missing, &mut steps).is_some() || is_long_command() {
        return Some(0);
    }
    if missing > 0 || sender == Sender::Client {
        return None;
    }
    let ends_well = |packet: Packet<'_>| matches!(packet.body.first(), Some(0 | 0xfe | 0xff));
    (1..bytes.len()).find(|&from| {
        let rest = bytes.get(from..).unwrap_or_default();
        steps > 0 && follow_packets(sender, rest, 0, &mut steps).is_some_and(ends_well)
    })
}

/// Returns the last of the packets that follow each other in these bytes exactly up to their end, or beyond the captured part if there are
/// three of them.
fn follow_packets<'a>(sender: Sender, bytes: &'a [u8], missing: u32, steps: &mut usize) -> Option<Packet<'a>> {
    let mut rest = bytes;
    let mut last: Option<Packet<'_>> = None;
    let mut headers = 0;
    while *steps > 0 {
        *steps -= 1;
        let Some(packet) = parse_packet(rest) else { return last.filter(|_| missing > 0 && headers > 2) };
        if !fits(sender, last, &packet) {
            return None;
        }
        headers += 1;
        last = Some(packet);
        match rest.get(packet.length..) {
            Some([]) => return last,
            Some(behind) => rest = behind,
            None => {
                let over = packet.length - rest.len();
                return last.filter(|_| missing > 0 && (headers > 2 || over == missing as usize));
            }
        }
    }
    None
}

/// Whether a packet may follow this one: commands begin at 0, all others continue the numbers.
fn fits(sender: Sender, last: Option<Packet<'_>>, packet: &Packet<'_>) -> bool {
    let counts_on = last.is_none_or(|last| packet.number == last.number.wrapping_add(1));
    match sender {
        Sender::Server => counts_on && packet.length > HEADER,
        Sender::Client if packet.number == 0 => packet.body.first().is_some_and(|code| vocabulary::answer(*code).is_some()),
        Sender::Client => counts_on,
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::Sender;

    use super::resync;

    const END: &[u8] = b"\x02\0\0\x09\x017\x05\0\0\x0a\xfe\0\0\x02\0";

    #[test]
    fn a_call_that_ends_with_packets_is_read_from_the_first_of_them() {
        assert_eq!(resync(Sender::Server, END, 0), Some(0));
        let torn = [b"half of a row \x09\0\0\x01", END].concat();
        assert_eq!(resync(Sender::Server, &torn, 0), Some(torn.len() - END.len()));
        assert_eq!(resync(Sender::Server, b"half of a row", 0), None);
        assert_eq!(resync(Sender::Server, b"half \x02\0\0\x07\x01x", 0), None, "no answer ends so");
    }

    #[test]
    fn a_command_is_one_call_or_begins_one_that_was_cut() {
        let query = b"\x09\0\0\0\x03SELECT 1";
        assert_eq!(resync(Sender::Client, query, 0), Some(0));
        assert_eq!(resync(Sender::Client, &query[..8], 5), Some(0));
        assert_eq!(resync(Sender::Client, b"\x99\0\0\0\x03SELECT 1", 0), Some(0), "more of it comes in the next call");
        assert_eq!(resync(Sender::Client, b"\x99\0\0\0\x03sausages", 0), None);
        assert_eq!(resync(Sender::Client, b"\x09\0\0\0\x77SELECT 1", 0), None);
        assert_eq!(resync(Sender::Client, &query[..4], 0), Some(0), "servers read a header by itself");
        assert_eq!(resync(Sender::Client, b"\x03SEL", 0), None);
    }

    #[test]
    fn what_nearly_fits_everywhere_ends_too() {
        assert_eq!(resync(Sender::Server, &[0; 9000], 0), None);
        assert_eq!(resync(Sender::Server, &[b"\x01\0\0\x01\0".repeat(3000), vec![b'x']].concat(), 0), None);
    }
}
