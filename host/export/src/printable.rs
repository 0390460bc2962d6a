//! Text from guests, the kernel and the network, made safe to show.

/// Shows at most `limit` characters; what could steer a terminal (control characters, marks that turn the writing direction,
/// line separators) is left out.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    text.chars().filter(|&character| shows(character)).take(limit).collect()
}

/// Whether a terminal shows this character where it stands, and does nothing else.
pub(crate) fn shows(character: char) -> bool {
    let steers = matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    !character.is_control() && !steers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{202e}c\u{9b}2J", 100), "a[31mbc2J");
        assert_eq!(printable("äöü", 2), "äö");
    }
}
