//! Enricher that adds attributes of a row's process, from the host's table of processes.

mod catalog;

pub use catalog::{PROCESS_COLUMNS, ProcessColumn};

use plugin_sdk::{Column, ColumnType, Columns, Config, Enricher, EventSchema, Field, HostTables, Lookup};
use serde::Deserialize;

/// The field whose value is the key into the table.
const KEY: &str = "process.pid";

/// The settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    columns: Vec<String>,
}

/// The enricher. Its tables are the host's, or in tests any implementation.
pub struct Process<T = HostTables> {
    tables: T,
    /// The index of the key in the schema.
    key: Option<u32>,
    columns: Vec<&'static ProcessColumn>,
    /// The names of the columns in the table.
    names: Vec<String>,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { columns: PROCESS_COLUMNS.iter().map(|column| column.name.into()).collect() }
    }
}

// === impl Process ===

impl<T: Lookup + Default + 'static> Enricher for Process<T> {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        Self::with_tables(T::default(), schema, config)
    }

    fn wanted(&self) -> Vec<u32> {
        self.key.into_iter().collect()
    }

    fn added(&self) -> Vec<Field> {
        self.columns.iter().map(|column| column.field()).collect()
    }

    fn enrich(&mut self, columns: &Columns) -> Result<Vec<Column>, String> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let pids: Vec<u64> = columns.u32(0)?.iter().map(|&pid| u64::from(pid)).collect();
        self.tables.lookup("process", &pids, &self.names)
    }
}

impl<T> Process<T> {
    /// As `bind`, with these tables. A path without `process.pid` is left unchanged, and so is a field that it already has.
    ///
    /// # Errors
    /// A column does not exist in the table.
    pub fn with_tables(tables: T, schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        let columns = settings.columns.iter().map(|name| ProcessColumn::named(name)).collect::<Result<Vec<_>, _>>()?;
        let is_pid = |place: &u32| {
            let field = schema.fields.get(*place as usize);
            field.is_some_and(|field| field.column_type == ColumnType::U32)
        };
        let key = schema.named(KEY).filter(is_pid);
        let is_new = |column: &&ProcessColumn| key.is_some() && schema.named(column.field).is_none();
        let columns: Vec<_> = columns.into_iter().filter(is_new).collect();
        let names = columns.iter().map(|column| column.name.to_owned()).collect();
        Ok(Self { tables, key: key.filter(|_| !columns.is_empty()), columns, names })
    }
}

plugin_sdk::export!(enricher: Process);
