//! The tables: data about the node, for plugins that are granted access.

mod process;
mod arrivals;
mod users;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, StringArray, UInt32Array};
use host_model::{Looked, TableError, Tables};

use process::{Process, Processes, Text};

/// The tables of this node. `process` is keyed by pid.
#[derive(Debug, Default)]
pub(crate) struct Node {
    processes: Arc<Processes>,
    unknown: bool,
}

// === impl Node ===

impl Node {
    /// This node. Processes are recorded as they start.
    pub(crate) fn live() -> Self {
        let node = Self::default();
        arrivals::keep_up(&node.processes);
        node
    }

    /// An unknown node: the one on which a capture was recorded.
    pub(crate) fn unknown() -> Self {
        Self { unknown: true, ..Self::default() }
    }
}

impl Tables for Node {
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String], within: Duration) -> Result<Looked, TableError> {
        if table != "process" {
            return Err(TableError::NoTable(table.to_owned()));
        }
        if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
            return Err(TableError::NoColumn(unknown.clone()));
        }
        let (rows, left_out) =
            if self.unknown { (vec![Arc::default(); keys.len()], 0) } else { self.processes.rows(keys, within) };
        Ok(Looked { columns: columns.iter().map(|column| gather(&rows, column)).collect(), left_out })
    }
}

/// The columns of `process`.
const COLUMNS: [&str; 6] = ["executable.path", "command_line", "parent_pid", "cgroup", "container.id", "user.name"];

fn gather(rows: &[Arc<Process>], column: &str) -> ArrayRef {
    let text = |text: Text| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.text(text)))) };
    match column {
        "executable.path" => text(Text::Executable),
        "command_line" => text(Text::CommandLine),
        "cgroup" => text(Text::Cgroup),
        "container.id" => text(Text::Container),
        "user.name" => text(Text::User),
        _ => Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.parent_pid))),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::UInt32Type;

    use super::*;

    fn lookup(keys: &[u64], columns: &[&str]) -> Result<Vec<ArrayRef>, TableError> {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        Node::default().lookup("process", keys, &columns, LONG).map(|looked| looked.columns)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_host_finds_itself() {
        let me = u64::from(std::process::id());
        let columns = lookup(&[me, me], &COLUMNS).unwrap();
        let executable = columns[0].as_string::<i32>();
        assert_eq!(executable.value(0), std::env::current_exe().unwrap().to_str().unwrap());
        assert_eq!(executable.value(1), executable.value(0));
        assert!(columns[1].as_string::<i32>().value(0).contains("host_daemon"), "{columns:?}");
        assert_eq!(columns[2].as_primitive::<UInt32Type>().value(0), std::os::unix::process::parent_id());
        assert!(columns[3].as_string::<i32>().value(0).starts_with('/'), "{columns:?}");
    }

    #[test]
    fn a_pid_that_nobody_has_gives_a_row_without_values() {
        let columns = lookup(&[u64::MAX, 0], &["command_line", "parent_pid"]).unwrap();
        assert_eq!(columns[0].len(), 2);
        assert_eq!(columns[0].as_string::<i32>().value(0), "");
        assert_eq!(columns[1].as_primitive::<UInt32Type>().value(0), 0);
    }

    #[test]
    fn a_replay_knows_no_process_of_this_node() {
        let columns = ["command_line".to_owned()];
        let rows = Node::unknown().lookup("process", &[std::process::id().into()], &columns, LONG).unwrap();
        assert_eq!(rows.columns[0].as_string::<i32>().value(0), "");
    }

    #[test]
    fn tables_and_columns_that_do_not_exist_are_named() {
        assert_eq!(lookup(&[1], &["comand_line"]).unwrap_err(), TableError::NoColumn("comand_line".into()));
        assert_eq!(Node::default().lookup("pod", &[1], &[], LONG).unwrap_err(), TableError::NoTable("pod".into()));
    }
}
