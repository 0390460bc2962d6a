//! A batch: the columns of N rows under one schema.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use crate::schema::Schema;
use crate::verdict::Threshold;

/// The columns of N rows, as far as they have been requested. A column's place is its field's index in the schema.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The schema of the columns.
    pub schema: Arc<Schema>,
    /// N, the number of rows.
    pub rows: usize,
    /// One place per field; None if the column was not requested yet. Every column has `rows` values and the Arrow type of its field.
    pub columns: Vec<Option<ArrayRef>>,
}

/// Rows that were kept, on their way to a sink. All columns are there.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The name of their path, which is that of its probe.
    pub path: Arc<str>,
    /// The schema of the columns, those of enrichers included.
    pub schema: Arc<Schema>,
    /// The columns, in the order of the schema's fields.
    pub batch: RecordBatch,
    /// The threshold each row was kept under; one per row.
    pub thresholds: Vec<Threshold>,
    /// The randomness each row was compared with, 56 bits; one per row.
    pub randomness: Vec<u64>,
    /// Whether the sampler chose the randomness: it is exported as `ot=rv`. Else it is the low 56 bits of the trace id.
    pub explicit_randomness: bool,
    /// The difference of Unix time and CLOCK_MONOTONIC, nanoseconds.
    pub unix_offset_ns: u64,
    /// When they were recorded in a capture, CLOCK_MONOTONIC nanoseconds; 0 for rows seen now.
    pub observed_ns: u64,
}

// === impl Batch ===

impl Batch {
    /// Creates a batch of `rows` rows without columns.
    #[must_use]
    pub fn new(schema: Arc<Schema>, rows: usize) -> Self {
        let columns = vec![None; schema.fields.len()];
        Self { schema, rows, columns }
    }

    /// Returns the column of a field, if it has been requested.
    #[must_use]
    pub fn column(&self, field: usize) -> Option<&ArrayRef> {
        self.columns.get(field)?.as_ref()
    }

    /// Puts the columns of `fields` in their places.
    pub fn put(&mut self, fields: &[usize], columns: Vec<ArrayRef>) {
        for (&field, column) in fields.iter().zip(columns) {
            if let Some(place) = self.columns.get_mut(field) {
                *place = Some(column);
            }
        }
    }
}
