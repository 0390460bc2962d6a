//! Compares the imports of a plugin with the grants of the operator. `log` and `config` are free; the rest is granted by name.

use crate::inspection::Inspection;
use crate::refusal::Refusal;
use crate::version::{interface, is_wasi};

/// The grant to run precompiled native code, as it is written.
pub const NATIVE_CODE: &str = "native-code";

/// The permissions of one slot; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// BPF maps that it may access.
    pub maps: Vec<MapGrant>,
    /// Host tables that it may read.
    pub tables: Vec<TableGrant>,
    /// Whether it may read the clocks.
    pub clock: bool,
    /// Whether it may have random numbers.
    pub random: bool,
    /// Permission to run precompiled native code. Granted only to a digest or a signer, never to a slot.
    pub native_code: bool,
}

/// A permission for one BPF map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapGrant {
    /// Name of the map in the object.
    pub name: String,
    /// Whether the map may also be written.
    pub write: bool,
    /// Prefix that keys must have; empty for any key.
    pub prefix: Vec<u8>,
    /// Maximum number of updates and deletions per second by each instance; None for no limit.
    pub updates_per_second: Option<u32>,
}

/// A permission for one host table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableGrant {
    /// Name of the table; `*` for all.
    pub table: String,
    /// Names of its columns; empty for all.
    pub columns: Vec<String>,
}

/// A word that is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a grant; a grant is `clock`, `random`, `native-code`, `tables`, `tables:TABLE`, `tables:TABLE:COLUMN,COLUMN`, `maps:MAP`, \
     `maps:MAP:rw`, `maps:MAP:r|rw:HEX-PREFIX` or `maps:MAP:rw:HEX-PREFIX:UPDATES/s`, where the prefix may be empty"
)]
pub struct GrantError(pub String);

/// The permission that an import needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None: every plugin has it.
    Free,
    /// None: it is an interface of WASI, which links but is empty.
    Empty,
    /// A grant; this is the simplest word that grants it.
    Grant(&'static str),
}

/// Returns the permission that an import needs.
///
/// # Errors
/// The host does not have the import, or not in this version.
pub fn need(import: &str) -> Result<Need, Refusal> {
    match interface(import)? {
        Some(("log" | "config", _)) => Ok(Need::Free),
        Some(("maps", _)) => Ok(Need::Grant("maps:NAME")),
        Some(("tables", _)) => Ok(Need::Grant("tables")),
        Some(("clock", _)) => Ok(Need::Grant("clock")),
        Some(("random", _)) => Ok(Need::Grant("random")),
        None if is_wasi(import)? => Ok(Need::Empty),
        _ => Err(Refusal::UnknownImport(import.into())),
    }
}

// === impl Grants ===

impl Grants {
    /// Parses grants from the words of a configuration; [`GrantError`] lists them.
    ///
    /// # Errors
    /// The first invalid word.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            grants.add(word).ok_or_else(|| GrantError(host_model::printable(word, 80)))?;
        }
        Ok(grants)
    }

    /// Returns the union of two grants: of a slot, and of a digest or a signer.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.maps.extend(other.maps.iter().filter(|grant| !self.maps.contains(grant)).cloned());
        all.tables.extend(other.tables.iter().filter(|grant| !self.tables.contains(grant)).cloned());
        all.clock |= other.clock;
        all.random |= other.random;
        all.native_code |= other.native_code;
        all
    }

    /// Compares a component's imports with its grants.
    ///
    /// # Errors
    /// An import that this host does not have, or all imports that the operator has not granted.
    pub fn check(&self, inspection: &Inspection) -> Result<(), Refusal> {
        let (mut imports, mut grants) = (Vec::new(), Vec::new());
        for import in &inspection.imports {
            if let Need::Grant(word) = need(import)?
                && !self.has(word)
            {
                imports.push(import.clone());
                grants.push(word);
            }
        }
        if imports.is_empty() { Ok(()) } else { Err(Refusal::NotGranted { imports, grants }) }
    }

    fn has(&self, word: &str) -> bool {
        match word {
            "clock" => self.clock,
            "random" => self.random,
            "tables" => !self.tables.is_empty(),
            _ => !self.maps.is_empty(),
        }
    }

    /// Returns the grants for a key of a map, for reading or for writing, as indices in `maps`, at least one; else the words that would
    /// grant it.
    pub(crate) fn map(&self, name: &str, key: &[u8], write: bool) -> Result<Vec<usize>, String> {
        let of_map = self.maps.iter().enumerate().filter(|(_, grant)| grant.name == name);
        let fits = |grant: &MapGrant| (grant.write || !write) && key.starts_with(&grant.prefix);
        let granted: Vec<usize> = of_map.clone().filter(|(_, grant)| fits(grant)).map(|(place, _)| place).collect();
        if !granted.is_empty() {
            return Ok(granted);
        }
        let known = of_map.count() > 0;
        let name = host_model::printable(name, 40);
        let need = if write { format!("maps:{name}:rw") } else { format!("maps:{name}") };
        let why = if known { "this key, or writing it, is outside of what is granted" } else { "this map is not granted" };
        Err(format!("{why}; `{need}` in `grants` of the slot would do"))
    }

    /// Checks the grant for columns of a table; if it is missing, returns the words that would grant it.
    pub(crate) fn table(&self, table: &str, columns: &[String]) -> Result<(), String> {
        let of_table = |grant: &&TableGrant| grant.table == table || grant.table == "*";
        let granted = |column: &String| {
            self.tables.iter().filter(of_table).any(|grant| grant.columns.is_empty() || grant.columns.contains(column))
        };
        match columns.iter().find(|column| !granted(column)) {
            None if self.tables.iter().any(|grant| of_table(&grant)) => Ok(()),
            missing => {
                let table = host_model::printable(table, 40);
                let column = missing.map(|column| format!(":{}", host_model::printable(column, 40))).unwrap_or_default();
                Err(format!("`tables:{table}{column}` in `grants` of the slot would do"))
            }
        }
    }

    fn add(&mut self, word: &str) -> Option<()> {
        let parts: Vec<&str> = word.split(':').collect();
        match *parts {
            ["clock"] => self.clock = true,
            ["random"] => self.random = true,
            [NATIVE_CODE] => self.native_code = true,
            ["tables"] => self.tables.push(TableGrant { table: "*".into(), columns: Vec::new() }),
            ["tables", table] if !table.is_empty() => {
                self.tables.push(TableGrant { table: table.into(), columns: Vec::new() });
            }
            ["tables", table, columns] if !table.is_empty() => {
                let columns: Vec<String> = columns.split(',').map(String::from).collect();
                if columns.iter().any(String::is_empty) {
                    return None;
                }
                self.tables.push(TableGrant { table: table.into(), columns });
            }
            ["maps", name] => self.add_map(name, "r", "", None)?,
            ["maps", name, mode] => self.add_map(name, mode, "", None)?,
            ["maps", name, mode, prefix] => self.add_map(name, mode, prefix, None)?,
            ["maps", name, mode @ "rw", prefix, rate] => self.add_map(name, mode, prefix, Some(per_second(rate)?))?,
            _ => return None,
        }
        Some(())
    }

    fn add_map(&mut self, name: &str, mode: &str, prefix: &str, updates_per_second: Option<u32>) -> Option<()> {
        let write = match mode {
            "r" => false,
            "rw" => true,
            _ => return None,
        };
        if name.is_empty() {
            return None;
        }
        self.maps.push(MapGrant { name: name.into(), write, prefix: hex(prefix)?, updates_per_second });
        Some(())
    }
}

/// Parses `100/s`; a rate of 0 is invalid.
fn per_second(text: &str) -> Option<u32> {
    text.strip_suffix("/s")?.parse().ok().filter(|&updates| updates > 0)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_granted_by_name_mode_and_prefix() {
        let grants = Grants::parse(&["maps:conns", "maps:rates:rw:0a00"]).unwrap();
        assert_eq!(grants.map("conns", b"any", false), Ok(vec![0]));
        assert!(grants.map("conns", b"any", true).unwrap_err().contains("maps:conns:rw"));
        assert_eq!(grants.map("rates", &[10, 0, 1], true), Ok(vec![1]));
        assert!(grants.map("rates", &[11, 0, 1], true).is_err());
        assert!(grants.map("other", b"", false).unwrap_err().contains("`maps:other`"));
    }

    #[test]
    fn a_map_may_be_written_so_many_times_a_second() {
        let grants = Grants::parse(&["maps:rates:rw::100/s", "maps:rates:rw:0a:5/s"]).unwrap();
        let rates: Vec<_> = grants.maps.iter().map(|grant| (grant.prefix.as_slice(), grant.updates_per_second)).collect();
        assert_eq!(rates, [(&[][..], Some(100)), (&[10][..], Some(5))]);
        assert_eq!(grants.map("rates", &[10], true), Ok(vec![0, 1]));
    }

    #[test]
    fn two_sets_of_grants_make_one_without_repeating_what_is_in_both() {
        let slot = Grants::parse(&["maps:a", "clock", "tables:process"]).unwrap();
        let signer = Grants::parse(&["maps:a", "maps:a:rw:00", "random", "tables:process"]).unwrap();
        let expected = Grants::parse(&["maps:a", "maps:a:rw:00", "clock", "random", "tables:process"]).unwrap();
        assert_eq!(slot.merge(&signer), expected);
        assert_eq!(slot.merge(&Grants::default()), slot);
    }

    #[test]
    fn a_table_is_granted_by_name_and_column() {
        let columns = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<String>>();
        let grants = Grants::parse(&["tables:process:cgroup,user.name"]).unwrap();
        assert_eq!(grants.table("process", &columns(&["cgroup"])), Ok(()));
        assert!(grants.table("process", &columns(&["cgroup", "command_line"])).unwrap_err().contains("process:command_line"));
        assert!(grants.table("dns", &[]).is_err());
        assert_eq!(Grants::parse(&["tables"]).unwrap().table("dns", &columns(&["name"])), Ok(()));
    }

    #[test]
    fn a_word_that_grants_nothing_is_an_error() {
        let maps = ["maps", "maps:", "maps:a:w", "maps:a:r:0", "maps:a:r:zz"];
        let rates = ["maps:a:r::5/s", "maps:a:rw::0/s", "maps:a:rw::5", "maps:a:rw::-5/s", "maps:a:rw:00:5/s:x", "maps:a:5/s"];
        for word in ["", "tables:", "tables:a:", "clock:x", "random:x", "net"].iter().chain(&maps).chain(&rates) {
            assert!(Grants::parse(&[word]).is_err(), "{word}");
        }
    }
}
