//! What the host offers to those who are granted it.

use crate::wit::{Column, tables};

/// Tables with a key: those of the host, or in tests anything that answers.
pub trait Lookup {
    /// For every key one value of every column.
    ///
    /// # Errors
    /// Why there is no answer, and what the operator can do about it.
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
