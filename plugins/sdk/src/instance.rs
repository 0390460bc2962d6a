//! The one instance of a plugin inside its component, and the implementation of the exported functions. For [`export!`](crate::export!).

use std::cell::RefCell;

use crate::columns::Columns;
use crate::config::Config;
use crate::conversation::{Beginning, Conversations, Disowned, Opinion, Protocol, Sender, Transport};
use crate::panic;
use crate::role::{Decoder, Enricher, Handover, Sampler};
use crate::wit::conversant::exports::probe::plugin::protocol;
use crate::wit::{Binding, Column, Decisions, Decoded, EventSchema, KernelPlan, RecordLayout, State, Stats};

/// A bound plugin, and for decoders the run of its last `decode`, which `complete` reads again.
pub struct Instance<T> {
    bound: RefCell<Option<Bound<T>>>,
}

struct Bound<T> {
    plugin: T,
    run: Vec<u8>,
}

// === impl Instance ===

impl<T> Instance<T> {
    /// Returns an instance that is not bound.
    #[must_use]
    pub const fn new() -> Self {
        Self { bound: RefCell::new(None) }
    }

    fn put(&self, plugin: T) {
        *self.bound.borrow_mut() = Some(Bound { plugin, run: Vec::new() });
    }

    fn with<R>(&self, call: impl FnOnce(&mut Bound<T>) -> Result<R, String>) -> Result<R, String> {
        self.bound.borrow_mut().as_mut().map_or_else(|| Err("called before bind".into()), call)
    }
}

impl<T> Default for Instance<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Decoder> Instance<T> {
    /// `decoder.expects`
    pub fn expects(&self, probe: &str) -> Option<RecordLayout> {
        panic::to_the_log();
        T::expects(probe)
    }

    /// `decoder.bind`
    pub fn bind_decoder(&self, probe: &str, layout: &RecordLayout, config: &str) -> Result<EventSchema, String> {
        let plugin = T::bind(probe, layout, Config::new(config))?;
        let schema = plugin.schema().clone();
        self.put(plugin);
        Ok(schema)
    }

    /// `decoder.decode`
    pub fn decode(&self, run: Vec<u8>, fields: &[u32]) -> Result<Decoded, String> {
        self.with(|bound| {
            bound.run = run;
            bound.plugin.decode(&bound.run, fields)
        })
    }

    /// `decoder.complete`
    pub fn complete(&self, rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String> {
        self.with(|bound| bound.plugin.complete(&bound.run, rows, fields))
    }
}

impl<T: Sampler> Instance<T> {
    /// `sampler.bind`
    pub fn bind_sampler(&self, schema: &EventSchema, config: &str) -> Result<Vec<u32>, String> {
        panic::to_the_log();
        let plugin = T::bind(schema, Config::new(config))?;
        let wanted = plugin.wanted();
        self.put(plugin);
        Ok(wanted)
    }

    /// `sampler.decide`
    pub fn decide(&self, rows: u32, columns: Vec<Column>) -> Result<Decisions, String> {
        self.with(|bound| bound.plugin.decide(&Columns::new(rows as usize, columns)))
    }

    /// `sampler.tune`
    pub fn tune(&self, stats: Stats) -> Option<KernelPlan> {
        self.with(|bound| Ok(bound.plugin.tune(stats))).ok().flatten()
    }
}

impl<T: Enricher> Instance<T> {
    /// `enricher.bind`
    pub fn bind_enricher(&self, schema: &EventSchema, config: &str) -> Result<Binding, String> {
        panic::to_the_log();
        let plugin = T::bind(schema, Config::new(config))?;
        let binding = Binding { wanted: plugin.wanted(), added: plugin.added() };
        self.put(plugin);
        Ok(binding)
    }

    /// `enricher.enrich`
    pub fn enrich(&self, rows: u32, columns: Vec<Column>) -> Result<Vec<Column>, String> {
        self.with(|bound| bound.plugin.enrich(&Columns::new(rows as usize, columns)))
    }
}

impl<T: Handover> Instance<T> {
    /// `handover.export-state`
    pub fn export_state(&self) -> Result<State, String> {
        self.with(|bound| bound.plugin.export_state())
    }

    /// `handover.import-state`
    pub fn import_state(&self, state: State) -> Result<(), String> {
        self.with(|bound| bound.plugin.import_state(state))
    }
}

impl<P: Protocol> Instance<Conversations<P>> {
    /// `protocol.describe`
    pub fn describe(&self) -> protocol::Description {
        let description = P::description();
        let signature = |signature: crate::conversation::Signature| protocol::Signature {
            sender: match signature.sender {
                None => protocol::Sender::Either,
                Some(Sender::Client) => protocol::Sender::Client,
                Some(Sender::Server) => protocol::Sender::Server,
            },
            transport: match signature.transport {
                None => protocol::Transport::Either,
                Some(Transport::Tcp) => protocol::Transport::Tcp,
                Some(Transport::Udp) => protocol::Transport::Udp,
            },
            offset: signature.offset,
            bytes: signature.bytes,
            mask: signature.mask,
            port: signature.port,
            certain: signature.is_certain,
        };
        protocol::Description {
            name: description.name,
            signatures: description.signatures.into_iter().map(signature).collect(),
            ports: description.ports,
            capture_bytes: description.capture_bytes,
        }
    }

    /// `protocol.recognise`
    pub fn recognise(&self, beginnings: &protocol::Beginnings) -> Vec<u8> {
        let columns = beginnings.ports.iter().zip(&beginnings.senders).zip(&beginnings.transports);
        let opinion = |bound: &Bound<Conversations<P>>, port: u32, sender: u8, transport: u8, payload: &[u8]| {
            let sender = match sender {
                1 => Some(Sender::Client),
                2 => Some(Sender::Server),
                _ => None,
            };
            let transport = if transport == 17 { Transport::Udp } else { Transport::Tcp };
            bound.plugin.recognise(&Beginning { server_port: port as u16, sender, transport, payload }) as u8
        };
        let opinions = self.with(|bound| {
            let each = columns.zip(beginnings.payloads.iter());
            Ok(each.map(|(((&port, &sender), &transport), payload)| opinion(bound, port, sender, transport, payload)).collect())
        });
        opinions.unwrap_or_else(|_| vec![Opinion::No as u8; beginnings.ports.len()])
    }

    /// `protocol.disowned`
    pub fn disowned(&self) -> protocol::DisownedConversations {
        let disowned = self.with(|bound| Ok(bound.plugin.disowned())).unwrap_or_default();
        let from = |of: &Disowned| of.from.unwrap_or((u32::MAX, 0));
        protocol::DisownedConversations {
            connections: disowned.iter().map(|of| of.connection).collect(),
            tls: disowned.iter().map(|of| u8::from(of.is_tls)).collect(),
            records: disowned.iter().map(|of| from(of).0).collect(),
            bytes: disowned.iter().map(|of| from(of).1).collect(),
        }
    }
}
