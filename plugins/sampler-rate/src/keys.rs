//! All keys, up to a maximum, and the state that is handed over.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use plugin_sdk::State;

use crate::window::Window;

/// The windows of all keys.
#[derive(Debug)]
pub(crate) struct Keys {
    windows: HashMap<u64, Window, BuildHasherDefault<Hashed>>,
    most: usize,
    /// The window of keys beyond the maximum.
    others: Window,
    /// The second of the last sweep.
    swept: u64,
}

/// Version of the state that is handed over: the hash of the key's name, then for every key its hash, second, rows and expected rows; all
/// u64, little-endian.
pub(crate) const STATE_VERSION: u32 = 1;

/// Length of one key in the state, in bytes.
const ENTRY: usize = 32;

/// Seconds without rows after which a key may be dropped.
const QUIET: u64 = 10;

/// A hasher for keys that are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Hashed(u64);

// === impl Keys ===

impl Keys {
    pub(crate) fn new(most: usize) -> Self {
        Self { windows: HashMap::default(), most, others: Window::default(), swept: 0 }
    }

    /// Returns the window of a key, for a row that began in `second`.
    #[inline]
    pub(crate) fn window(&mut self, key: u64, second: u64) -> &mut Window {
        if self.windows.len() >= self.most && !self.windows.contains_key(&key) && !self.make_room(second) {
            return &mut self.others;
        }
        self.windows.entry(key).or_default()
    }

    /// Returns the state for a successor that counts by the same field.
    pub(crate) fn state(&self, field: u64) -> State {
        let mut bytes = Vec::with_capacity(8 + self.windows.len() * ENTRY);
        bytes.extend_from_slice(&field.to_le_bytes());
        for (key, window) in &self.windows {
            for number in [*key, window.second, window.rows, window.expected] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        State { version: STATE_VERSION, bytes }
    }

    /// Continues from a predecessor's state, with the latest keys if it exceeds the maximum.
    ///
    /// # Errors
    /// The state is of another version or of another field, or is invalid.
    pub(crate) fn resume(&mut self, field: u64, state: &State) -> Result<(), String> {
        if state.version != STATE_VERSION {
            return Err(format!("state of version {}; this plugin knows version {STATE_VERSION}", state.version));
        }
        let numbers = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let Some((counted, entries)) = state.bytes.split_at_checked(8).filter(|(_, entries)| entries.len() % ENTRY == 0) else {
            return Err("the state is not one of counts".into());
        };
        if numbers(counted) != field {
            return Err("the state counts the values of another field".into());
        }
        let mut windows: Vec<(u64, Window)> = entries
            .chunks_exact(ENTRY)
            .map(|entry| {
                let number = |index: usize| numbers(entry.get(index * 8..).unwrap_or_default());
                (number(0), Window { second: number(1), rows: number(2), expected: number(3) })
            })
            .collect();
        windows.sort_unstable_by_key(|(_, window)| std::cmp::Reverse(window.second));
        windows.truncate(self.most);
        self.windows = windows.into_iter().collect();
        Ok(())
    }

    /// Drops keys without recent rows, at most once a second, because it visits all of them. Returns whether there is room now.
    #[cold]
    fn make_room(&mut self, second: u64) -> bool {
        if second != self.swept {
            self.swept = second;
            self.windows.retain(|_, window| window.second.saturating_add(QUIET) > second && window.second <= second);
        }
        self.windows.len() < self.most
    }
}

// === impl Hashed ===

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, STATE_VERSION};
    use plugin_sdk::{NEVER, State};

    #[test]
    fn keys_beyond_the_most_share_one_until_others_were_quiet() {
        let mut keys = Keys::new(2);
        for key in [1, 2, 3, 4] {
            keys.window(key, 1).decide(1, 1);
        }
        assert_eq!(keys.windows.len(), 2);
        assert_eq!(keys.window(3, 1).decide(1, 1), NEVER, "3 and 4 share what is left");
        keys.window(1, 20).decide(20, 1);
        assert_eq!(keys.window(3, 20).decide(20, 1), 0, "2 was quiet");
        assert_eq!(keys.windows.len(), 2);
    }

    #[test]
    fn a_successor_goes_on_and_takes_the_latest_where_it_has_less_room() {
        let mut old = Keys::new(10);
        for key in 1..=5 {
            old.window(key, key).decide(key, 100);
        }
        let mut new = Keys::new(3);
        new.resume(9, &old.state(9)).unwrap();
        let mut seconds: Vec<u64> = new.windows.values().map(|window| window.second).collect();
        seconds.sort_unstable();
        assert_eq!(seconds, [3, 4, 5]);
        assert_eq!(new.window(5, 5).rows, 1);
    }

    #[test]
    fn what_is_no_state_of_this_field_is_refused() {
        let mut keys = Keys::new(10);
        let state = |version, bytes| State { version, bytes };
        assert!(keys.resume(9, &state(2, vec![0; 8])).unwrap_err().contains("version 2"));
        assert!(keys.resume(9, &state(STATE_VERSION, vec![0; 8])).unwrap_err().contains("another field"));
        assert!(keys.resume(0, &state(STATE_VERSION, vec![0; 9])).is_err());
        assert!(keys.resume(0, &state(STATE_VERSION, Vec::new())).is_err());
        assert_eq!(
            keys.resume(0, &state(STATE_VERSION, vec![0xff; 8 + 320])).unwrap_err(),
            "the state counts the values of another field"
        );
        let hostile = [&[0; 8][..], &[0xff; 64]].concat();
        keys.resume(0, &state(STATE_VERSION, hostile)).unwrap();
        assert_eq!(keys.window(u64::MAX, 5).decide(5, 100), 0, "it finds back");
    }
}
