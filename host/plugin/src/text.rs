//! Text that guests wrote, made fit for a terminal and a log.

/// At most `max` bytes of `text`, without control characters and without the marks that reorder or hide what follows them.
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
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(printable("\x1b[31mred\u{9b}0m", 100), "[31mred0m");
        assert_eq!(printable("safe\u{202e}gpj.exe", 100), "safegpj.exe");
        assert_eq!(printable("two\nlines", 100), "two lines");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(printable("größer", 4), "grö");
    }
}
