//! Raw events: log records that replace records no decoder could read, so that they are visible and not lost.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray, UInt64Array};
use host_model::{Batch, ColumnType, Field, FieldUse, Run, Schema, Sensitivity, Signal};

/// The schema of raw events: log records named `host.undecodable`.
pub(crate) fn schema() -> Schema {
    let field = |name: &str, column_type, field_use, sensitivity| Field {
        name: name.to_owned(),
        column_type,
        unit: String::new(),
        field_use,
        sensitivity,
        omit_zero: true,
    };
    Schema {
        event: "host.undecodable".to_owned(),
        signal: Signal::Log,
        fields: vec![
            // 0 stands for the time of export: the record's own time could not be read either.
            field("time", ColumnType::U64, FieldUse::Time, Sensitivity::Public),
            field("body", ColumnType::Text, FieldUse::Body, Sensitivity::Public),
            field("error.type", ColumnType::Text, FieldUse::Error, Sensitivity::Public),
            // The guest's own message: it may repeat its input.
            field("host.fault.detail", ColumnType::Text, FieldUse::Plain, Sensitivity::Payload),
            field("host.record", ColumnType::Bytes, FieldUse::Plain, Sensitivity::Payload),
        ],
        metrics: Vec::new(),
    }
}

/// The reason why records could not be read.
#[derive(Clone, Copy)]
pub(crate) struct Reason<'a> {
    /// The kind of fault, one word.
    pub(crate) kind: &'a str,
    /// The message of the host.
    pub(crate) body: &'a str,
    /// The message of the guest.
    pub(crate) detail: &'a str,
}

/// Returns one row for each record whose index is in `indices` (all records, if None).
pub(crate) fn rows(schema: &Arc<Schema>, run: Run<'_>, indices: Option<&[u32]>, reason: Reason<'_>) -> Batch {
    let chosen = |index: usize| {
        indices.is_none_or(|indices| u32::try_from(index).is_ok_and(|index| indices.binary_search(&index).is_ok()))
    };
    let records: Vec<&[u8]> = run.iter().enumerate().filter(|&(index, _)| chosen(index)).map(|(_, record)| record).collect();
    let count = records.len();
    let mut batch = Batch::new(Arc::clone(schema), count);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(vec![0; count])),
        Arc::new(StringArray::from(vec![reason.body; count])),
        Arc::new(StringArray::from(vec![reason.kind; count])),
        Arc::new(StringArray::from(vec![reason.detail; count])),
        Arc::new(BinaryArray::from(records)),
    ];
    batch.put(&[0, 1, 2, 3, 4], columns);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_keeps_its_own_rules() {
        assert_eq!(schema().check(), Ok(()));
    }

    #[test]
    fn only_the_named_records_become_raw_events() {
        let mut bytes = Vec::new();
        ["a", "b", "c"].iter().for_each(|text| Run::push(&mut bytes, text.as_bytes()));
        let run = Run::parse(&bytes).unwrap();
        let schema = Arc::new(schema());
        let reason = Reason { kind: "trap", body: "it failed", detail: "inside of `hunter2`" };
        assert_eq!(rows(&schema, run, Some(&[1]), reason).rows, 1);
        assert_eq!(rows(&schema, run, None, reason).rows, 3);
    }

    #[test]
    fn what_a_guest_says_of_its_failure_leaves_only_where_payload_does() {
        let mut bytes = Vec::new();
        Run::push(&mut bytes, b"hunter2");
        let reason = Reason { kind: "trap", body: "it failed", detail: "inside of `hunter2`" };
        let batch = rows(&Arc::new(schema()), Run::parse(&bytes).unwrap(), None, reason);
        let public =
            batch.schema.fields.iter().zip(&batch.columns).filter(|(field, _)| field.sensitivity == Sensitivity::Public);
        let told: Vec<String> = public.map(|(_, column)| format!("{column:?}")).collect();
        assert!(told.len() == 3 && !told.iter().any(|column| column.contains("hunter2")), "{told:?}");
    }
}
