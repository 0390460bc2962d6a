//! Connections whose protocol nobody knows, counted by the port of the server.

use host_model::Stranger;

/// Ports that are told apart; what is over it is counted together.
const MOST: usize = 256;

/// Where the ciphertext of connections is counted whose plaintext is seen as well: nobody misses it.
pub(crate) const COVERED: usize = usize::MAX;

/// The counts.
#[derive(Default)]
pub(crate) struct Strangers {
    ports: Vec<Stranger>,
    others: Stranger,
    /// Not told of.
    covered: Stranger,
}

// === impl Strangers ===

impl Strangers {
    /// One more connection. The number says where its records are counted.
    pub(crate) fn meet(&mut self, transport: u8, port: u16) -> usize {
        let found = self.ports.iter().position(|stranger| (stranger.transport, stranger.port) == (transport, port));
        let index = match found {
            Some(index) => index,
            None if self.ports.len() < MOST => {
                self.ports.push(Stranger { transport, port, ..Stranger::default() });
                self.ports.len() - 1
            }
            None => MOST,
        };
        self.of(index).connections += 1;
        index
    }

    /// So many more records.
    pub(crate) fn count(&mut self, index: usize, records: u64) {
        self.of(index).records += records;
    }

    /// It is known after all: what is going over the wire is the TLS of a conversation that is known in plaintext.
    pub(crate) fn take_back(&mut self, index: usize, records: u64) {
        let stranger = self.of(index);
        stranger.connections = stranger.connections.saturating_sub(1);
        stranger.records = stranger.records.saturating_sub(records);
    }

    /// All of them, those with most connections first.
    pub(crate) fn all(&self) -> Vec<Stranger> {
        let mut all = self.ports.clone();
        all.retain(|stranger| stranger.connections > 0);
        all.sort_by_key(|stranger| std::cmp::Reverse((stranger.connections, stranger.records)));
        if self.others.connections > 0 {
            all.push(self.others);
        }
        all
    }

    fn of(&mut self, index: usize) -> &mut Stranger {
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
        let mut strangers = Strangers::default();
        let first = strangers.meet(6, 9000);
        assert_eq!(strangers.meet(6, 9000), first);
        assert_ne!(strangers.meet(17, 9000), first, "another transport");
        strangers.count(first, 5);
        let last = (0..300).map(|port| strangers.meet(6, port)).last().unwrap();
        strangers.count(last, 7);
        let all = strangers.all();
        assert_eq!(all[0], Stranger { transport: 6, port: 9000, connections: 2, records: 5 });
        assert_eq!(all.len(), MOST + 1);
        assert_eq!(*all.last().unwrap(), Stranger { transport: 0, port: 0, connections: 46, records: 7 });
    }
}
