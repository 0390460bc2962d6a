//! The columns of the host's table `process`, and the fields that are made of them.

use plugin_sdk::{ColumnType, Field, Sensitivity};

/// One column.
#[derive(Debug)]
pub struct ProcessColumn {
    /// Its name in the table, and in the settings.
    pub name: &'static str,
    /// The field that is made of it.
    pub field: &'static str,
    column_type: ColumnType,
    sensitivity: Sensitivity,
}

/// All columns.
pub static PROCESS_COLUMNS: [ProcessColumn; 6] = [
    ProcessColumn::text("executable.path", "process.executable.path", Sensitivity::Public),
    ProcessColumn::text("command_line", "process.command_line", Sensitivity::Payload),
    ProcessColumn {
        name: "parent_pid",
        field: "process.parent_pid",
        column_type: ColumnType::U32,
        sensitivity: Sensitivity::Public,
    },
    ProcessColumn::text("cgroup", "process.linux.cgroup", Sensitivity::Public),
    ProcessColumn::text("container.id", "container.id", Sensitivity::Public),
    ProcessColumn::text("user.name", "process.user.name", Sensitivity::Identity),
];

// === impl ProcessColumn ===

impl ProcessColumn {
    /// Returns the column of this name.
    ///
    /// # Errors
    /// The column does not exist; the error lists those that do.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        PROCESS_COLUMNS.iter().find(|column| column.name == name).ok_or_else(|| {
            let known: Vec<&str> = PROCESS_COLUMNS.iter().map(|column| column.name).collect();
            format!("configuration: `columns` names `{name}`, which is none of `{}`", known.join("`, `"))
        })
    }

    /// Returns the field, which is omitted where the host does not know the value.
    #[must_use]
    pub fn field(&self) -> Field {
        let mut field = Field::new(self.field, self.column_type);
        field.sensitivity = self.sensitivity;
        field.omit_zero = true;
        field
    }

    const fn text(name: &'static str, field: &'static str, sensitivity: Sensitivity) -> Self {
        Self { name, field, column_type: ColumnType::Text, sensitivity }
    }
}
