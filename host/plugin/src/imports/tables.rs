//! The host's tables, limited by the grants and by the time of the call: values not read by then are left out and counted.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use host_model::{Looked, TableError as ModelError};

use super::Imports;
use crate::columns;
use crate::version::v0_1::probe::plugin::columns::ColumnResult;
use crate::version::v0_1::probe::plugin::tables::{Host, TableError};

/// Maximum of keys times columns of one lookup. 256 Ki: all columns for a batch of 16 Ki rows; more would hold up the path.
const VALUES: usize = 1 << 18;

impl Host for Imports {
    fn lookup(
        &mut self,
        table: String,
        keys: Vec<u64>,
        columns: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<ColumnResult>, TableError>> {
        self.crossed()?;
        let (answer, took) = self.waiting(|imports| imports.answer(&table, &keys, &columns));
        self.rates.have_read(took);
        Ok(answer)
    }
}

impl Imports {
    fn answer(&self, table: &str, keys: &[u64], columns: &[String]) -> Result<Vec<ColumnResult>, TableError> {
        if keys.len().max(1).saturating_mul(columns.len()) > VALUES || keys.len() > VALUES {
            return Err(TableError::NotGranted(format!("ask for at most {VALUES} values at once")));
        }
        self.grants.table(table, columns).map_err(TableError::NotGranted)?;
        let within = self.deadline.left_to_wait().min(self.rates.left_to_read(Instant::now()));
        let Looked { columns: found, left_out } =
            self.host.tables.lookup(table, keys, columns, within).map_err(|error| match error {
                ModelError::NoTable(_) => TableError::NoSuchTable,
                ModelError::NoColumn(name) => TableError::NoSuchColumn(name),
            })?;
        if left_out > 0 {
            self.stats.lookups_left_out.fetch_add(left_out, Relaxed);
        }
        // A column whose type plugins cannot read is reported as missing.
        let readable = |(array, name): (_, &String)| columns::copy(array).ok_or_else(|| TableError::NoSuchColumn(name.clone()));
        found.iter().zip(columns).map(readable).collect()
    }
}
