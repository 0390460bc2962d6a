//! A node of four processes, and the enricher that asks for them without a sandbox.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, StringArray, UInt32Array};
use host_model::{Added, Batch, CallStats, Enricher, Fault, Field, Looked, Plugin, PluginId, State, TableError, Tables};

use crate::native::Identity;

/// The host's knowledge of the processes on the tape: pids 1000 to 1003.
#[derive(Debug)]
pub(crate) struct Census {
    columns: Vec<(&'static str, [String; 4])>,
}

/// Like `enricher-process`: requests columns of the process table and adds them unchanged.
pub(crate) struct NativeEnricher {
    identity: Identity,
    census: Arc<Census>,
    wanted: Vec<usize>,
    added: Vec<Field>,
    columns: Vec<String>,
}

// === impl Census ===

impl Census {
    pub(crate) fn new() -> Self {
        let each = |value: fn(usize) -> String| std::array::from_fn(value);
        Self {
            columns: vec![
                ("executable.path", each(|_| "/usr/sbin/nginx".into())),
                ("command_line", each(|of| format!("nginx: worker process {of}"))),
                ("cgroup", each(|of| format!("/system.slice/nginx-{of}.service"))),
                ("container.id", each(|of| format!("{of:064x}"))),
                ("user.name", each(|_| "www-data".into())),
            ],
        }
    }
}

impl Tables for Census {
    fn lookup(&self, _: &str, keys: &[u64], columns: &[String], _: Duration) -> Result<Looked, TableError> {
        let of = |key: &u64| (key - 1000) as usize;
        let gather = |column: &String| -> Result<ArrayRef, TableError> {
            if column == "parent_pid" {
                return Ok(Arc::new(UInt32Array::from_iter_values(keys.iter().map(|_| 1))));
            }
            let (_, values) =
                self.columns.iter().find(|(name, _)| name == column).ok_or(TableError::NoColumn(column.clone()))?;
            Ok(Arc::new(StringArray::from_iter_values(keys.iter().map(|key| &values[of(key)]))))
        };
        Ok(Looked { columns: columns.iter().map(gather).collect::<Result<_, _>>()?, left_out: 0 })
    }
}

// === impl NativeEnricher ===

impl NativeEnricher {
    /// Creates one that reads and adds the same as `sandboxed`; `columns` of the table, in that order.
    pub(crate) fn like(sandboxed: &dyn Enricher, census: Arc<Census>, columns: &[&str]) -> Self {
        let (wanted, added) = (sandboxed.wanted().to_vec(), sandboxed.added().to_vec());
        assert_eq!(added.len(), columns.len(), "{added:?}");
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { identity: Identity::new("enricher.process"), census, wanted, added, columns }
    }
}

impl Enricher for NativeEnricher {
    fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    fn added(&self) -> &[Field] {
        &self.added
    }

    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault> {
        let pids = batch.column(self.wanted[0]).unwrap().as_primitive::<UInt32Type>();
        let keys: Vec<u64> = pids.values().iter().map(|&pid| pid.into()).collect();
        Ok(self.census.lookup("process", &keys, &self.columns, Duration::MAX).unwrap().columns)
    }
}

impl Plugin for NativeEnricher {
    fn id(&self) -> &PluginId {
        self.identity.id()
    }
    fn stats(&self) -> &Arc<CallStats> {
        self.identity.stats()
    }
    fn export_state(&mut self) -> Result<Option<State>, Fault> {
        Ok(None)
    }
    fn import_state(&mut self, _: &State) -> Result<bool, Fault> {
        Ok(false)
    }
}
