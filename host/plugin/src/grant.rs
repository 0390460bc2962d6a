//! What a plugin asks for and what the operator has granted. `log` and `config` are free; the rest is granted by name.

use crate::inspect::Inspection;
use crate::refusal::Refusal;
use crate::version::interface;

/// What the operator has granted to one slot. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// BPF maps.
    pub maps: Vec<MapGrant>,
    /// Host tables.
    pub tables: Vec<TableGrant>,
    /// The clocks.
    pub clock: bool,
}

/// One BPF map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapGrant {
    /// Its name in the object.
    pub name: String,
    /// Whether it may be written as well.
    pub write: bool,
    /// What a key must begin with; empty for any key.
    pub prefix: Vec<u8>,
}

/// One host table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableGrant {
    /// Its name; `*` for all.
    pub table: String,
    /// Its columns; empty for all.
    pub columns: Vec<String>,
}

/// A word that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a grant; a grant is `clock`, `tables`, `tables:TABLE`, `tables:TABLE:COLUMN,COLUMN`, `maps:MAP`, `maps:MAP:rw` or `maps:MAP:r|rw:HEX-PREFIX`"
)]
pub struct GrantError(pub String);

// === impl Grants ===

impl Grants {
    /// Grants from the words of a configuration; [`GrantError`] lists them.
    ///
    /// # Errors
    /// The first word that is none.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            grants.add(word).ok_or_else(|| GrantError(crate::text::printable(word, 80)))?;
        }
        Ok(grants)
    }

    /// Compares what a component imports with what is granted.
    ///
    /// # Errors
    /// The first import that this host does not have or the operator has not granted.
    pub fn check(&self, inspection: &Inspection) -> Result<(), Refusal> {
        for import in &inspection.imports {
            let (granted, grant) = match interface(import)? {
                Some(("log" | "config", _)) => (true, ""),
                Some(("maps", _)) => (!self.maps.is_empty(), "maps:NAME"),
                Some(("tables", _)) => (!self.tables.is_empty(), "tables"),
                Some(("clock", _)) => (self.clock, "clock"),
                _ => return Err(Refusal::UnknownImport(import.clone())),
            };
            if !granted {
                return Err(Refusal::NotGranted { import: import.clone(), grant });
            }
        }
        Ok(())
    }

    /// The grant for a key of a map, for reading or for writing; else the words that would grant it.
    pub(crate) fn map(&self, name: &str, key: &[u8], write: bool) -> Result<(), String> {
        let mut of_map = self.maps.iter().filter(|grant| grant.name == name).peekable();
        let known = of_map.peek().is_some();
        if of_map.any(|grant| (grant.write || !write) && key.starts_with(&grant.prefix)) {
            return Ok(());
        }
        let name = crate::text::printable(name, 40);
        let need = if write { format!("maps:{name}:rw") } else { format!("maps:{name}") };
        let why = if known { "this key, or writing it, is outside of what is granted" } else { "this map is not granted" };
        Err(format!("{why}; `{need}` in `grants` of the slot would do"))
    }

    /// The grant for columns of a table; else the words that would grant it.
    pub(crate) fn table(&self, table: &str, columns: &[String]) -> Result<(), String> {
        let of_table = |grant: &&TableGrant| grant.table == table || grant.table == "*";
        let granted = |column: &String| {
            self.tables.iter().filter(of_table).any(|grant| grant.columns.is_empty() || grant.columns.contains(column))
        };
        match columns.iter().find(|column| !granted(column)) {
            None if self.tables.iter().any(|grant| of_table(&grant)) => Ok(()),
            missing => {
                let table = crate::text::printable(table, 40);
                let column = missing.map(|column| format!(":{}", crate::text::printable(column, 40))).unwrap_or_default();
                Err(format!("`tables:{table}{column}` in `grants` of the slot would do"))
            }
        }
    }

    fn add(&mut self, word: &str) -> Option<()> {
        let mut parts = word.splitn(4, ':');
        match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            ("clock", None, None, None) => self.clock = true,
            ("tables", table, columns, None) => {
                let columns: Vec<String> =
                    columns.map(|columns| columns.split(',').map(String::from).collect()).unwrap_or_default();
                if table == Some("") || columns.iter().any(String::is_empty) {
                    return None;
                }
                self.tables.push(TableGrant { table: table.unwrap_or("*").into(), columns });
            }
            ("maps", Some(name), mode, prefix) if !name.is_empty() => {
                let write = match mode {
                    None | Some("r") => false,
                    Some("rw") => true,
                    Some(_) => return None,
                };
                self.maps.push(MapGrant { name: name.into(), write, prefix: prefix.map_or(Some(Vec::new()), hex)? });
            }
            _ => return None,
        }
        Some(())
    }
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
        assert_eq!(grants.map("conns", b"any", false), Ok(()));
        assert!(grants.map("conns", b"any", true).unwrap_err().contains("maps:conns:rw"));
        assert_eq!(grants.map("rates", &[10, 0, 1], true), Ok(()));
        assert!(grants.map("rates", &[11, 0, 1], true).is_err());
        assert!(grants.map("other", b"", false).unwrap_err().contains("`maps:other`"));
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
        for word in ["", "maps", "maps:", "maps:a:w", "maps:a:r:0", "maps:a:r:zz", "tables:", "tables:a:", "clock:x", "net"] {
            assert!(Grants::parse(&[word]).is_err(), "{word}");
        }
    }
}
