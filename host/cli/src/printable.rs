//! Text that came from a guest, the kernel or another process, made safe for a terminal.

use host_model::text::shown;

/// Replaces every character that could move the cursor or disguise a name.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Does the same and cuts to this many characters; an ellipsis marks the cut.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_moves_our_cursor() {
        assert_eq!(printable("a\x1b[2Jb\rc\u{9b}d\te"), "a\u{fffd}[2Jb c\u{fffd}d e");
        assert_eq!(printable("gpj.\u{202e}exe"), "gpj.\u{fffd}exe");
        assert_eq!(printable("a\u{e0041}\u{61c}\u{3164}\u{2028}b"), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(printable("naïve 日本"), "naïve 日本");
    }

    #[test]
    fn what_cannot_be_seen_does_not_reach_a_terminal() {
        for hidden in ['\u{61c}', '\u{200b}', '\u{2028}', '\u{2029}', '\u{2060}', '\u{2065}', '\u{feff}'] {
            assert_eq!(printable(&format!("ad{hidden}min")), "ad\u{fffd}min", "U+{:04X}", u32::from(hidden));
        }
    }

    #[test]
    fn long_text_is_cut_by_characters_and_says_so() {
        assert_eq!(clipped("日本語です", 3), "日本…");
        assert_eq!(clipped("abc", 3), "abc");
    }
}
