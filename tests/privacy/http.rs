//! HTTP/1: targets, heads and bodies of requests and answers.

use crate::play::Talk;
use crate::{Place, Planted, Shape};

/// Heads and bodies of requests: `{}` is the secret.
const REQUESTS: [(&str, Shape, &str); 36] = [
    ("http query", Shape::Word, "GET /search?q={} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http query without a path", Shape::Word, "GET ?{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http query of an absolute target", Shape::Word, "GET http://h?next=/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http query behind an encoded mark", Shape::Token, "GET /a%3Ftoken={} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http fragment", Shape::Word, "GET /page#{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http fragment of an absolute target", Shape::Word, "GET http://h#/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http user of an absolute target", Shape::Word, "GET http://user:{}@h/a HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http user of a host", Shape::Word, "GET /a HTTP/1.1\r\nHost: user:{}@h\r\n\r\n"),
    ("http matrix parameter", Shape::Word, "GET /cart;jsessionid={} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http matrix parameter of an inner segment", Shape::Word, "GET /cart;sid={}/items HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: key of a cloud", Shape::Key, "GET /keys/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: token", Shape::Token, "GET /verify/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: hexadecimal", Shape::Hex, "GET /reset/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: uuid", Shape::Uuid, "GET /invite/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: digits", Shape::Digits, "GET /cards/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: mail", Shape::Mail, "GET /users/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: mail, encoded", Shape::Word, "GET /users/{}%40example.com HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: mixed", Shape::Word, "GET /reset/{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path: first segment", Shape::Hex, "GET /{} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path behind two slashes", Shape::Hex, "GET //{}/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http path with a suffix", Shape::Hex, "GET /files/{}.pdf HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http method", Shape::Word, "{} /a HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("http authorization", Shape::Token, "GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n"),
    ("http basic authorization", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {}==\r\n\r\n"),
    ("http cookie", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nCookie: session={}\r\n\r\n"),
    ("http header of one's own", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nX-Api-Key: {}\r\n\r\n"),
    ("http referer", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nReferer: http://h/?t={}\r\n\r\n"),
    ("http user agent", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: {}\r\n\r\n"),
    ("http trace state", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\ntraceparent: 00-{}-00f067aa0ba902b7-01\r\n\r\n"),
    ("http folded header", Shape::Word, "GET /a HTTP/1.1\r\nHost: h\r\nX-A: b\r\n {}\r\n\r\n"),
    ("http body", Shape::Word, "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 23\r\n\r\npassword=12{}"),
    ("http body like a request", Shape::Word, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 22\r\n\r\nGET /{} HTTP"),
    ("http chunk", Shape::Word, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{}\r\n0\r\n\r\n"),
    (
        "http chunk extension",
        Shape::Word,
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a={}\r\nx\r\n0\r\n\r\n",
    ),
    (
        "http trailer",
        Shape::Word,
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-S: {}\r\n\r\n",
    ),
    ("http proxy authorization", Shape::Word, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic {}\r\n\r\n"),
];

/// Answers with the secret in the server's bytes.
const ANSWERS: [(&str, Shape, &str); 8] = [
    ("http reason", Shape::Word, "HTTP/1.1 400 {}\r\nContent-Length: 0\r\n\r\n"),
    ("http location", Shape::Word, "HTTP/1.1 302 Found\r\nLocation: /next?token={}\r\nContent-Length: 0\r\n\r\n"),
    ("http set-cookie", Shape::Word, "HTTP/1.1 200 OK\r\nSet-Cookie: s={}\r\nContent-Length: 0\r\n\r\n"),
    ("http content type", Shape::Word, "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: 0\r\n\r\n"),
    ("http server", Shape::Word, "HTTP/1.1 500 No\r\nServer: {}\r\nContent-Length: 0\r\n\r\n"),
    ("http answer's body", Shape::Word, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{}"),
    (
        "http early hint",
        Shape::Word,
        "HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    ("http authenticate", Shape::Word, "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest nonce={}\r\nContent-Length: 0\r\n\r\n"),
];

/// Returns every place, in a conversation of its own.
pub(crate) fn planted(first: usize) -> Vec<Planted> {
    let mut places: Vec<Place> = Vec::new();
    for (place, shape, request) in REQUESTS {
        places.push((place, shape, Box::new(move |secret| exchange(&request.replace("{}", secret), OK))));
    }
    for (place, shape, answer) in ANSWERS {
        let ask = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        places.push((place, shape, Box::new(move |secret| exchange(ask, &answer.replace("{}", secret)))));
    }
    crate::planted(first, places)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Returns an ordinary exchange, by which the protocol is recognised, and then this one.
fn exchange(request: &str, answer: &str) -> Talk {
    Talk::default().client("GET /health HTTP/1.1\r\nHost: h\r\n\r\n").server(OK).client(request).server(answer)
}
