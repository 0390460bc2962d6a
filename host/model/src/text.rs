//! Text from guests, the kernel, peers and files, made safe for a log, a terminal and an attribute. Only [`shown`] decides which characters
//! are printed.

/// The replacement for a character that is not shown, so that two names which differ in it are not taken for one.
pub const REPLACED: char = '\u{fffd}';

/// Returns at most `max` bytes of `text`, cut between characters, with every character as in [`shown`].
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for character in text.chars().map(shown) {
        if clean.len() + character.len_utf8() > max {
            break;
        }
        clean.push(character);
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Returns a character in printable form: line breaks and tabs as spaces, and [`REPLACED`] for one that steers a terminal, changes the look
/// of the text around it, or cannot be seen.
#[must_use]
pub fn shown(character: char) -> char {
    match character {
        '\n' | '\t' | '\r' => ' ',
        // Nearly all characters are in this range.
        ' '..='~' => character,
        hidden if hides(hidden) => REPLACED,
        other => other,
    }
}

/// Control characters (C0, DEL, C1), separators of lines and paragraphs, bidirectional controls, and those that Unicode calls default
/// ignorable: invisible characters, of which tags can hold a whole message.
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(printable("\x1b[31mred\u{9b}0m two\nlines\u{202e}", 100), "\u{fffd}[31mred\u{fffd}0m two lines\u{fffd}");
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_text_around_it_is_replaced() {
        let hidden = [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b5}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e01ef}',
            '\0',
            '\x07',
            '\x1b',
            '\x7f',
            '\u{85}',
            '\u{9b}',
        ];
        for character in hidden {
            assert_eq!(printable(&format!("ad{character}min"), 100), "ad\u{fffd}min", "U+{:04X}", u32::from(character));
        }
        for text in ["naïve 日本 größer ☃ 🦀 עברית العربية हिन्दी", "a-z_0.9/~{id}"] {
            assert_eq!(printable(text, 100), text);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(printable("größer", 4), "grö");
        assert_eq!(printable("ab\0\0", 5), "ab\u{fffd}");
    }
}
