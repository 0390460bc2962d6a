//! Which servers are MariaDB: sessions that do not say it are told by those that do.

use std::collections::{BTreeMap, VecDeque};

/// What greetings said.
#[derive(Debug, Default)]
pub(crate) struct Systems {
    /// Connections that went on encrypted: their plaintext begins behind the greeting. Whether it was one of MariaDB.
    encrypted: VecDeque<(u64, bool)>,
    /// By the port of the server; None where both were heard of.
    ports: BTreeMap<u16, Option<bool>>,
}

/// Connections that are remembered until their plaintext is seen, which is soon.
const MOST: usize = 1024;
/// Ports that are remembered.
const PORTS: usize = 64;

// === impl Systems ===

impl Systems {
    /// A server greeted.
    pub(crate) fn greet(&mut self, port: u16, is_mariadb: bool) {
        if self.ports.len() >= PORTS && !self.ports.contains_key(&port) {
            return;
        }
        let known = self.ports.entry(port).or_insert(Some(is_mariadb));
        if *known != Some(is_mariadb) {
            *known = None;
        }
    }

    /// A connection is encrypted from now on.
    pub(crate) fn encrypt(&mut self, connection: u64, is_mariadb: bool) {
        if self.encrypted.len() >= MOST {
            self.encrypted.pop_front();
        }
        self.encrypted.push_back((connection, is_mariadb));
    }

    /// Whether a session is with MariaDB whose greeting was not seen: by that of the same connection, else by those of its port.
    pub(crate) fn is_mariadb(&mut self, connection: u64, port: u16) -> bool {
        let place = self.encrypted.iter().rposition(|(known, _)| *known == connection);
        let said = place.and_then(|place| self.encrypted.remove(place)).map(|(_, is_mariadb)| is_mariadb);
        said.or_else(|| self.ports.get(&port).copied().flatten()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::Systems;

    #[test]
    fn a_connection_is_told_by_its_own_greeting_and_else_by_those_of_its_port() {
        let mut systems = Systems::default();
        assert!(!systems.is_mariadb(1, 3306));
        systems.greet(3306, true);
        systems.encrypt(1, true);
        assert!(systems.is_mariadb(1, 3306) && systems.is_mariadb(2, 3306) && !systems.is_mariadb(2, 3307));
        systems.greet(3306, false);
        systems.encrypt(3, true);
        assert!(systems.is_mariadb(3, 3306), "its own greeting counts");
        assert!(!systems.is_mariadb(3, 3306), "both are at this port");
    }

    #[test]
    fn no_more_is_remembered_than_the_caps() {
        let mut systems = Systems::default();
        (0..5000_u64).for_each(|number| systems.encrypt(number, true));
        (0..5000_u16).for_each(|port| systems.greet(port, true));
        assert!(systems.encrypted.len() == super::MOST && systems.ports.len() == super::PORTS);
    }
}
