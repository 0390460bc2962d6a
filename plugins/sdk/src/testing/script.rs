//! Recorded conversations as text files that can be edited.

use super::Talk;

impl Talk {
    /// Adds the calls of a script: a line per call, `> ` and the client's bytes, `< ` and the server's bytes. In a line `\r`, `\n`, `\\`
    /// and `\xff` stand for bytes, and `\(4000)x` for 4000 times the byte that follows. Other lines are remarks.
    ///
    /// ```
    /// use plugin_sdk::testing::Talk;
    ///
    /// let talk = Talk::tcp("10.0.0.7:40000", 6379).script("# a value\n> GET k\\r\\n\n< $4000\\r\\n\\(4000)x\\r\\n\n");
    /// assert_eq!(talk.run(), Talk::tcp("10.0.0.7:40000", 6379).client(b"GET k\r\n").server(
    ///     &[&b"$4000\r\n"[..], &[b'x'; 4000], b"\r\n"].concat()).run());
    /// ```
    #[must_use]
    pub fn script(self, text: &str) -> Self {
        text.lines().fold(self, |talk, line| match (line.strip_prefix("> "), line.strip_prefix("< ")) {
            (Some(bytes), _) => talk.client(&unescaped(bytes)),
            (_, Some(bytes)) => talk.server(&unescaped(bytes)),
            _ => talk,
        })
    }
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = match escape.chars().next() {
            Some('(') => {
                let (times, behind) = escape.split_once(')').unwrap_or((escape, ""));
                let times = times.trim_start_matches('(').parse().unwrap_or(0);
                let byte = behind.bytes().next().unwrap_or_default();
                bytes.resize(bytes.len() + times, byte);
                behind.get(1..).unwrap_or_default()
            }
            Some('x') => {
                let digits = escape.get(1..3).unwrap_or_default();
                bytes.extend(u8::from_str_radix(digits, 16));
                escape.get(3..).unwrap_or_default()
            }
            escaped => {
                bytes.push(match escaped {
                    Some('r') => b'\r',
                    Some('n') => b'\n',
                    _ => b'\\',
                });
                escape.get(1..).unwrap_or_default()
            }
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(unescaped(r"a\r\n\\b\x00\xfFc\(3)xd"), b"a\r\n\\b\0\xffcxxxd");
        assert_eq!(unescaped(r"\(x\x"), b"", "what is no escape stands for nothing");
    }
}
