//! The attributes and metrics of a request's row, and how a request with its response becomes a row.

use plugin_sdk::conversation::{Emit, Ending, Evidence, Kept, Kind, Routes, Sheet};
use plugin_sdk::{FieldUse, Sensitivity, Signal};

use crate::vocabulary::Method;
use crate::waiting::{Request, Response};

/// One request and its response: the protocol's part of a row.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    method: Method,
    /// The name of an unusual method.
    method_name: Kept,
    /// 0 if there was no response.
    status: u16,
    route: Kept,
    path: Kept,
    query: Kept,
    host: Kept,
    request_size: u64,
    response_size: u64,
}

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
    Sheet::new("http.request", Signal::Span)
        .name(|exchange: &Exchange, texts, out| {
            out.str(if exchange.method == Method::Other { "HTTP" } else { exchange.method.name() });
            if !exchange.route.is_empty() {
                out.str(" ").chars(texts.of(exchange.route));
            }
        })
        .label("http.request.method", |exchange| exchange.method.name())
        .used(FieldUse::Dimension)
        .kept("http.request.method_original", |exchange| exchange.method_name)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .u32("http.response.status_code", |exchange| exchange.status.into())
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("http.route", |exchange| exchange.route)
        .used(FieldUse::Dimension)
        .omit_zero()
        .kept("url.path", |exchange| exchange.path)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .kept("url.query", |exchange| exchange.query)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .kept("http.request.header.host", |exchange| exchange.host)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .u64("http.request.body.size", |exchange| exchange.request_size)
        .unit("By")
        .omit_zero()
        .u64("http.response.body.size", |exchange| exchange.response_size)
        .unit("By")
        .omit_zero()
        .histogram("http.server.request.duration", "Duration of HTTP server requests.", "duration")
        .only_kind(Kind::Server)
        .histogram("http.client.request.duration", "Duration of HTTP client requests.", "duration")
        .only_kind(Kind::Client)
}

/// Adds the row of a response that is complete, or of which no more will be seen; returns the buffer of its request.
pub(crate) fn emit_answered(response: Response, routes: &mut Routes, rows: &mut Emit<'_, Exchange>) -> Vec<u8> {
    let Some(request) = response.request else { return Vec::new() };
    let is_error = response.status >= if rows.kind() == Kind::Server { 500 } else { 400 };
    let exchange = exchange(&request, response.status, response.size, routes, rows);
    let mut row = rows.row(request.began, response.ended_ns, exchange);
    row.protocol_version(if response.minor == 0 { "1.0" } else { "1.1" }).trace_parent(request.trace_parent());
    if is_error {
        let digits = [100, 10, 1].map(|place| b'0' + (response.status / place % 10) as u8);
        row.error(std::str::from_utf8(&digits).unwrap_or_default());
    }
    request.into_buffer()
}

/// Adds the row of a request without a response.
pub(crate) fn emit_unanswered(request: &Request, why: &Ending, routes: &mut Routes, rows: &mut Emit<'_, Exchange>) {
    let exchange = exchange(request, 0, 0, routes, rows);
    rows.row(request.began, why.time_ns(), exchange).unfinished(why).trace_parent(request.trace_parent());
}

/// Adds the row of a response that has stalled while its connection is open.
pub(crate) fn emit_stalled(
    (request, response): (&Request, &Response),
    why: &Ending,
    routes: &mut Routes,
    rows: &mut Emit<'_, Exchange>,
) {
    let exchange = exchange(request, response.status, response.size, routes, rows);
    let mut row = rows.row(request.began, why.time_ns(), exchange);
    row.protocol_version(if response.minor == 0 { "1.0" } else { "1.1" }).trace_parent(request.trace_parent()).unfinished(why);
}

/// Adds the row of a request that is dropped because the queue is full: a client that sends and never reads must not fill the memory.
#[cold]
pub(crate) fn emit_forgotten(request: &Request, time_ns: u64, routes: &mut Routes, rows: &mut Emit<'_, Exchange>) {
    if !request.began.is_given_up {
        let exchange = exchange(request, 0, 0, routes, rows);
        rows.row(request.began, time_ns, exchange).trace_parent(request.trace_parent()).forgotten();
    }
}

#[inline(always)]
fn exchange(
    request: &Request,
    status: u16,
    response_size: u64,
    routes: &mut Routes,
    rows: &mut Emit<'_, Exchange>,
) -> Exchange {
    let texts = rows.keep(request.kept_text());
    let ranges = request.ranges();
    Exchange {
        method: request.method,
        method_name: texts.part(ranges.method),
        status,
        route: rows.keep(routes.route(rows.service(), request.path(), Evidence::of_http(status))),
        path: texts.part(ranges.path),
        query: texts.part(ranges.query),
        host: texts.part(ranges.host),
        request_size: request.size,
        response_size,
    }
}
