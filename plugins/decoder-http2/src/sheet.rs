//! The fields of a row.

use plugin_sdk::conversation::{Kind, Sheet};
use plugin_sdk::{FieldUse, Sensitivity, Signal};

use crate::row::{Exchange, OTHER};

/// The names are those of the OpenTelemetry conventions for HTTP and for RPC, both stable. `rpc.service` is older than these: it
/// is part of `rpc.method` there, and its own field here, because it is what a table of requests is ordered by.
pub(crate) fn sheet() -> Sheet<Exchange> {
    let sheet = Sheet::<Exchange>::new("http2", Signal::Span)
        .protocol_name("http")
        .name(|row: &Exchange, texts, out| {
            if row.is_grpc {
                out.chars(texts.of(row.rpc));
                return;
            }
            // The conventions want `HTTP` where the method is none of the known.
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
