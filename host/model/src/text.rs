//! Text from guests and the kernel, made fit for a log, a terminal and an attribute.

/// At most `max` bytes of `text`, cut between characters, without control characters and without the marks that reorder or hide
/// what follows them. Line breaks and tabs become spaces.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        let character = if matches!(character, '\n' | '\t' | '\r') { ' ' } else { character };
        if hides(character) {
            continue;
        }
        if clean.len() + character.len_utf8() > max {
            break;
        }
        clean.push(character);
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Control characters (C0, DEL, C1), bidirectional controls, and characters of no width.
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(printable("\x1b[31mred\u{9b}0m two\nlines\u{202e}", 100), "[31mred0m two lines");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(printable("größer", 4), "grö");
    }
}
