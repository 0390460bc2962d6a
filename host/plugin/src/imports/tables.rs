//! The host's tables, within what was granted.

use host_model::TableError as ModelError;

use super::Imports;
use crate::columns;
use crate::version::v0_1::probe::plugin::columns::ColumnResult;
use crate::version::v0_1::probe::plugin::tables::{Host, TableError};

/// Keys times columns of one lookup. 256 Ki: all columns for a batch of 16 Ki rows; more would hold up the path.
const VALUES: usize = 1 << 18;

impl Host for Imports {
    fn lookup(
        &mut self,
        table: String,
        keys: Vec<u64>,
        columns: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<ColumnResult>, TableError>> {
        self.crossed()?;
        Ok(self.answer(&table, &keys, &columns))
    }
}

impl Imports {
    fn answer(&self, table: &str, keys: &[u64], columns: &[String]) -> Result<Vec<ColumnResult>, TableError> {
        if keys.len().max(1).saturating_mul(columns.len()) > VALUES || keys.len() > VALUES {
            return Err(TableError::NotGranted(format!("ask for at most {VALUES} values at once")));
        }
        self.grants.table(table, columns).map_err(TableError::NotGranted)?;
        let found = self.host.tables.lookup(table, keys, columns).map_err(|error| match error {
            ModelError::NoTable(_) => TableError::NoSuchTable,
            ModelError::NoColumn(name) => TableError::NoSuchColumn(name),
        })?;
        // A column of a type that no plugin could read is one that it cannot have.
        let readable = |(array, name): (_, &String)| columns::copy(array).ok_or_else(|| TableError::NoSuchColumn(name.clone()));
        found.iter().zip(columns).map(readable).collect()
    }
}
