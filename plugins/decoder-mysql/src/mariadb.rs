//! Which servers are MariaDB: for sessions without a greeting, derived from those with one.

use std::collections::{BTreeMap, VecDeque};

/// Whether servers are MariaDB, by their greetings.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    /// Whether the server is MariaDB, for connections that became encrypted: their plaintext begins behind the greeting.
    encrypted: VecDeque<(u64, bool)>,
    /// By the port of the server; None if both kinds were seen.
    ports: BTreeMap<u16, Option<bool>>,
}

/// Maximum number of connections that are stored until their plaintext is seen, which is soon.
const MAX_ENCRYPTED: usize = 1024;
/// Maximum number of ports that are stored.
const MAX_PORTS: usize = 64;

// === impl Servers ===

impl Servers {
    /// Records the greeting of a server.
    pub(crate) fn record_greeting(&mut self, port: u16, is_mariadb: bool) {
        if self.ports.len() >= MAX_PORTS && !self.ports.contains_key(&port) {
            return;
        }
        let known = self.ports.entry(port).or_insert(Some(is_mariadb));
        if *known != Some(is_mariadb) {
            *known = None;
        }
    }

    /// Records that a connection is encrypted from now on.
    pub(crate) fn record_encryption(&mut self, connection: u64, is_mariadb: bool) {
        if self.encrypted.len() >= MAX_ENCRYPTED {
            self.encrypted.pop_front();
        }
        self.encrypted.push_back((connection, is_mariadb));
    }

    /// Whether the server of a session whose greeting was not seen is MariaDB: by a greeting of the same connection, else by those of its
    /// port.
    pub(crate) fn is_mariadb(&mut self, connection: u64, port: u16) -> bool {
        let place = self.encrypted.iter().rposition(|(known, _)| *known == connection);
        let said = place.and_then(|place| self.encrypted.remove(place)).map(|(_, is_mariadb)| is_mariadb);
        said.or_else(|| self.ports.get(&port).copied().flatten()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::Servers;

    #[test]
    fn a_connection_is_told_by_its_own_greeting_and_else_by_those_of_its_port() {
        let mut servers = Servers::default();
        assert!(!servers.is_mariadb(1, 3306));
        servers.record_greeting(3306, true);
        servers.record_encryption(1, true);
        assert!(servers.is_mariadb(1, 3306) && servers.is_mariadb(2, 3306) && !servers.is_mariadb(2, 3307));
        servers.record_greeting(3306, false);
        servers.record_encryption(3, true);
        assert!(servers.is_mariadb(3, 3306), "its own greeting counts");
        assert!(!servers.is_mariadb(3, 3306), "both are at this port");
    }

    #[test]
    fn no_more_is_remembered_than_the_caps() {
        let mut servers = Servers::default();
        (0..5000_u64).for_each(|number| servers.record_encryption(number, true));
        (0..5000_u16).for_each(|port| servers.record_greeting(port, true));
        assert!(servers.encrypted.len() == super::MAX_ENCRYPTED && servers.ports.len() == super::MAX_PORTS);
    }
}
