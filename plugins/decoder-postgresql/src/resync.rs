//! Finds the start of a message after missing bytes.

use plugin_sdk::conversation::Sender;

use crate::message::{Framed, parse_message};
use crate::recognise::begins_session;

/// Maximum number of headers that are tried in one call: bounds the time for bytes that nearly fit everywhere.
const MAX_STEPS: usize = 2048;

/// Returns the position in a call at which messages begin again: its start if they fit there, else the first position from which messages
/// reach exactly its end, which requires that the whole call was captured. `missing` bytes follow that were not.
#[must_use]
pub(crate) fn resync(sender: Sender, bytes: &[u8], missing: u32) -> Option<usize> {
    let mut steps = MAX_STEPS;
    // A statement may be longer than a call.
    if follow_messages(sender, bytes, missing, &mut steps) || (sender == Sender::Client && begins_session(sender, bytes)) {
        return Some(0);
    }
    if missing > 0 {
        return None;
    }
    (1..bytes.len()).find(|&from| {
        let rest = bytes.get(from..).unwrap_or_default();
        steps > 0 && follow_messages(sender, rest, 0, &mut steps)
    })
}

/// Whether messages follow each other in these bytes exactly up to their end, or two of them beyond the captured part.
fn follow_messages(sender: Sender, bytes: &[u8], missing: u32, steps: &mut usize) -> bool {
    let mut rest = bytes;
    let mut headers = 0;
    while *steps > 0 {
        *steps -= 1;
        match parse_message(sender, rest) {
            Framed::Message(message) => {
                headers += 1;
                match rest.get(message.length..) {
                    Some([]) => return true,
                    Some(behind) => rest = behind,
                    // The last message ends in the missing bytes, or with them.
                    None => {
                        let over = message.length - rest.len();
                        return missing > 0 && (headers > 1 || over == missing as usize);
                    }
                }
            }
            Framed::Short => return missing > 0 && headers > 1,
            Framed::Broken => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::Sender;

    use super::resync;

    const END: &[u8] = b"C\0\0\0\x0dSELECT 9\0Z\0\0\0\x05I";

    #[test]
    fn a_call_that_ends_with_messages_is_read_from_the_first_of_them() {
        assert_eq!(resync(Sender::Server, END, 0), Some(0));
        let torn = [b"half of a row, with D\0\0\0 in it", END].concat();
        assert_eq!(resync(Sender::Server, &torn, 0), Some(torn.len() - END.len()));
        assert_eq!(resync(Sender::Server, b"half of a row", 0), None);
    }

    #[test]
    fn of_a_cut_call_only_the_start_may_be_one() {
        let row = b"D\0\0\0\x0a\0\x01\0\0\0\0";
        assert_eq!(resync(Sender::Server, &[&row[..], row, b"D\0"].concat(), 100), Some(0));
        assert_eq!(resync(Sender::Server, &[b"x", &row[..], row, b"D\0"].concat(), 100), None);
        assert_eq!(resync(Sender::Client, b"Q\0\0\0\x13SELECT", 9), Some(0), "one message, all of the call");
        assert_eq!(resync(Sender::Client, b"Q\0\0\x20\x13SELECT", 8), Some(0), "more of it comes in the next call");
        assert_eq!(resync(Sender::Client, b"E\0\0\0\x13SELECT", 8), None);
    }

    #[test]
    fn what_nearly_fits_everywhere_ends_too() {
        let nearly = [b"1\0\0\0\x04".repeat(3000), vec![b'x']].concat();
        assert_eq!(resync(Sender::Server, &nearly, 0), None);
    }
}
