//! The imports of the host that need a grant.

use crate::wit::{Column, tables};

/// Tables with a key: those of the host, or in tests any implementation.
pub trait Lookup {
    /// Returns one value of every column for every key.
    ///
    /// # Errors
    /// Why the lookup failed, and its cure for the operator.
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String]) -> Result<Vec<Column>, String>;
}

/// The host's tables. They exist in a component only: natively, a lookup panics.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostTables;

impl Lookup for HostTables {
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String]) -> Result<Vec<Column>, String> {
        tables::lookup(table, keys, columns).map_err(|error| match error {
            tables::TableError::NotGranted(cure) => format!("table `{table}` is not granted: {cure}"),
            tables::TableError::NoSuchTable => format!("the host has no table `{table}`"),
            tables::TableError::NoSuchColumn(column) => format!("the host's table `{table}` has no column `{column}`"),
        })
    }
}
