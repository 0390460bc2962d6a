//! The target of a request: its path and query.

use crate::scan::find;

/// The parts of a request's target, in any of its forms (RFC 9112, 3.2).
///
/// Neither a fragment nor the name and password before a host is a part of either, and an absolute URL without a path has an empty path,
/// whatever its query looks like.
///
/// ```
/// use plugin_sdk::conversation::Target;
///
/// assert_eq!(Target::of(b"/a/b?c=d#e"), Target { path: b"/a/b", query: b"c=d" });
/// assert_eq!(Target::of(b"http://user:word@host?next=/a"), Target { path: b"", query: b"next=/a" });
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The part up to `?` or `#`: with its leading slash, or `*`, or empty.
    pub path: &'a [u8],
    /// The part behind `?`, without it.
    pub query: &'a [u8],
}

// === impl Target ===

impl<'a> Target<'a> {
    /// Splits a target as it was sent. The target of `CONNECT`, a host and a port, has neither part.
    #[must_use]
    #[inline]
    pub fn of(target: &'a [u8]) -> Self {
        let rest = match target.first() {
            Some(b'/' | b'*' | b'?') => target,
            _ => behind_host(target),
        };
        let rest = find(rest, b'#').and_then(|at| rest.get(..at)).unwrap_or(rest);
        match find(rest, b'?') {
            Some(at) => Self { path: rest.get(..at).unwrap_or_default(), query: rest.get(at + 1..).unwrap_or_default() },
            None => Self { path: rest, query: b"" },
        }
    }

    /// Returns the first bytes of a target up to a segment that is cut: that might be the beginning of anything, and the public parts of a
    /// path are decided by complete segments.
    #[must_use]
    pub fn whole_segments(first: &[u8]) -> &[u8] {
        let is_behind_path = first.iter().any(|byte| matches!(byte, b'?' | b'#'));
        let end =
            if is_behind_path { first.len() } else { first.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1) };
        first.get(..end).unwrap_or_default()
    }
}

/// Returns the part of an absolute URL behind scheme and host; empty for another target.
#[cold]
#[inline(never)]
fn behind_host(target: &[u8]) -> &[u8] {
    let host = target.windows(3).position(|three| three == b"://").and_then(|at| target.get(at + 3..));
    let host = host.unwrap_or_default();
    let end = host.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(host.len());
    // Some servers read a backslash as a slash; in any case it does not begin a path here.
    host.get(end..).filter(|rest| !rest.starts_with(b"\\")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_target_is_a_path_and_a_query() {
        for (text, path, query) in [
            ("/a/b?c=d?e#f", "/a/b", "c=d?e"),
            ("/a#b?c", "/a", ""),
            ("/", "/", ""),
            ("?q", "", "q"),
            ("?a=/b", "", "a=/b"),
            ("*", "*", ""),
            ("http://host:80/a?b", "/a", "b"),
            ("http://host", "", ""),
            ("http://host?next=/a", "", "next=/a"),
            ("http://host#/a", "", ""),
            ("http://host#?/a", "", ""),
            ("http://host?a#/b", "", "a"),
            ("http://host\\a/b", "", ""),
            ("http://user:word@host/a", "/a", ""),
            ("http://user:wo/rd@host/a", "/rd@host/a", ""),
            ("ftp://[2001:db8::1]:21/a", "/a", ""),
            ("host:443", "", ""),
            ("[::1]:443", "", ""),
            ("x/y", "", ""),
            ("", "", ""),
        ] {
            let (path, query) = (path.as_bytes(), query.as_bytes());
            assert_eq!(Target::of(text.as_bytes()), Target { path, query }, "{text}");
        }
    }
    #[test]
    fn of_a_segment_that_is_cut_nothing_is_left() {
        for (first, wanted) in
            [("/a/b/AKIAIOSF", "/a/b/"), ("/AKIA", "/"), ("/a/b/", "/a/b/"), ("/a/b?c=/d", "/a/b?c=/d"), ("AKIA", "")]
        {
            assert_eq!(Target::whole_segments(first.as_bytes()), wanted.as_bytes(), "{first}");
        }
    }
}
