//! Fault marks: a column that names the faults that rows passed.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use host_model::{ColumnType, Fault, Field, FieldUse, Sensitivity, printable};

/// The name of the column. Raw events do not have it: their `error.type` holds the same.
pub(crate) const FIELD: &str = "host.fault";

/// Maximum bytes of the marks of a batch: they are exported once per row.
const MOST: usize = 256;
/// The mark for faults that had no room.
const MORE: &str = "; and more";

/// The faults that one batch passed: `sampler: trap; enricher.process: backing-off`.
#[derive(Debug, Default)]
pub(crate) struct FaultMarks(String);

// === impl FaultMarks ===

impl FaultMarks {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: &Fault) {
        let words = printable(&format!("{}: {}", fault.plugin.slot, fault.kind), MOST / 2);
        if self.0.ends_with(MORE) {
            return;
        }
        if self.0.len() + words.len() + 2 * MORE.len() > MOST {
            self.0.push_str(MORE);
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(&words);
    }

    /// Returns the column for `rows` rows; None if there was no fault.
    pub(crate) fn column(&self, rows: usize) -> Option<ArrayRef> {
        (!self.0.is_empty()).then(|| -> ArrayRef { Arc::new(StringArray::from(vec![self.0.as_str(); rows])) })
    }
}

/// Returns the field of marks, the last one of marked rows.
pub(crate) fn field() -> Field {
    Field {
        name: FIELD.to_owned(),
        column_type: ColumnType::Text,
        unit: String::new(),
        field_use: FieldUse::Plain,
        sensitivity: Sensitivity::Public,
        omit_zero: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_model::{Digest, FaultKind, PluginId};

    fn fault(slot: &str, kind: FaultKind) -> Fault {
        let id = PluginId { slot: slot.into(), name: "p".into(), version: "1".into(), digest: Digest([0; 32]), generation: 1 };
        Fault { plugin: id, step: "decide", kind, detail: String::new() }
    }

    #[test]
    fn several_faults_stand_side_by_side() {
        let mut marks = FaultMarks::default();
        assert!(marks.column(1).is_none());
        marks.add(&fault("sampler", FaultKind::Trap));
        marks.add(&fault("enricher.process", FaultKind::BackingOff));
        assert_eq!(marks.0, "sampler: trap; enricher.process: backing-off");
    }

    #[test]
    fn marks_are_bounded_and_printable() {
        let mut marks = FaultMarks::default();
        (0..1000).for_each(|_| marks.add(&fault("enricher.\x1b[31m-with-a-rather-long-name", FaultKind::Trap)));
        assert!(marks.0.len() <= MOST && marks.0.ends_with(MORE) && !marks.0.contains('\x1b'), "{}", marks.0);
    }
}
