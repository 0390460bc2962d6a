//! Decides by its first bytes whether a connection speaks HTTP/1.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Signature, Transport};

use crate::head::{self, Parsed};

/// The first bytes of a client of HTTP/2.
pub(crate) const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// Beginnings of requests that are certain. `OPTIONS * ` and absolute targets are left to [`recognise`].
const REQUESTS: [&str; 7] = ["GET /", "POST /", "PUT /", "HEAD /", "DELETE /", "PATCH /", "OPTIONS /"];

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    let mut description = Description::new("http").capture_bytes(512);
    for port in [80, 8080, 8000, 443, 8443, 3000, 5000] {
        description = description.on_port(port);
    }
    for request in REQUESTS {
        description = description.signature(Signature::client(request.as_bytes()).tcp().certain());
    }
    description
        .signature(Signature::server(b"HTTP/1.0 ").tcp().certain())
        .signature(Signature::server(b"HTTP/1.1 ").tcp().certain())
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    if beginning.transport == Transport::Udp || beginning.payload.starts_with(HTTP2) {
        return Opinion::No;
    }
    match (head::parse_request(beginning.payload), head::parse_response(beginning.payload)) {
        (Parsed::Complete(..) | Parsed::Partial(_), _) => Opinion::FromClient,
        (_, Parsed::Complete(..) | Parsed::Partial(_)) => Opinion::FromServer,
        (Parsed::TooShort, _) | (_, Parsed::TooShort) => Opinion::Unsure,
        _ => Opinion::No,
    }
}
