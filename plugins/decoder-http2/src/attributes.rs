//! The attributes and metrics of a request's row, and how an ended request becomes a row.

use plugin_sdk::conversation::{Emit, Ending, Evidence, Kept, Kind, Routes, Sheet, Target};
use plugin_sdk::{FieldUse, Sensitivity, Signal};

use crate::grpc;
use crate::vocabulary::{OTHER, reset_reason};
use crate::waiting::Call;

/// One request and its response: the protocol's part of a row. The fields of gRPC are empty for HTTP, and the other way round.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) route: Kept,
    pub(crate) path: Kept,
    pub(crate) query: Kept,
    pub(crate) status: u16,
    pub(crate) is_grpc: bool,
    pub(crate) service: Kept,
    pub(crate) rpc: Kept,
    pub(crate) grpc_status: &'static str,
}

/// How a request ended.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    /// The response is complete.
    Whole,
    /// One end reset the stream, for this reason.
    Reset(u32),
    /// The server went away without processing the request.
    Refused,
    /// The end was not seen.
    Unseen,
    /// The request was dropped, because too many were waiting.
    Forgotten,
    Unfinished(&'a Ending),
}

/// How and when a request ended.
#[derive(Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub end: End<'a>,
    pub ended_ns: u64,
    /// Whether other calls of the connection are gRPC.
    pub speaks_grpc: bool,
}

/// Error codes of a reset stream: RFC 9113, section 7.
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
/// Status of a gRPC call whose status was sent but could not be read: neither a success nor an error.
const UNSEEN: &str = "_UNSEEN";

/// The attributes. Names are those of the OpenTelemetry conventions for HTTP and for RPC, both stable. `rpc.service` is older than these:
/// there it is part of `rpc.method`, here a field of its own, because tables of requests are sorted by it.
pub(crate) fn sheet() -> Sheet<Exchange> {
    let sheet = Sheet::<Exchange>::new("http2", Signal::Span)
        .protocol_name("http")
        .name(|row: &Exchange, texts, out| {
            if row.is_grpc {
                out.chars(texts.of(row.rpc));
                return;
            }
            // The conventions require `HTTP` for a method that is not known.
            out.str(if row.method == OTHER { "HTTP" } else { row.method });
            if !texts.of(row.route).is_empty() {
                out.str(" ").chars(texts.of(row.route));
            }
        })
        .label("http.request.method", |row| row.method)
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("http.route", |row| row.route)
        .used(FieldUse::Dimension)
        .omit_zero()
        .u32("http.response.status_code", |row| u32::from(row.status))
        .used(FieldUse::Dimension)
        .omit_zero()
        .label("url.scheme", |row| row.scheme)
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("url.path", |row| row.path)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .kept("url.query", |row| row.query)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .label("rpc.system.name", |row| if row.is_grpc { "grpc" } else { "" })
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("rpc.service", |row| row.service)
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("rpc.method", |row| row.rpc)
        .used(FieldUse::Dimension)
        .omit_zero()
        .label("rpc.response.status_code", |row| row.grpc_status)
        .used(FieldUse::Dimension)
        .omit_zero()
        .boolean("is_grpc", |row| u8::from(row.is_grpc));
    sheet
        .histogram("http.server.request.duration", "Duration of HTTP server requests.", "duration")
        .only_kind(Kind::Server)
        .only("is_grpc", 0)
        .histogram("http.client.request.duration", "Duration of HTTP client requests.", "duration")
        .only_kind(Kind::Client)
        .only("is_grpc", 0)
        .histogram("rpc.server.call.duration", "Measures the duration of an incoming Remote Procedure Call (RPC).", "duration")
        .only_kind(Kind::Server)
        .only("is_grpc", 1)
        .histogram("rpc.client.call.duration", "Measures the duration of an outgoing Remote Procedure Call (RPC).", "duration")
        .only_kind(Kind::Client)
        .only("is_grpc", 1)
}

/// Adds the row of a request that ended.
pub(crate) fn emit(call: &Call, ended: &Ended<'_>, routes: &mut Routes, rows: &mut Emit<'_, Exchange>) {
    let &Ended { end, ended_ns, speaks_grpc } = ended;
    // A response alone is not a request: the request was sent before the host started.
    if !call.is_asked {
        return;
    }
    let end = match end {
        // A stream may be reset after its response is complete. Where the end may have been missed, a reset therefore proves nothing. But
        // clients do not cancel a call whose status has arrived.
        End::Reset(CANCEL) if call.is_grpc == Some(true) => end,
        End::Reset(_) | End::Forgotten if call.gap_ns.is_some() => End::Unseen,
        _ => end,
    };
    if call.began.is_given_up && matches!(end, End::Unseen | End::Forgotten | End::Unfinished(_)) {
        // The row was already emitted.
        return;
    }
    let to_server = rows.kind() == Kind::Server;
    let Target { path, query } = Target::of(call.target.as_bytes());
    let mut exchange = Exchange {
        scheme: call.scheme.name(),
        path: rows.keep(path),
        query: rows.keep(query),
        is_grpc: call.grpc_status.is_some() || call.is_grpc.unwrap_or(call.has_unknown_fields && speaks_grpc),
        ..Exchange::default()
    };
    let mut digits = [0; 3];
    let error = if exchange.is_grpc {
        let status = grpc_status(call, &Ended { end, ended_ns, speaks_grpc });
        let asked = grpc::parse_method(std::str::from_utf8(path).unwrap_or_default());
        let known =
            asked.filter(|(_, method)| routes.name(rows.service(), method, grpc::evidence(status, to_server)).is_some());
        let (service, method) = known.unwrap_or(("", OTHER));
        exchange.service = rows.keep(service.as_bytes());
        exchange.rpc = rows.keep(method.as_bytes());
        exchange.grpc_status = match end {
            End::Whole | End::Unseen => status.map_or(UNSEEN, grpc::status_name),
            _ => status.map_or("", grpc::status_name),
        };
        status.filter(|&status| grpc::is_error(status, to_server)).map_or("", grpc::status_name)
    } else {
        exchange.method = call.method.name();
        exchange.status = call.status;
        exchange.route = rows.keep(routes.route(rows.service(), path, Evidence::of_http(call.status)));
        let fails = call.status >= if to_server { 500 } else { 400 };
        match end {
            _ if fails => write_decimal(call.status, &mut digits),
            End::Reset(0) if call.status != 0 => "",
            End::Reset(code) => reset_reason(code),
            End::Refused => reset_reason(REFUSED_STREAM),
            End::Whole | End::Unseen | End::Forgotten | End::Unfinished(_) => "",
        }
    };
    let mut row = rows.row(call.began, ended_ns.max(call.began.time_ns), exchange);
    row.error(error).protocol_version("2").trace_parent(call.trace_parent.as_deref().unwrap_or_default());
    match end {
        End::Unfinished(why) if error.is_empty() => row.unfinished(why),
        End::Forgotten if error.is_empty() => row.forgotten(),
        _ => &mut row,
    };
}

/// Returns the status that was sent, or its replacement; None if it may have been sent without being seen.
fn grpc_status(call: &Call, &Ended { end, ended_ns, .. }: &Ended<'_>) -> Option<u8> {
    let elapsed_ns = ended_ns.saturating_sub(call.began.time_ns);
    let is_too_late = call.timeout_ns.is_some_and(|timeout_ns| grpc::is_over_deadline(timeout_ns, elapsed_ns));
    call.grpc_status.or(match end {
        // The client gave up: it reports to its program whether it cancelled or the deadline passed, but not to the server.
        End::Reset(CANCEL) if is_too_late => Some(grpc::DEADLINE_EXCEEDED),
        End::Unfinished(why) if is_too_late && why.is_final() => Some(grpc::DEADLINE_EXCEEDED),
        End::Whole if !matches!(call.status, 0 | 200) => Some(grpc::of_http(call.status)),
        End::Whole if !call.has_unknown_fields => Some(grpc::of_http(200)),
        End::Reset(code) => Some(grpc::of_reset(code)),
        End::Refused => Some(grpc::UNAVAILABLE),
        End::Whole | End::Unseen | End::Forgotten | End::Unfinished(_) => None,
    })
}

/// Writes a status of three digits.
fn write_decimal(status: u16, digits: &mut [u8; 3]) -> &str {
    *digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    std::str::from_utf8(digits).unwrap_or_default()
}
