//! The columns that the host passes to a sampler or an enricher.

use crate::wit::{Column, Values};

/// The wanted columns of one batch, in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Columns {
    rows: usize,
    columns: Vec<Column>,
}

/// Declares one accessor per type of number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $method:ident: $type:ty => $case:ident),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// There is no such column, or it has another type.
        pub fn $method(&self, column: usize) -> Result<&[$type], String> {
            match self.get(column)? {
                Column::$case(values) => Ok(values),
                other => Err(other.is_not(column, stringify!($method))),
            }
        }
    )+};
}

// === impl Columns ===

impl Columns {
    /// Returns columns of this many rows.
    #[must_use]
    pub const fn new(rows: usize, columns: Vec<Column>) -> Self {
        Self { rows, columns }
    }

    /// Returns the number of rows, which is valid also without columns.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the column with this index, of any type.
    ///
    /// # Errors
    /// The column does not exist.
    pub fn get(&self, column: usize) -> Result<&Column, String> {
        self.columns.get(column).ok_or_else(|| format!("there is no column {column}: {} were asked for", self.columns.len()))
    }

    numbers! {
        /// The values of a `boolean` column, 0 or 1.
        boolean: u8 => Boolean,
        /// The values of a `u32` column.
        u32: u32 => U32,
        /// The values of a `u64` column.
        u64: u64 => U64,
        /// The values of an `i64` column.
        i64: i64 => I64,
        /// The values of an `f64` column.
        f64: f64 => F64,
    }

    /// Returns the values of a `text` or `bytes` column.
    ///
    /// # Errors
    /// The column does not exist, or has another type.
    pub fn text(&self, column: usize) -> Result<&Values, String> {
        match self.get(column)? {
            Column::Text(values) | Column::Bytes(values) => Ok(values),
            other => Err(other.is_not(column, "text")),
        }
    }
}

// === impl Column ===

impl Column {
    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Text(values) | Self::Bytes(values) => values.len(),
        }
    }

    /// Whether it has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_not(&self, column: usize, wanted: &str) -> String {
        let is = match self {
            Self::Boolean(_) => "boolean",
            Self::U32(_) => "u32",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F64(_) => "f64",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        };
        format!("column {column} is {is}, not {wanted}")
    }
}

// === impl Values ===

impl Values {
    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the values, as bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let ends = self.offsets.iter().skip(1);
        self.offsets.iter().zip(ends).map(|(&start, &end)| self.bytes.get(start as usize..end as usize).unwrap_or_default())
    }

    /// Iterates over the values, as text; a value that is not UTF-8, which the host does not accept in a text column, is empty.
    pub fn strs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// Iterates over whether each value is empty, without reading its bytes.
    pub fn empties(&self) -> impl ExactSizeIterator<Item = bool> {
        self.offsets.iter().zip(self.offsets.iter().skip(1)).map(|(start, end)| start == end)
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Columns};
    use crate::text::Text;

    #[test]
    fn a_column_of_another_type_is_an_error_that_names_both() {
        let columns = Columns::new(1, vec![Column::U32(vec![7])]);
        assert_eq!(columns.u32(0).unwrap(), [7]);
        assert_eq!(columns.u64(0).unwrap_err(), "column 0 is u32, not u64");
        assert!(columns.text(1).unwrap_err().contains("no column 1"));
    }

    #[test]
    fn text_is_read_back_row_by_row() {
        let mut text = Text::with_capacity(3, 0);
        ["ENOENT", "", "EACCES"].iter().for_each(|error| text.push(error));
        let columns = Columns::new(3, vec![text.finish()]);
        let values = columns.text(0).unwrap();
        assert_eq!(values.strs().collect::<Vec<_>>(), ["ENOENT", "", "EACCES"]);
        assert_eq!(values.empties().collect::<Vec<_>>(), [false, true, false]);
    }
}
