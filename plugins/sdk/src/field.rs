//! Constructors for types of the contract.

use crate::wit::{Column, ColumnType, Decisions, EventSchema, Field, FieldUse, Sensitivity};

/// The threshold that keeps a row whatever its randomness.
pub const ALWAYS: u64 = 0;
/// The threshold that no randomness reaches: 2^56.
pub const NEVER: u64 = 1 << 56;

/// Returns the threshold that keeps rows with this probability, 0.0 to 1.0.
#[must_use]
pub fn threshold(ratio: f64) -> u64 {
    ((1.0 - ratio.clamp(0.0, 1.0)) * NEVER as f64) as u64
}

// === impl Field ===

impl Field {
    /// Returns a plain public attribute without unit.
    #[must_use]
    pub fn new(name: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            column_type,
            unit: String::new(),
            use_: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        }
    }
}

// === impl EventSchema ===

impl EventSchema {
    /// Returns the index of the field with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<u32> {
        self.position(|field| field.name == name)
    }

    /// Returns the index of the field with this use.
    #[must_use]
    pub fn used(&self, field_use: FieldUse) -> Option<u32> {
        self.position(|field| field.use_ == field_use)
    }

    fn position(&self, wanted: impl Fn(&Field) -> bool) -> Option<u32> {
        self.fields.iter().position(wanted).and_then(|index| u32::try_from(index).ok())
    }
}

// === impl Decisions ===

impl Decisions {
    /// Returns one threshold for all rows.
    #[must_use]
    pub fn all(threshold: u64) -> Self {
        Self { thresholds: vec![threshold], randomness: Vec::new() }
    }

    /// Returns a threshold per row.
    #[must_use]
    pub const fn each(thresholds: Vec<u64>) -> Self {
        Self { thresholds, randomness: Vec::new() }
    }
}

// === impl ColumnType ===

impl ColumnType {
    /// Returns a column of this type with unknown values: 0 or empty in every row.
    #[must_use]
    pub fn unknown(self, rows: usize) -> Column {
        let values = || crate::wit::Values { offsets: vec![0; rows + 1], bytes: Vec::new() };
        match self {
            Self::Boolean => Column::Boolean(vec![0; rows]),
            Self::U32 => Column::U32(vec![0; rows]),
            Self::U64 => Column::U64(vec![0; rows]),
            Self::I64 => Column::I64(vec![0; rows]),
            Self::F64 => Column::F64(vec![0.0; rows]),
            Self::Text => Column::Text(values()),
            Self::Bytes => Column::Bytes(values()),
        }
    }
}
