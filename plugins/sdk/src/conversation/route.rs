//! Routes: paths without what differs from request to request.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use crate::hash::{Mixed, digest};
use crate::scan::{append, same};

/// Makes routes of paths, and no more than 512 different ones; `/*` stands for the others.
///
/// A segment that is a number, a UUID, a hash, a token or nothing that a programmer would write becomes `{id}`. Programs know
/// their routes and this does not: an operator who wants others names them.
///
/// ```
/// use plugin_sdk::conversation::Routes;
///
/// let mut routes = Routes::new(vec!["/people/{name}".into()])?;
/// assert_eq!(routes.route(b"/v1/users/4711/orders"), b"/v1/users/{id}/orders");
/// assert_eq!(routes.route(b"/people/ann"), b"/people/{name}");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Default)]
pub struct Routes {
    /// Those that the operator named, in their order.
    named: Vec<String>,
    seen: HashSet<Box<[u8]>, BuildHasherDefault<Mixed>>,
    /// Paths that were asked for lately, each in the place of its hash.
    recent: Vec<Recent>,
}

/// A path, and what was made of it.
#[derive(Debug, Default)]
struct Recent {
    path: Vec<u8>,
    route: Vec<u8>,
}

/// Different routes. 512: more than most services have, and few enough for a metric.
const MOST: usize = 512;
/// Paths whose routes are known without making them again: most requests are for a few.
const RECENT: usize = 256;
/// Longer paths are not among them: together they take 64 KiB at most.
const PATH: usize = 128;
/// What stands for all that is over a cap.
const REST: &[u8] = b"/*";
/// What stands for a segment that differs.
const ID: &[u8] = b"{id}";
/// Segments of a route. Eight: deeper paths are trees of files.
const DEEPEST: usize = 8;
/// Bytes of a segment that may be a word. `ServiceAccountTokens` has 20.
const WORD: usize = 32;

// === impl Routes ===

impl Routes {
    /// With routes that come before what is guessed: `{x}` in them stands for a segment, and `*` at the end for all that follows.
    ///
    /// # Errors
    /// One of them does not begin with `/`.
    pub fn new(named: Vec<String>) -> Result<Self, String> {
        match named.iter().find(|route| !route.starts_with('/')) {
            Some(route) => Err(format!("configuration: route `{route}` does not begin with `/`")),
            None => Ok(Self { named, ..Self::default() }),
        }
    }

    /// The route of a path, which is without its query.
    pub fn route(&mut self, path: &[u8]) -> &[u8] {
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT + 1, Recent::default);
        }
        let place = if path.len() <= PATH { digest(path) as usize % RECENT } else { RECENT };
        let is_known = self.recent.get(place).is_some_and(|recent| same(&recent.path, path) && !path.is_empty());
        if !is_known {
            self.make(place, path);
        }
        self.recent.get(place).map(|recent| &*recent.route).unwrap_or_default()
    }

    /// Makes the route of a path, in this place.
    fn make(&mut self, place: usize, path: &[u8]) {
        let Self { named, seen, recent } = self;
        let Some(recent) = recent.get_mut(place) else { return };
        recent.path.clear();
        append(&mut recent.path, path.get(..PATH).unwrap_or(path));
        recent.route.clear();
        if let Some(named) = named.iter().find(|route| matches(route.as_bytes(), path)) {
            recent.route.extend_from_slice(named.as_bytes());
            return;
        }
        template(path, &mut recent.route);
        if seen.contains(&*recent.route) {
            return;
        }
        if seen.len() < MOST {
            seen.insert(recent.route.as_slice().into());
        } else {
            recent.route.clear();
            recent.route.extend_from_slice(REST);
        }
    }
}

/// Whether a path is one of this route, in which `{x}` is any segment, and `*` at the end is all that may follow.
fn matches(route: &[u8], path: &[u8]) -> bool {
    let is_slash = |&byte: &u8| byte == b'/';
    let (mut wanted, mut is) = (route.split(is_slash), path.split(is_slash));
    loop {
        match (wanted.next(), is.next()) {
            (None, None) | (Some(b"*"), Some(_)) => return true,
            (Some([b'{', .., b'}']), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

/// Writes the route that a path looks like.
fn template(path: &[u8], route: &mut Vec<u8>) {
    let Some(rest) = path.strip_prefix(b"/") else {
        // `*`, the authority of CONNECT, and what is none of these.
        route.extend_from_slice(if path == b"*" { b"*" } else { b"" });
        return;
    };
    for (depth, segment) in rest.split(|&byte| byte == b'/').enumerate() {
        if depth == DEEPEST {
            route.extend_from_slice(REST);
            return;
        }
        route.push(b'/');
        append(route, if is_id(segment) { ID } else { segment });
    }
}

/// Whether a segment is one of many: a number, a UUID, a hash, a token, or what no word of a program looks like.
fn is_id(segment: &[u8]) -> bool {
    let (mut digits, mut hex, mut upper, mut lower) = (0, 0, 0, 0);
    for byte in segment {
        match byte {
            b'0'..=b'9' => (digits, hex) = (digits + 1, hex + 1),
            b'a'..=b'f' => (lower, hex) = (lower + 1, hex + 1),
            b'A'..=b'F' => (upper, hex) = (upper + 1, hex + 1),
            b'g'..=b'z' => lower += 1,
            b'G'..=b'Z' => upper += 1,
            b'-' => hex += 1,
            b'.' | b'_' | b'~' => {}
            // Percent signs, mail addresses, anything else that was typed.
            _ => return true,
        }
    }
    let is_number = digits > 0 && digits == segment.len();
    let is_hex = hex == segment.len() && hex >= 8 && digits > 0;
    let is_token = segment.len() >= 20 && digits > 0 && (upper > 0 && lower > 0 || digits >= 6);
    is_number || is_hex || is_token || digits >= 5 || segment.len() > WORD
}

#[cfg(test)]
mod tests {
    use super::{MOST, Routes};

    fn route(path: &str) -> String {
        String::from_utf8(Routes::default().route(path.as_bytes()).to_vec()).unwrap()
    }

    #[test]
    fn what_differs_from_request_to_request_is_not_in_a_route() {
        for (path, wanted) in [
            ("/", "/"),
            ("/users/42", "/users/{id}"),
            ("/users/42/orders/", "/users/{id}/orders/"),
            ("/v1/oauth2/s3/base64", "/v1/oauth2/s3/base64"),
            ("/a/0F8FAD5B-D9CB-469F-A165-70867728950E", "/a/{id}"),
            ("/commit/deadbeef01", "/commit/{id}"),
            ("/facade/decade", "/facade/decade"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6", "/t/{id}"),
            ("/order-1234567/x", "/{id}/x"),
            ("/mail/someone@example.com", "/mail/{id}"),
            ("/search/a%20b", "/search/{id}"),
            ("/static/jquery.min.js", "/static/jquery.min.js"),
            ("/apis/ServiceAccountTokens", "/apis/ServiceAccountTokens"),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/*"),
            ("*", "*"),
            ("example.com:443", ""),
        ] {
            assert_eq!(route(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_operators_routes_come_first() {
        let mut routes = Routes::new(["/users/{name}", "/files/*", "/users/me"].map(String::from).to_vec()).unwrap();
        for (path, wanted) in [
            ("/users/alice", "/users/{name}"),
            ("/users/me", "/users/{name}"),
            ("/users/", "/users/"),
            ("/users/alice/7", "/users/alice/{id}"),
            ("/files/a/b/c", "/files/*"),
            ("/files", "/files"),
        ] {
            assert_eq!(routes.route(path.as_bytes()), wanted.as_bytes(), "{path}");
        }
    }

    #[test]
    fn there_is_an_end_to_different_routes() {
        let mut routes = Routes::default();
        for number in 0..MOST {
            let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
            let path = format!("/{}{}", letter(number / 26), letter(number));
            assert_eq!(routes.route(path.as_bytes()), path.as_bytes(), "{number}");
        }
        assert_eq!(routes.route(b"/one-more"), b"/*");
        assert_eq!(routes.route(b"/ab"), b"/ab", "those that were seen stay");
    }
}
