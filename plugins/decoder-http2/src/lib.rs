//! Decoder of HTTP/2, and of gRPC over it: every stream on which something is asked becomes a span.

mod frame;
mod hpack;

mod fields;
mod grpc;
mod recover;

mod call;
mod direction;
mod upgrade;
mod connection;
mod recognise;
mod row;
mod sheet;

use plugin_sdk::Config;
use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Routes, Sender, Sheet, Signature,
};
use serde::Deserialize;

pub use connection::Connection;
pub use row::Exchange;

use connection::Tools;
use frame::PREFACE;

/// The protocol.
#[derive(Debug, Default)]
pub struct Http2 {
    tools: Tools,
}

/// The settings of its own.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Routes in which `{x}` stands for a segment, and `*` at the end for all that follows.
    routes: Vec<String>,
}

/// How much of each call is worth capturing: responses stand one behind the other in it.
const CAPTURED: u32 = 4096;

// === impl Http2 ===

impl Protocol for Http2 {
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        // SETTINGS on stream 0, shorter than 256 bytes: what a server begins with. Which nine bytes come by chance as well.
        let settings = Signature::server(&[0, 0, 0, frame::SETTINGS, 0, 0, 0, 0, 0])
            .masked(&[0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
            .tcp();
        Description::new("http2")
            .signature(Signature::client(PREFACE).tcp().certain())
            .signature(settings)
            .on_port(50051)
            .on_port(443)
            .capture_bytes(CAPTURED)
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        Ok(Self { tools: Tools { routes: Routes::new(settings.routes)?, ..Tools::default() } })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        sheet::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        connection.data(data, &mut self.tools, rows)
    }

    fn gone_by(&mut self, connection: &mut Connection, sender: Sender, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        connection.gone_by(sender, time_ns, &mut self.tools, rows);
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        connection.gap(sender, &mut self.tools, rows);
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        connection.end(why, &mut self.tools, rows);
    }
}

plugin_sdk::export!(protocol: Http2);
