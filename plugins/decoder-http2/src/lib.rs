//! Decoder of HTTP/2, and of gRPC over it: every stream that carries a request becomes a span.

// The content of messages.
mod vocabulary;
mod frame;
mod hpack;
mod grpc;
mod fields;
mod upgrade;

// How connections are recognised.
mod recognise;

// The settings of an operator.
mod settings;

// Requests, and their responses.
mod recover;
mod waiting;
mod direction;
mod attributes;
mod connection;
mod matching;

// The bytes that each end sends.
mod dispatch;

pub use attributes::Exchange;
pub use connection::Connection;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};

use connection::Tools;

/// The protocol.
#[derive(Debug, Default)]
pub struct Http2 {
    tools: Tools,
}

// === impl Http2 ===

impl Protocol for Http2 {
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { tools: Tools { routes: settings::routes(config)?, ..Tools::default() } })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        connection.read_data(data, &mut self.tools, rows)
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
