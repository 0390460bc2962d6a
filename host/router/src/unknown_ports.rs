//! Connections of an unknown protocol, counted by the port of the server.

use host_model::UnknownPort;

/// Maximum number of ports with counts of their own; the rest are counted together.
const MOST: usize = 256;

/// Index for ciphertext whose plaintext is seen as well: its protocol does not matter.
pub(crate) const COVERED: usize = usize::MAX;

/// The counts per port.
#[derive(Default)]
pub(crate) struct UnknownPorts {
    ports: Vec<UnknownPort>,
    others: UnknownPort,
    /// The counts of such ciphertext. Not shown.
    covered: UnknownPort,
}

// === impl UnknownPorts ===

impl UnknownPorts {
    /// Counts a connection. Returns the index at which its records are counted.
    pub(crate) fn add_connection(&mut self, transport: u8, port: u16) -> usize {
        let found = self.ports.iter().position(|known| (known.transport, known.port) == (transport, port));
        let index = match found {
            Some(index) => index,
            None if self.ports.len() < MOST => {
                self.ports.push(UnknownPort { transport, port, ..UnknownPort::default() });
                self.ports.len() - 1
            }
            None => MOST,
        };
        self.of(index).connections += 1;
        index
    }

    /// Counts records.
    pub(crate) fn count(&mut self, index: usize, records: u64) {
        self.of(index).records += records;
    }

    /// Takes back the counts of a connection that turns out to be the ciphertext of a known conversation.
    pub(crate) fn take_back(&mut self, index: usize, records: u64) {
        let port = self.of(index);
        port.connections = port.connections.saturating_sub(1);
        port.records = port.records.saturating_sub(records);
    }

    /// Returns all ports, those with most connections first.
    pub(crate) fn all(&self) -> Vec<UnknownPort> {
        let mut all = self.ports.clone();
        all.retain(|port| port.connections > 0);
        all.sort_by_key(|port| std::cmp::Reverse((port.connections, port.records)));
        if self.others.connections > 0 {
            all.push(self.others);
        }
        all
    }

    fn of(&mut self, index: usize) -> &mut UnknownPort {
        if index == COVERED {
            return &mut self.covered;
        }
        self.ports.get_mut(index).unwrap_or(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_counted_and_the_rest_together() {
        let mut ports = UnknownPorts::default();
        let first = ports.add_connection(6, 9000);
        assert_eq!(ports.add_connection(6, 9000), first);
        assert_ne!(ports.add_connection(17, 9000), first, "another transport");
        ports.count(first, 5);
        let last = (0..300).map(|port| ports.add_connection(6, port)).last().unwrap();
        ports.count(last, 7);
        let all = ports.all();
        assert_eq!(all[0], UnknownPort { transport: 6, port: 9000, connections: 2, records: 5 });
        assert_eq!(all.len(), MOST + 1);
        assert_eq!(*all.last().unwrap(), UnknownPort { transport: 0, port: 0, connections: 46, records: 7 });
    }
}
