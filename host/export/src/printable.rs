//! Text from guests, the kernel and the network, made safe to show.

use host_model::text::shown;

/// Shows at most `limit` characters; in the place of what could steer a terminal or deceive who reads it stands another.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    text.chars().map(shown).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{202e}c\u{9b}2J\u{e0041}", 100), "a\u{fffd}[31mb  \u{fffd}c\u{fffd}2J\u{fffd}");
        assert_eq!(printable("äöü", 2), "äö");
    }
}
