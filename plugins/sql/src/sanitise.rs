//! The text of a statement without its values.

use plugin_sdk::conversation::is_trace_parent;
use plugin_sdk::scan::append;

use crate::guard::{Guard, Verdict};
use crate::lexer::{Dialect, Lexer, Token, is_read};

/// Maximum length of a sanitised text: more than nearly all statements have, and as many bytes as a capture usually has.
pub const TEXT_BYTES: usize = 1024;

/// Length of a `traceparent` in bytes.
const TRACE_PARENT: usize = 55;
/// How a comment of sqlcommenter begins it.
const KEY: &[u8] = b"traceparent='";

/// The results of reading a text besides the sanitised one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    /// The `traceparent` in a comment.
    pub trace_parent: Option<&'a str>,
    /// Whether comments that MySQL executes, which are not written, may set something.
    pub may_set: bool,
}

/// Writes the statement into `out`, as bytes: values become `?`, lists of values become one, comments are removed, space is reduced. Also
/// removed are a name at the end of a statement that was cut, because it may be the first half of another; all text behind a place from
/// which servers in different modes read on differently; and all text behind the first value of a complete statement that ends within a
/// string.
pub(crate) fn sanitise<'a>(sql: &'a [u8], dialect: Dialect, is_cut: bool, out: &mut Vec<u8>) -> Found<'a> {
    out.clear();
    let is_mysql = matches!(dialect, Dialect::MySql { .. });
    let mut found = Found::default();
    let mut lexer = Lexer::new(sql, dialect);
    let mut guard = Guard::new(!is_mysql);
    let (mut was_spaced, mut ends_in_comment) = (false, false);
    while let Some((is_spaced, token)) = lexer.next() {
        was_spaced |= is_spaced;
        ends_in_comment = matches!(token, Token::Comment(_));
        if let Token::Comment(comment) = token {
            // A comment that may be read in two ways is not used.
            found.trace_parent = found.trace_parent.or_else(|| trace_parent(comment).filter(|_| !lexer.is_unsure()));
            if is_mysql && is_read(comment) && sets(comment) {
                found.may_set = true;
                lexer.forget_modes();
            }
            was_spaced = true;
            continue;
        }
        let is_half = is_cut && lexer.is_at_end() && matches!(token, Token::Word(_) | Token::Quoted(_));
        // Of a longer text the rest is read for its comments alone: sqlcommenter writes at the end.
        if is_half || out.len() >= TEXT_BYTES {
            continue;
        }
        let verdict = if let Token::Sign(b';') = token {
            close(&guard, out);
            guard.end()
        } else {
            guard.judge(token, out, || lexer.is_before_dot())
        };
        if verdict != Verdict::Keep {
            was_spaced = withhold(verdict, was_spaced, token, &mut lexer, out);
            continue;
        }
        if was_spaced && !out.is_empty() {
            out.push(b' ');
        }
        was_spaced = false;
        put(token, dialect, out);
    }
    close(&guard, out);
    // The client quoted for other modes than the known ones: words behind the first value may be values.
    if lexer.is_open && !is_cut && !ends_in_comment {
        out.truncate(out.iter().position(|&byte| byte == b'?').map_or(out.len(), |first| first + 1));
    }
    let end = out.iter().rposition(|byte| !matches!(byte, b' ' | b';')).map_or(0, |last| last + 1);
    out.truncate(end);
    found
}

/// Handles a token that is not written unchanged; returns whether a space is due before the next token in any case.
#[cold]
fn withhold(verdict: Verdict, was_spaced: bool, token: Token<'_>, lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> bool {
    let mut was_spaced = was_spaced;
    match verdict {
        Verdict::Keep | Verdict::Value => {}
        Verdict::Drop => return false,
        Verdict::ValueFrom(start) => {
            out.truncate(start);
            was_spaced = true;
        }
        Verdict::NewStatement => lexer.forget_modes(),
    }
    if was_spaced && !out.is_empty() {
        out.push(b' ');
    }
    match (verdict, token) {
        (Verdict::NewStatement, Token::Sign(sign)) => out.push(sign),
        _ => value(out),
    }
    false
}

/// Replaces the supposed name of a setting by `?` if no value follows: it is a value itself.
fn close(guard: &Guard, out: &mut Vec<u8>) {
    if let Some(start) = guard.open_name() {
        out.truncate(start);
        out.push(b' ');
        value(out);
    }
}

/// Whether a comment that is executed may set something.
fn sets(comment: &[u8]) -> bool {
    !comment.starts_with(b"/*+") && comment.windows(3).any(|word| word.eq_ignore_ascii_case(b"set"))
}

fn put(token: Token<'_>, dialect: Dialect, out: &mut Vec<u8>) {
    match token {
        Token::Literal => value(out),
        Token::Sign(b'?') if matches!(dialect, Dialect::MySql { .. }) => value(out),
        Token::Sign(b')') => {
            // Several rows of values become one row.
            if let Some(shorter) = without(out, &[b", (?", b",(?"]).filter(|&end| ends(out, end, b"(?)")) {
                out.truncate(shorter);
            } else {
                out.push(b')');
            }
        }
        Token::Sign(sign) => out.push(sign),
        Token::Word(word) | Token::Parameter(word) => {
            let word = room(word, out);
            append(out, word);
        }
        // A control character would let a name affect a terminal.
        Token::Quoted(name) => {
            let shown = room(name, out).iter().map(|&byte| if byte < b' ' || byte == 0x7f { b' ' } else { byte });
            out.extend(shown);
        }
        Token::Comment(_) => {}
    }
}

/// Returns the part of a name that fits into the maximum length.
fn room<'a>(name: &'a [u8], out: &[u8]) -> &'a [u8] {
    name.get(..TEXT_BYTES.saturating_sub(out.len())).unwrap_or(name)
}

/// Writes a value. A second one in a list is omitted, with the sign before it.
fn value(out: &mut Vec<u8>) {
    if out.last() == Some(&b'-') {
        let before = out.iter().rev().skip(1).find(|byte| **byte != b' ');
        if before.is_some_and(|before| matches!(before, b'(' | b',' | b'=' | b'<' | b'>')) {
            out.pop();
        }
    }
    match without(out, &[b", ", b","]).filter(|&end| ends(out, end, b"(?")) {
        Some(shorter) => out.truncate(shorter),
        None => out.push(b'?'),
    }
}

/// Returns the length of `out` without the first of these endings that it has.
fn without(out: &[u8], endings: &[&[u8]]) -> Option<usize> {
    endings.iter().find_map(|ending| Some(out.strip_suffix(*ending)?.len()))
}

fn ends(out: &[u8], at: usize, ending: &[u8]) -> bool {
    out.get(..at).is_some_and(|before| before.ends_with(ending))
}

/// Returns the `traceparent` in a comment: `/*traceparent='00-..-..-01'*/`.
fn trace_parent(comment: &[u8]) -> Option<&str> {
    let start = comment.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let (value, behind) = comment.get(start..)?.split_first_chunk::<TRACE_PARENT>()?;
    let is = behind.first() == Some(&b'\'') && is_trace_parent(value);
    is.then(|| std::str::from_utf8(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{TEXT_BYTES, sanitise};
    use crate::{Backslash, Dialect};

    const PG: Dialect = Dialect::PostgreSql { backslash: Backslash::Plain, is_wide: false };
    const MY: Dialect = Dialect::MySql { backslash: Backslash::Escapes, is_wide: false };

    fn of(sql: &str, dialect: Dialect) -> String {
        let mut out = Vec::new();
        sanitise(sql.as_bytes(), dialect, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_become_question_marks_and_names_stay() {
        let sql = "SELECT  a1, \"b 2\"\n FROM t WHERE x = 'it''s' AND y>-1.5e-3 AND z = $1 -- and 'more'\n AND w = 0xFF;";
        assert_eq!(of(sql, PG), "SELECT a1, \"b 2\" FROM t WHERE x = ? AND y>? AND z = $1 AND w = ?");
        let sql = "SELECT `a`, \"text\", x'00ff', _utf8'\\'x', N'y' FROM t # 'no'\n WHERE b='\\'; DROP' AND c--1";
        assert_eq!(of(sql, MY), "SELECT `a`, ?, ?, ?, ? FROM t WHERE b=? AND c--?");
    }

    #[test]
    fn a_whole_statement_that_ends_within_a_string_was_quoted_for_another_mode() {
        assert_eq!(of(r"SELECT 'a\' secret ', 'b'", PG), "SELECT ?");
        assert_eq!(of(r"SELECT 'a\', 'secret'", MY), "SELECT ?");
        assert_eq!(of("SELECT 'a', b -- it's", PG), "SELECT ?, b");
    }

    #[test]
    fn strings_of_postgres_end_where_the_server_ends_them() {
        assert_eq!(of(r"SELECT 'a\', 'secret'", PG), "SELECT ?, ?");
        assert_eq!(of(r"SELECT E'a\', ''secret', b", PG), "SELECT ?, b");
        assert_eq!(of("SELECT $q$ it's $ $$ $q$, $$x$$, $1, a$b", PG), "SELECT ?, ?, $1, a$b");
        let off = Dialect::PostgreSql { backslash: Backslash::Escapes, is_wide: false };
        assert_eq!(of(r"SELECT 'a\', ''secret', b", off), "SELECT ?, b");
        assert_eq!(of("SELECT 1 /* a /* nested */ 'secret' */ + 2", PG), "SELECT ? + ?");
    }

    #[test]
    fn strings_of_mysql_end_where_the_server_ends_them() {
        let off = Dialect::MySql { backslash: Backslash::Plain, is_wide: false };
        assert_eq!(of(r"SELECT 'a\', 'secret'", off), "SELECT ?, ?");
        assert_eq!(of(r"SELECT 'a\', ''secret', b", MY), "SELECT ?, b");
        assert_eq!(of("SELECT /* a /* not nested */ b", MY), "SELECT b");
    }

    #[test]
    fn lists_of_values_become_one() {
        assert_eq!(of("SELECT a FROM t WHERE b IN (1,2, 'x', -4)", PG), "SELECT a FROM t WHERE b IN (?)");
        assert_eq!(of("INSERT INTO t VALUES (1,'a'), (2,'b'),(3, 'c')", MY), "INSERT INTO t VALUES (?)");
        assert_eq!(of("SELECT f(1, a, 2)", PG), "SELECT f(?, a, ?)");
        assert_eq!(of("SELECT a IN (?, ?, ?)", MY), "SELECT a IN (?)");
    }

    #[test]
    fn of_a_cut_statement_no_half_word_and_no_value_is_left() {
        for cut in
            ["SELECT a FROM pgbench_acc", "SELECT a FROM \"pgbench acc", "SELECT a FROM 'secr", "SELECT a FROM $tag$secr"]
        {
            let mut out = Vec::new();
            sanitise(cut.as_bytes(), PG, true, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(["SELECT a FROM", "SELECT a FROM ?"].contains(&text.as_str()), "{text}");
        }
        let mut out = Vec::new();
        sanitise("SELECT $secr".as_bytes(), PG, true, &mut out);
        assert_eq!(out, b"SELECT ?");
    }

    #[test]
    fn a_comment_at_the_end_of_a_long_statement_names_the_caller() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let sql = format!("SELECT {} 1 /*db_driver='x',traceparent='{parent}'*/", "a, ".repeat(TEXT_BYTES));
        let mut out = Vec::new();
        assert_eq!(sanitise(sql.as_bytes(), PG, false, &mut out).trace_parent, Some(parent));
        assert!(out.len() <= TEXT_BYTES + 1, "{}", out.len());
        for wrong in ["zbf9", "4BF9", "4bf", "4bf90"] {
            let wrong = sql.replace("4bf9", wrong);
            assert_eq!(sanitise(wrong.as_bytes(), PG, false, &mut out).trace_parent, None);
            assert_eq!(
                sanitise(format!("{wrong}/*traceparent='{parent}'*/").as_bytes(), PG, false, &mut out).trace_parent,
                Some(parent)
            );
        }
        assert_eq!(sanitise(format!("SELECT 'traceparent=''{parent}'").as_bytes(), PG, false, &mut out).trace_parent, None);
    }

    #[test]
    fn any_bytes_are_read_to_their_end() {
        let mut seed = 7_u64;
        let alphabet = b"'\"`$\\-/*#eExX_aS10.,(); \n\xc3\xa9\0?";
        let mut out = Vec::new();
        for round in 0..20_000 {
            let sql: Vec<u8> = (0..round % 60)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    alphabet[(seed >> 33) as usize % alphabet.len()]
                })
                .collect();
            for dialect in [
                PG,
                MY,
                Dialect::PostgreSql { backslash: Backslash::Escapes, is_wide: false },
                Dialect::MySql { backslash: Backslash::Plain, is_wide: false },
            ] {
                sanitise(&sql, dialect, round % 2 == 0, &mut out);
                assert!(out.len() <= sql.len() + 1 && out.iter().all(|byte| *byte >= b' '), "{sql:?} {out:?}");
            }
        }
    }
}
