//! The schema of rows: field names, units, uses, and the OpenTelemetry signal of kept rows.
//!
//! The names are those of `wit/v0.1/schema.wit`; see there for their meaning.

use arrow_schema::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The physical type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// One byte per row, 0 or 1.
    Boolean,
    /// Unsigned 32-bit.
    U32,
    /// Unsigned 64-bit.
    U64,
    /// Signed 64-bit.
    I64,
    /// 64-bit float.
    F64,
    /// UTF-8.
    Text,
    /// Bytes.
    Bytes,
}

/// The use of a field's values by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FieldUse {
    /// An attribute.
    Plain,
    /// Start of the event, CLOCK_MONOTONIC nanoseconds, `U64`.
    Time,
    /// Nanoseconds, `U64`.
    Duration,
    /// An attribute that separates metric series.
    Dimension,
    /// Body of a log record, `Text`.
    Body,
    /// Name of the row's span or event, `Text`.
    Name,
    /// OpenTelemetry span kind, `U32`.
    Kind,
    /// `error.type`, `Text`; not empty means failed. A dimension too.
    Error,
    /// W3C `traceparent`, `Text`.
    TraceParent,
    /// Threshold under which the kernel plan let the row through, `U64`.
    Threshold,
    /// Equal in the rows of both ends of one exchange, 0 for none, `U64`.
    Correlation,
}

/// The sensitivity of a field: what it may reveal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Safe to export.
    Public,
    /// What a program sent, read or was given.
    Payload,
    /// Who.
    Identity,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// OpenTelemetry attribute name.
    pub name: String,
    /// Type of its column.
    pub column_type: ColumnType,
    /// UCUM unit, or empty.
    pub unit: String,
    /// Its use.
    pub field_use: FieldUse,
    /// Its sensitivity.
    pub sensitivity: Sensitivity,
    /// 0 or empty means "not known" and is not exported.
    pub omit_zero: bool,
}

/// The aggregation of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Instrument {
    /// Counts rows.
    Counter,
    /// Adds values.
    Sum,
    /// Distribution of values.
    Histogram,
}

/// A test of one field of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// Index of a `U32` or `Boolean` field.
    pub field: usize,
    /// The value it has to have.
    pub equals: u32,
}

/// A metric over rows, counted before sampling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// OpenTelemetry metric name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Its aggregation.
    pub instrument: Instrument,
    /// Index of the measured field; without meaning for a counter.
    pub value: usize,
    /// It counts only rows for which all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Condition>,
}

/// The signal of a kept row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// A span.
    Span,
    /// A log record.
    Log,
    /// Nothing; only metrics leave.
    None,
}

/// A schema, fixed for the life of a decoder instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schema {
    /// Name of the event: `file.open`.
    pub event: String,
    /// The signal of a kept row.
    pub signal: Signal,
    /// The fields; a column's place is its field's index.
    pub fields: Vec<Field>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// The reasons why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// More fields than [`MAX_FIELDS`].
    #[error("{0} fields; at most {MAX_FIELDS} are allowed")]
    TooMany(usize),
    /// A name is empty, too long or has other characters than lower-case letters, digits, `.` and `_`.
    #[error("{0:?} is not a name; a name is 1 to {MAX_NAME} of a-z, 0-9, `.`, `_` and `-`")]
    Name(String),
    /// Two fields have the same name.
    #[error("two fields are named `{0}`")]
    Twice(String),
    /// The column of a use must have another type.
    #[error("field `{name}` is used as {field_use:?}, so its type must be {must:?}, not {is:?}")]
    Type {
        /// The field.
        name: String,
        /// Its use.
        field_use: FieldUse,
        /// The type that the use requires.
        must: ColumnType,
        /// The type of the field.
        is: ColumnType,
    },
    /// A dimension is sensitive: metrics are not withheld, so it would be exported with every series.
    #[error("field `{0}` separates metric series, so it must be public; make it a plain field, or do not mark it sensitive")]
    Reveals(String),
    /// A use that may appear once appears twice, or `time` not at all.
    #[error("{count} fields are used as {field_use:?}; there must be {must}")]
    Count {
        /// The use.
        field_use: FieldUse,
        /// Number of its appearances.
        count: usize,
        /// Required number of its appearances.
        must: &'static str,
    },
    /// Two metrics have the same name: a receiver would add up unrelated values.
    #[error("two metrics are named `{0}`; give each a name of its own")]
    MetricTwice(String),
    /// Metrics and dimensions would take too much of the host's memory for each of their series.
    #[error(
        "{metrics} metrics with {dimensions} dimensions, whose names have {bytes} bytes, take {all} bytes for every series; at most \
         {MAX_SERIES_BYTES} are allowed: declare fewer metrics or dimensions, or give these shorter names"
    )]
    Heavy {
        /// Number of metrics.
        metrics: usize,
        /// Number of dimensions.
        dimensions: usize,
        /// Bytes of the names of all dimensions.
        bytes: usize,
        /// Bytes of these names, counted once for each metric.
        all: usize,
    },
    /// A metric measures a field that does not exist or is not a number.
    #[error("metric `{metric}` measures field {value}, which is not a u32 or u64 field of the schema")]
    Measures {
        /// The metric.
        metric: String,
        /// The index that it gave.
        value: usize,
    },
    /// A metric has more conditions than [`MAX_CONDITIONS`].
    #[error("metric `{metric}` has {count} conditions; at most {MAX_CONDITIONS} are allowed")]
    Conditions {
        /// The metric.
        metric: String,
        /// Number of its conditions.
        count: usize,
    },
    /// A metric's condition tests a field that does not exist, or is neither a number of 32 bits nor a boolean.
    #[error("metric `{metric}` has a condition on field {field}, which is not a u32 or boolean field of the schema")]
    Tests {
        /// The metric.
        metric: String,
        /// The index that it gave.
        field: usize,
    },
    /// An added field has a use that only decoders may have.
    #[error("the added field `{name}` is used as {field_use:?}; an enricher may add only plain and body")]
    Added {
        /// The field.
        name: String,
        /// Its use.
        field_use: FieldUse,
    },
}

/// Maximum number of fields of a schema: it bounds what a plugin can make the host allocate per batch.
pub const MAX_FIELDS: usize = 256;
/// Maximum number of conditions of a metric: each is tested for every row.
pub const MAX_CONDITIONS: usize = 4;
/// Maximum bytes of the names of dimensions in one series, counted once for each metric: each export writes them that often.
pub const MAX_SERIES_BYTES: usize = 64 << 10;
/// Maximum bytes of the name of a field, metric or event.
pub const MAX_NAME: usize = 128;

// === impl ColumnType ===

impl ColumnType {
    /// Returns the Arrow type of the column in the host.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::UInt8,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::I64 => DataType::Int64,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }
}

// === impl Schema ===

impl Schema {
    /// Checks the schema that a guest declared.
    ///
    /// # Errors
    /// A rule of `wit/v0.1/schema.wit` is broken; the error names the first.
    pub fn check(&self) -> Result<(), SchemaError> {
        if self.fields.len() > MAX_FIELDS {
            return Err(SchemaError::TooMany(self.fields.len()));
        }
        check_name(&self.event)?;
        let mut seen = std::collections::HashSet::new();
        for field in &self.fields {
            check_name(&field.name)?;
            if !seen.insert(&field.name) {
                return Err(SchemaError::Twice(field.name.clone()));
            }
            if let Some(must) = field.field_use.column_type()
                && must != field.column_type
            {
                return Err(SchemaError::Type {
                    name: field.name.clone(),
                    field_use: field.field_use,
                    must,
                    is: field.column_type,
                });
            }
        }
        let reveals = |field: &&Field| {
            matches!(field.field_use, FieldUse::Dimension | FieldUse::Error) && field.sensitivity != Sensitivity::Public
        };
        if let Some(field) = self.fields.iter().find(reveals) {
            return Err(SchemaError::Reveals(field.name.clone()));
        }
        let times = self.count(FieldUse::Time);
        if times != 1 {
            return Err(SchemaError::Count { field_use: FieldUse::Time, count: times, must: "exactly one" });
        }
        for field_use in [
            FieldUse::Duration,
            FieldUse::Body,
            FieldUse::Name,
            FieldUse::Kind,
            FieldUse::Error,
            FieldUse::TraceParent,
            FieldUse::Threshold,
            FieldUse::Correlation,
        ] {
            let count = self.count(field_use);
            if count > 1 {
                return Err(SchemaError::Count { field_use, count, must: "at most one" });
            }
        }
        self.check_weight()?;
        let mut seen = std::collections::HashSet::new();
        self.metrics.iter().try_for_each(|metric| {
            self.check_metric(metric)?;
            if seen.insert(&metric.name) { Ok(()) } else { Err(SchemaError::MetricTwice(metric.name.clone())) }
        })
    }

    /// Checks the size of a series that has nothing but names.
    fn check_weight(&self) -> Result<(), SchemaError> {
        let metrics = self.metrics.len();
        let names = self.dimensions().filter_map(|field| self.fields.get(field)).map(|field| field.name.len());
        let (dimensions, bytes) = (self.dimensions().count(), names.sum::<usize>());
        let all = bytes.saturating_mul(metrics);
        if all > MAX_SERIES_BYTES { Err(SchemaError::Heavy { metrics, dimensions, bytes, all }) } else { Ok(()) }
    }

    fn check_metric(&self, metric: &Metric) -> Result<(), SchemaError> {
        check_name(&metric.name)?;
        let type_of = |field: usize| self.fields.get(field).map(|field| field.column_type);
        let measured = type_of(metric.value);
        if metric.instrument != Instrument::Counter && !matches!(measured, Some(ColumnType::U32 | ColumnType::U64)) {
            return Err(SchemaError::Measures { metric: metric.name.clone(), value: metric.value });
        }
        if metric.only.len() > MAX_CONDITIONS {
            return Err(SchemaError::Conditions { metric: metric.name.clone(), count: metric.only.len() });
        }
        let testable = |only: &&Condition| matches!(type_of(only.field), Some(ColumnType::U32 | ColumnType::Boolean));
        match metric.only.iter().find(|only| !testable(only)) {
            Some(only) => Err(SchemaError::Tests { metric: metric.name.clone(), field: only.field }),
            None => Ok(()),
        }
    }

    /// Returns this schema with an enricher's fields appended.
    ///
    /// # Errors
    /// A name exists already, or enrichers may not add the use.
    pub fn extend(&self, added: &[Field]) -> Result<Self, SchemaError> {
        if let Some(field) = added.iter().find(|field| !matches!(field.field_use, FieldUse::Plain | FieldUse::Body)) {
            return Err(SchemaError::Added { name: field.name.clone(), field_use: field.field_use });
        }
        let mut extended = self.clone();
        extended.fields.extend_from_slice(added);
        extended.check()?;
        Ok(extended)
    }

    /// Returns the index of the field with this use.
    #[must_use]
    pub fn position(&self, field_use: FieldUse) -> Option<usize> {
        self.fields.iter().position(|field| field.field_use == field_use)
    }

    /// Returns the index of the field with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Returns the indices of the fields that distinguish metric series.
    pub fn dimensions(&self) -> impl Iterator<Item = usize> + '_ {
        let is_dimension = |field: &Field| matches!(field.field_use, FieldUse::Dimension | FieldUse::Error);
        self.fields.iter().enumerate().filter(move |(_, field)| is_dimension(field)).map(|(index, _)| index)
    }

    /// Returns the Arrow schema of a complete batch.
    #[must_use]
    pub fn arrow(&self) -> arrow_schema::Schema {
        let field = |field: &Field| arrow_schema::Field::new(&field.name, field.column_type.data_type(), false);
        arrow_schema::Schema::new(self.fields.iter().map(field).collect::<Vec<_>>())
    }

    fn count(&self, field_use: FieldUse) -> usize {
        self.fields.iter().filter(|field| field.field_use == field_use).count()
    }
}

// === impl FieldUse ===

impl FieldUse {
    /// Returns the column type that this use requires, if any.
    const fn column_type(self) -> Option<ColumnType> {
        match self {
            Self::Plain | Self::Dimension => None,
            Self::Time | Self::Duration | Self::Threshold | Self::Correlation => Some(ColumnType::U64),
            Self::Body | Self::Name | Self::Error | Self::TraceParent => Some(ColumnType::Text),
            Self::Kind => Some(ColumnType::U32),
        }
    }
}

fn check_name(name: &str) -> Result<(), SchemaError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Err(SchemaError::Name(name.chars().take(40).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
