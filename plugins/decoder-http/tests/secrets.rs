//! Secrets in every place where a request or a response can have one: by default none of them is exported. The host withholds fields that
//! are not public, so these tests check the public ones.

use decoder_http::Http;
use plugin_sdk::testing::{Talk, decoder};
use plugin_sdk::{Decoder, Sensitivity};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Places in which a secret is never public, even if it looks like a word: `@` stands for it.
const ANYWHERE: [(&str, &str); 61] = [
    ("query", "GET /a?token=@ HTTP/1.1\r\n\r\n"),
    ("query without a path", "GET ?@ HTTP/1.1\r\n\r\n"),
    ("query that looks like a path", "GET /a?/@ HTTP/1.1\r\n\r\n"),
    ("second query", "GET /a?b?/@ HTTP/1.1\r\n\r\n"),
    ("query of an absolute URL without a path", "GET http://h?next=/@ HTTP/1.1\r\n\r\n"),
    ("query of an absolute URL with a port", "GET http://h:80?next=/@/a HTTP/1.1\r\n\r\n"),
    ("query of an absolute URL", "GET http://h/a?next=/@ HTTP/1.1\r\n\r\n"),
    ("query behind a URL in capitals", "GET HTTP://H?/@ HTTP/1.1\r\n\r\n"),
    ("fragment", "GET /a#/@ HTTP/1.1\r\n\r\n"),
    ("fragment of an absolute URL", "GET http://h#/@ HTTP/1.1\r\n\r\n"),
    ("fragment behind a query", "GET http://h?a#/@ HTTP/1.1\r\n\r\n"),
    ("query within a fragment", "GET http://h#?/@ HTTP/1.1\r\n\r\n"),
    ("password before a host", "GET http://user:@@h/a HTTP/1.1\r\n\r\n"),
    ("name before a host", "GET http://@@h/a HTTP/1.1\r\n\r\n"),
    ("name before a host without a path", "GET ftp://@:x@h HTTP/1.1\r\n\r\n"),
    ("host of an absolute URL", "GET http://@/a HTTP/1.1\r\n\r\n"),
    ("host of a websocket", "GET ws://@.example/chat HTTP/1.1\r\n\r\n"),
    ("host of an unknown scheme", "GET coap+tcp://@/a HTTP/1.1\r\n\r\n"),
    ("host behind a backslash", "GET http:\\\\@\\a HTTP/1.1\r\n\r\n"),
    ("path behind a backslash", "GET http://h\\@ HTTP/1.1\r\n\r\n"),
    ("host of two slashes", "GET //user:@@h/a HTTP/1.1\r\n\r\n"),
    ("target of CONNECT", "CONNECT @.example:443 HTTP/1.1\r\n\r\n"),
    ("target of CONNECT that begins with h", "CONNECT h@:443 HTTP/1.1\r\n\r\n"),
    ("target of CONNECT with a name", "CONNECT user:@@h:443 HTTP/1.1\r\n\r\n"),
    ("target of CONNECT that is a URL", "CONNECT http://@?/@ HTTP/1.1\r\n\r\n"),
    ("target without a form", "GET @ HTTP/1.1\r\n\r\n"),
    ("authority", "GET @:80 HTTP/1.1\r\n\r\n"),
    ("authority and path", "GET @/a HTTP/1.1\r\n\r\n"),
    ("behind an asterisk", "OPTIONS *@ HTTP/1.1\r\n\r\n"),
    ("matrix parameter", "GET /a;jsessionid=@ HTTP/1.1\r\n\r\n"),
    ("matrix parameter without a value", "GET /a;@ HTTP/1.1\r\n\r\n"),
    ("matrix parameter within a path", "GET /a;b=@;c=d/e HTTP/1.1\r\n\r\n"),
    ("matrix parameter of the root", "GET /;@ HTTP/1.1\r\n\r\n"),
    ("behind a word for a secret", "GET /reset/@ HTTP/1.1\r\n\r\n"),
    ("behind a token", "GET /api/tokens/@/use HTTP/1.1\r\n\r\n"),
    ("behind an invitation", "GET /Invite/@ HTTP/1.1\r\n\r\n"),
    ("mail address", "GET /users/@@example.com HTTP/1.1\r\n\r\n"),
    ("within percent signs", "GET /a/%22@%22 HTTP/1.1\r\n\r\n"),
    ("behind a space", "GET /a/b @ HTTP/1.1\r\n\r\n"),
    ("behind a tabulator", "GET /a/b\t@ HTTP/1.1\r\n\r\n"),
    ("behind a NUL", "GET /a/\0@ HTTP/1.1\r\n\r\n"),
    ("behind bytes that are no UTF-8", "GET /a/\u{e9}@ HTTP/1.1\r\n\r\n"),
    ("version", "GET /a HTTP/@\r\n\r\n"),
    ("behind a version", "GET /a HTTP/1.1 @\r\n\r\n"),
    ("no version", "GET /@\r\n\r\n"),
    ("home of a user", "GET /~@ HTTP/1.1\r\n\r\n"),
    ("Host", "GET /a HTTP/1.1\r\nHost: @\r\n\r\n"),
    ("Authorization", "GET /a HTTP/1.1\r\nAuthorization: Bearer @\r\n\r\n"),
    ("Cookie", "GET /a HTTP/1.1\r\nCookie: a=@\r\n\r\n"),
    ("Referer", "GET /a HTTP/1.1\r\nReferer: http://h/@\r\n\r\n"),
    ("User-Agent", "GET /a HTTP/1.1\r\nUser-Agent: @\r\n\r\n"),
    ("name of a field", "GET /a HTTP/1.1\r\n@: b\r\n\r\n"),
    ("continued field", "GET /a HTTP/1.1\r\nHost: h\r\n @\r\n\r\n"),
    ("traceparent", "GET /a HTTP/1.1\r\nTraceparent: @\r\n\r\n"),
    ("tracestate", "GET /a HTTP/1.1\r\nTracestate: a=@\r\n\r\n"),
    ("Content-Length", "POST /a HTTP/1.1\r\nContent-Length: @\r\n\r\n"),
    ("Transfer-Encoding", "GET /a HTTP/1.1\r\nTransfer-Encoding: @\r\n\r\n"),
    ("Upgrade", "GET /a HTTP/1.1\r\nUpgrade: @\r\nConnection: @\r\n\r\n"),
    ("body", "POST /a HTTP/1.1\r\nContent-Length: 11\r\n\r\n/@/"),
    ("extension of a chunk", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=@\r\nx\r\n0;@\r\n\r\n"),
    ("trailer", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: @\r\nHost: @\r\n\r\n"),
];

/// The same for responses.
const ANSWERS: [(&str, &str); 9] = [
    ("reason", "HTTP/1.1 200 @\r\nContent-Length: 0\r\n\r\n"),
    ("reason of a status without a name", "HTTP/1.1 599 @\r\nContent-Length: 0\r\n\r\n"),
    ("Location", "HTTP/1.1 302 Found\r\nLocation: /@\r\nContent-Length: 0\r\n\r\n"),
    ("Set-Cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=@\r\nContent-Length: 0\r\n\r\n"),
    ("Upgrade", "HTTP/1.1 101 @\r\nUpgrade: @\r\n\r\n"),
    ("body", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n/@/"),
    ("body that ends with the connection", "HTTP/1.0 200 OK\r\n\r\n@"),
    ("extension of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=@\r\nx\r\n0;@\r\n\r\n"),
    ("trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: @\r\n\r\n"),
];

/// Values that are not public in any place: keys in the forms of their issuers, and data that identifies people.
const KEYS: [(&str, &str); 38] = [
    ("Amazon, long-lived", "AKIAIOSFODNN7EXAMPLE"),
    ("Amazon, temporary", "ASIAQWERTYUIOPASDFGH"),
    ("Amazon, secret", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"),
    ("Google", "AIzaSyDaGmWKa4JsXZHjGw7ISLn_3namBGewQe"),
    ("GitHub", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("GitLab", "glpat-aBcDeFgHiJkLmNoPqRsT"),
    ("Slack", "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy"),
    ("Slack, web hook", "T01ABCDEFGH"),
    ("Stripe", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
    ("npm", "npm_aBcDeFgHiJkLmNoP"),
    ("Telegram", "bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
    ("SendGrid", "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf"),
    ("JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmN"),
    ("JWT, its head", "eyJhbGciOiJIUzI1NiJ9"),
    ("base64", "c2VjcmV0LXRva2Vu"),
    ("base64 with a filling", "c3dvcmRmaXNo=="),
    ("base64url", "x-_3kLq9-ZtPw_8a"),
    ("base32", "JBSWY3DPEHPK3PXP"),
    ("base32, letters alone", "JBSWYEDPEHPKUPXP"),
    ("UUID", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("hash", "5f4dcc3b5aa765d61d8327deb882cf99"),
    ("hash, short", "7f3a9c1"),
    ("hash, letters alone", "feedfacecafe"),
    ("letters at random", "qjzkxvwtrplm"),
    ("letters at random, of both cases", "kQzBvTmWpLxR"),
    ("video", "dQw4w9WgXcQ"),
    ("password with a number", "hunter2"),
    ("password with numbers for letters", "S3cr3tTok3n"),
    ("password with signs", "Tr0ub4dor&3"),
    ("pass phrase", "correct-horse-battery-staple"),
    ("code", "482913"),
    ("code with a dash", "SUMMER-2024"),
    ("telephone", "+491701234567"),
    ("telephone, in the country", "555-0134"),
    ("card", "4111-1111-1111-1111"),
    ("IBAN", "DE89370400440532013000"),
    ("address", "192.0.2.17"),
    ("percent signs", "%61%62%63%64"),
];

/// Returns the public fields of a conversation's rows, each as `name=value`.
fn public(talk: &Talk) -> Vec<String> {
    let schema = decoder::<Http>("{}").schema().clone();
    let is_public =
        |name: &str| schema.fields.iter().any(|field| field.name == name && field.sensitivity == Sensitivity::Public);
    let fields = talk.fields::<Http>().into_iter().flatten();
    fields.filter(|(name, _)| is_public(name)).map(|(name, value)| format!("{name}={value}")).collect()
}

/// Returns all ways in which a call can be captured.
fn talks() -> [Talk; 3] {
    let talk = || Talk::tcp("10.0.0.7:40000", 80);
    [talk(), talk().at_client(), talk().cut(40)]
}

fn withheld(what: &str, secret: &str, request: &str, answer: &str) {
    for talk in talks() {
        let talk = talk.client(request.as_bytes()).server(answer.as_bytes()).client(b"GET /next HTTP/1.1\r\n\r\n");
        let leaks: Vec<_> =
            public(&talk.server(OK.as_bytes()).end()).into_iter().filter(|field| field.contains(secret)).collect();
        assert!(leaks.is_empty(), "{what}: {request:?}, {answer:?}: {leaks:?}");
    }
}

#[test]
fn no_secret_leaves_from_where_none_is_public() {
    for (what, request) in ANYWHERE {
        for secret in ["swordfish", "SWORDFISH", "AKIAIOSFODNN7EXAMPLE"] {
            // In `@@` the second is a literal character.
            let request = request.replace("@@", "\u{1}").replace('@', secret).replace('\u{1}', &format!("{secret}@"));
            withheld(what, secret, &request, OK);
        }
    }
    for (what, answer) in ANSWERS {
        for secret in ["swordfish", "AKIAIOSFODNN7EXAMPLE"] {
            withheld(what, secret, "GET /a HTTP/1.1\r\n\r\n", &answer.replace('@', secret));
        }
    }
}

#[test]
fn what_looks_like_a_key_is_no_part_of_a_route() {
    for (what, key) in KEYS {
        for path in ["/@", "/api/@", "/api/@/use", "/a/b/c/d/e/f/g/@", "http://h/@", "/api/@;a=b", "/api/@?a", "//@//"] {
            for status in ["200 OK", "302 Found", "404 Not Found", "500 Oops"] {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                withheld(what, key, &format!("GET {} HTTP/1.1\r\n\r\n", path.replace('@', key)), &answer);
            }
        }
        let method = key.replace(|letter: char| !letter.is_ascii_uppercase(), "");
        if method.len() > 5 {
            withheld("method", &method, &format!("{method} /a HTTP/1.1\r\n\r\n"), OK);
        }
    }
}

#[test]
fn a_path_that_is_absent_is_no_route_even_if_it_is_made_of_words() {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    withheld("absent", "swordfish", "GET /swordfish HTTP/1.1\r\n\r\n", answer);
    withheld("absent", "swordfish", "GET /users/swordfish/a HTTP/1.1\r\n\r\n", answer);
}

#[test]
fn of_a_path_that_is_cut_no_part_of_a_segment_is_public() {
    for key in ["AKIAIOSFODNN7EXAMPLE", "swordfishes-and-other-fish-of-the-sea"] {
        for cut in 20..40 {
            let request = format!("GET /a/b/c/{key} HTTP/1.1\r\n\r\n");
            let talk = Talk::tcp("10.0.0.7:40000", 80).cut(cut).client(request.as_bytes()).server(OK.as_bytes());
            let fields = public(&talk.end());
            assert!(!fields.iter().any(|field| field.contains(&key[..4])), "{cut}: {fields:?}");
            assert!(fields.iter().any(|field| field.starts_with("http.route=/a/b/c/")), "{cut}: {fields:?}");
        }
    }
    let long = format!("GET /a/{}/b/AKIAIOSF", "x".repeat(1010));
    let talk =
        Talk::tcp("10.0.0.7:40000", 80).client(format!("{long}ODNN7EXAMPLE HTTP/1.1\r\n\r\n").as_bytes()).server(OK.as_bytes());
    assert!(!public(&talk).iter().any(|field| field.contains("AKIA")));
}
