//! Routes: paths without the values that differ from request to request, and names of other operations of services.

mod learnt;
mod segment;

use crate::hash::{digest, mix};
use crate::scan::{append, same};
use learnt::{Learnt, Place};

/// Makes routes of paths; `/*` stands for paths without evidence of a route.
///
/// A segment that does not look like a word in a program becomes `{id}`: a number, a UUID, a key, a name. This is a guess: an operator who
/// wants other routes names them.
///
/// A requested path becomes a route of a service if the service answers as if it had it: see [`Evidence`]. A service has at most 256 routes
/// (64 that it never confirmed), all together 2048. When these are full, a path that is requested repeatedly replaces a route that is not
/// requested any more, once in a thousand requests.
///
/// ```
/// use plugin_sdk::conversation::{Evidence, Routes, Service};
///
/// let mut routes = Routes::new(vec!["/people/{name}".into()])?;
/// let service = Service::default();
/// assert_eq!(routes.route(service, b"/v1/users/4711/orders", Evidence::Found), b"/v1/users/{id}/orders");
/// assert_eq!(routes.route(service, b"/people/ann", Evidence::Absent), b"/people/{name}");
/// assert_eq!(routes.route(service, b"/wp-login.php", Evidence::Absent), b"/*");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Default)]
pub struct Routes {
    /// The routes that the operator named, in their order.
    named: Vec<String>,
    learnt: Learnt,
    /// Recently requested paths, each at the index of its hash.
    recent: Vec<Recent>,
    /// Buffer for the route of the current path.
    room: Vec<u8>,
}

/// A service: the server's end of a connection, and its cgroup if the server is on this node. See [`Emit::service`](super::Emit::service).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service(pub(super) u64);

/// The evidence that a response gives for the requested name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The service has it.
    Found,
    /// The service may have it: it refused or failed.
    Unsure,
    /// The service does not have it, or did not look.
    Absent,
}

/// A path, and its route.
#[derive(Debug)]
struct Recent {
    service: Service,
    path: Vec<u8>,
    is: Route,
}

#[derive(Debug, Clone, Copy)]
enum Route {
    /// A route of the operator, with this index.
    Named(usize),
    Learnt(Place),
}

/// Number of paths whose routes are cached: most requests are for a few paths.
const RECENT: usize = 256;
/// Maximum length of a cached path: together they take 32 KiB at most.
const PATH: usize = 128;
/// The route of all other paths.
const REST: &[u8] = b"/*";
/// Stands for a segment that differs.
const ID: &[u8] = b"{id}";
/// Maximum number of segments of a route. Eight: deeper paths are trees of files.
const DEEPEST: usize = 8;
/// Maximum length of a name that is not a path.
const LONGEST_NAME: usize = 256;

// === impl Routes ===

impl Routes {
    /// Creates it with routes that precede guessed ones: `{x}` in them stands for a segment, and `*` at the end for the rest of the path.
    ///
    /// # Errors
    /// A route does not begin with `/`.
    pub fn new(named: Vec<String>) -> Result<Self, String> {
        match named.iter().find(|route| !route.starts_with('/')) {
            Some(route) => Err(format!("configuration: route `{route}` does not begin with `/`")),
            None => Ok(Self { named, ..Self::default() }),
        }
    }

    /// Returns the route of a path without its query: see [`Target`](super::Target). Empty if it is not a path.
    pub fn route(&mut self, service: Service, path: &[u8], evidence: Evidence) -> &[u8] {
        // Many requests are for this path.
        if path == b"/" && self.named.is_empty() {
            return b"/";
        }
        let place = if path.len() <= PATH { mix(service.0, digest(path)) as usize % RECENT } else { RECENT };
        let recent = self.recent.get(place).filter(|recent| recent.service == service && same(&recent.path, path));
        let known = recent.map(|recent| recent.is).filter(|&is| match is {
            Route::Named(_) => true,
            Route::Learnt(place) => self.learnt.used(place, evidence).is_some(),
        });
        match known.or_else(|| self.make(service, path, evidence, place)) {
            Some(Route::Named(named)) => self.named.get(named).map(String::as_bytes).unwrap_or_default(),
            Some(Route::Learnt(place)) => self.learnt.text(place).unwrap_or_default(),
            None => match path {
                [] => b"",
                // These take no place in the table.
                b"/" => b"/",
                b"*" => b"*",
                [b'/', ..] => REST,
                _ => b"",
            },
        }
    }

    /// Returns a name that is not a path, such as a method of gRPC. None without evidence that the service has it, and if it looks like a
    /// key.
    pub fn name<'a>(&mut self, service: Service, name: &'a str, evidence: Evidence) -> Option<&'a str> {
        let words = name.split(['.', '/']).map(str::as_bytes);
        let is_name = name.len() <= LONGEST_NAME && words.into_iter().all(segment::is_identifier);
        is_name.then_some(())?;
        self.learnt.place(service, name.as_bytes(), evidence).map(|_| name)
    }

    /// Makes the route of a path; returns None without evidence of one.
    #[inline(never)]
    fn make(&mut self, service: Service, path: &[u8], evidence: Evidence, place: usize) -> Option<Route> {
        let is = match self.named.iter().position(|route| matches(route.as_bytes(), path)) {
            Some(named) => Route::Named(named),
            None if path.len() < 2 || !path.starts_with(b"/") => return None,
            None => {
                self.room.clear();
                template(path, &mut self.room);
                Route::Learnt(self.learnt.place(service, &self.room, evidence)?)
            }
        };
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT, Recent::default);
        }
        if let Some(recent) = self.recent.get_mut(place) {
            recent.path.clear();
            append(&mut recent.path, path);
            (recent.service, recent.is) = (service, is);
        }
        Some(is)
    }
}

impl Default for Recent {
    /// An empty entry: no requested path is empty.
    fn default() -> Self {
        Self { service: Service::default(), path: Vec::new(), is: Route::Named(usize::MAX) }
    }
}

// === impl Evidence ===

impl Evidence {
    /// Returns the evidence of an HTTP status; 0 stands for no response.
    ///
    /// 400, 404, 405, 410, 414, 421, 431, 501 and 505 come from a server that does not have the path or did not look for it. Redirects,
    /// 401, 403, 407, 429, failures and missing responses may come from a proxy before it, for any path.
    #[must_use]
    #[inline]
    pub const fn of_http(status: u16) -> Self {
        match status {
            400 | 404 | 405 | 410 | 414 | 421 | 431 | 501 | 505 => Self::Absent,
            304 => Self::Found,
            0 | 300..=399 | 401 | 403 | 407 | 429 | 500.. => Self::Unsure,
            _ => Self::Found,
        }
    }
}

/// Whether a path matches this route, in which `{x}` is any segment, and `*` at the end is any rest.
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

/// Writes the guessed route of a path.
fn template(path: &[u8], route: &mut Vec<u8>) {
    let mut before: &[u8] = b"";
    for (depth, segment) in path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/').enumerate() {
        if depth == DEEPEST {
            route.extend_from_slice(REST);
            return;
        }
        // The part behind `;` is parameters (RFC 3986, 3.3).
        let word = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        route.push(b'/');
        append(route, if segment::is_public(word, before) { word } else { ID });
        before = word;
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Routes, Service};

    const HERE: Service = Service(1);

    fn route(path: &str) -> String {
        String::from_utf8(Routes::default().route(HERE, path.as_bytes(), Evidence::Found).to_vec()).unwrap()
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
            ("/login;jsessionid=1A2B/a;v=1", "/login/a"),
            ("/reset/swordfish", "/reset/{id}"),
            ("//user:word@host/a", "//{id}/a"),
            ("*", "*"),
            ("", ""),
            ("example.com:443", ""),
        ] {
            assert_eq!(route(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_operators_routes_come_first_whatever_the_answer_was() {
        let mut routes = Routes::new(["/users/{name}", "/files/*", "/users/me"].map(String::from).to_vec()).unwrap();
        for (path, wanted) in [
            ("/users/alice", "/users/{name}"),
            ("/users/me", "/users/{name}"),
            ("/files/a/b/c", "/files/*"),
            ("/users/alice", "/users/{name}"),
        ] {
            assert_eq!(routes.route(HERE, path.as_bytes(), Evidence::Absent), wanted.as_bytes(), "{path}");
        }
        for (path, wanted) in [("/users/", "/users/"), ("/users/alice/7", "/users/alice/{id}"), ("/files", "/files")] {
            assert_eq!(routes.route(HERE, path.as_bytes(), Evidence::Found), wanted.as_bytes(), "{path}");
        }
    }

    #[test]
    fn an_answer_makes_a_route_of_its_service_alone() {
        let mut routes = Routes::default();
        let (other, path) = (Service(2), b"/users/42".as_slice());
        assert_eq!(routes.route(HERE, path, Evidence::Absent), b"/*");
        assert_eq!(routes.route(HERE, path, Evidence::Found), b"/users/{id}");
        assert_eq!(routes.route(HERE, b"/users/43", Evidence::Absent), b"/users/{id}", "one that it has, but not this one");
        assert_eq!(routes.route(other, path, Evidence::Absent), b"/*");
        assert_eq!(routes.route(other, b"/", Evidence::Absent), b"/");
    }

    #[test]
    fn a_path_that_was_asked_for_lately_has_the_route_that_it_had() {
        let mut routes = Routes::default();
        let long = format!("/{}", "a/".repeat(200));
        for _ in 0..3 {
            for (path, wanted) in [("/a/b", "/a/b"), ("/a/1", "/a/{id}"), (&long, "/a/a/a/a/a/a/a/a/*"), ("", ""), ("/c", "/c")]
            {
                assert_eq!(routes.route(HERE, path.as_bytes(), Evidence::Found), wanted.as_bytes(), "{path}");
            }
        }
    }

    #[test]
    fn a_name_is_made_of_identifiers_and_of_an_answer() {
        let mut routes = Routes::default();
        for (name, evidence, is_known) in [
            ("pkg.v1.Echo/SayHello2", Evidence::Absent, false),
            ("pkg.v1.Echo/SayHello2", Evidence::Found, true),
            ("pkg.v1.Echo/SayHello2", Evidence::Absent, true),
            ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Evidence::Unsure, true),
            ("pkg.Echo/AKIAIOSFODNN7EXAMPLE", Evidence::Found, false),
            ("pkg.Echo/a%20b", Evidence::Found, false),
            ("pkg.Echo/4711", Evidence::Found, false),
        ] {
            assert_eq!(routes.name(HERE, name, evidence).is_some(), is_known, "{name}");
        }
    }

    #[test]
    fn a_status_is_evidence_of_what_was_asked_for() {
        let of = |status| Evidence::of_http(status);
        assert!([200, 101, 206, 304, 402, 409, 412, 415, 422].map(of).iter().all(|&of| of == Evidence::Found));
        assert!([0, 301, 302, 401, 403, 429, 500, 502, 503].map(of).iter().all(|&of| of == Evidence::Unsure));
        assert!([400, 404, 405, 410, 414, 431, 501, 505].map(of).iter().all(|&of| of == Evidence::Absent));
    }
}
