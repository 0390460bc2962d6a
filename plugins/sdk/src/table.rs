//! A table of columns: fields declared once, for records that become one row each.

use crate::qualified::qualified;
use crate::record::Record;
use crate::run::{Records, Span};
use crate::text::Text;
use crate::wit::{Column, ColumnType, Decoded, EventSchema, Field, Signal};

/// The rows of one kind of record: the event, its fields, and for each field how to read it from a record.
///
/// A field costs one call through a pointer per batch and nothing per row: the closure that reads it is compiled into the loop
/// over the records.
///
/// ```
/// use plugin_sdk::{FieldUse, Signal, Table};
/// plugin_sdk::record! {
///     /// One tick.
///     pub struct Tick = "tick_record" {
///         /// When.
///         time_ns: u64,
///         /// How long.
///         took_ns: u32,
///     }
/// }
///
/// let table = Table::<Tick<'static>>::new("tick", Signal::Log)
///     .u64("time", |tick| tick.time_ns()).used(FieldUse::Time)
///     .u32("tick.duration", |tick| tick.took_ns()).unit("ns")
///     .histogram("tick.duration", "How long ticks take.", "tick.duration");
/// assert_eq!(table.schema().fields.len(), 2);
/// ```
pub struct Table<R: Record> {
    schema: EventSchema,
    readers: Vec<Reader>,
    /// Minimum length of a record.
    least: usize,
    refuse: Option<Refuse>,
    /// The records of the last run that are rows, in order.
    rows: Vec<Span>,
    /// The rows of the last `complete`.
    chosen: Vec<Span>,
    record: std::marker::PhantomData<fn() -> R>,
}

/// Makes the column of one field from some records of a run.
type Reader = Box<dyn Fn(&[u8], &[Span]) -> Column + Send>;

/// Returns the indices, rising, of records that are not rows.
type Refuse = Box<dyn Fn(&[u8], &[Span]) -> Vec<usize> + Send>;

qualified!(impl<R: Record> Table<R>);

// === impl Table: fields ===

/// Declares one method per type of number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $method:ident: $type:ty => $case:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $method(self, name: &str, value: impl for<'a> Fn(R::View<'a>) -> $type + Send + 'static) -> Self {
            self.field(name, ColumnType::$case, move |run, rows| {
                Column::$case(gather(rows, |row| row.of(run).and_then(R::view).map(&value).unwrap_or_default()))
            })
        }
    )+};
}

impl<R: Record> Table<R> {
    /// Returns an event without fields. The methods below add fields, and then qualify the field before.
    #[must_use]
    pub fn new(event: &str, signal: Signal) -> Self {
        Self {
            schema: EventSchema { event: event.into(), signal, fields: Vec::new(), metrics: Vec::new() },
            readers: Vec::new(),
            least: R::SIZE,
            refuse: None,
            rows: Vec::new(),
            chosen: Vec::new(),
            record: std::marker::PhantomData,
        }
    }

    numbers! {
        /// A field of 0 or 1.
        boolean: u8 => Boolean,
        /// A field of unsigned 32-bit numbers.
        u32: u32 => U32,
        /// A field of unsigned 64-bit numbers.
        u64: u64 => U64,
        /// A field of signed numbers.
        i64: i64 => I64,
        /// A field of floating-point numbers.
        f64: f64 => F64,
    }

    /// Adds a field of text as the kernel wrote it: up to the first NUL, with U+FFFD for invalid UTF-8.
    #[must_use]
    pub fn chars(self, name: &str, value: impl for<'a> Fn(&'a R::View<'a>) -> &'a [u8] + Send + 'static) -> Self {
        self.written(name, ColumnType::Text, Text::finish, move |record, text| {
            text.chars(value(record));
        })
    }

    /// Adds a field of text that the closure appends to the row.
    #[must_use]
    pub fn text(self, name: &str, write: impl for<'a> Fn(R::View<'a>, &mut Text) + Send + 'static) -> Self {
        self.written(name, ColumnType::Text, Text::finish, move |record, text| write(*record, text))
    }

    /// Adds a field of text with a fixed set of values.
    #[must_use]
    pub fn label(self, name: &str, value: impl for<'a> Fn(R::View<'a>) -> &'static str + Send + 'static) -> Self {
        self.text(name, move |record, text| {
            text.str(value(record));
        })
    }

    /// Adds a field of bytes.
    #[must_use]
    pub fn bytes(self, name: &str, value: impl for<'a> Fn(&'a R::View<'a>) -> &'a [u8] + Send + 'static) -> Self {
        let finish = |bytes: Text| Column::Bytes(bytes.values());
        self.written(name, ColumnType::Bytes, finish, move |record, bytes| {
            bytes.raw(value(record));
        })
    }

    /// Adds a field from closures that write a row, and that make the column of all rows.
    fn written(
        self,
        name: &str,
        column_type: ColumnType,
        finish: impl Fn(Text) -> Column + Send + 'static,
        write: impl for<'a> Fn(&'a R::View<'a>, &mut Text) + Send + 'static,
    ) -> Self {
        self.field(name, column_type, move |run, rows| {
            let mut text = Text::with_capacity(rows.len(), rows.len() * 16);
            for row in rows {
                if let Some(record) = row.of(run).and_then(R::view) {
                    write(&record, &mut text);
                }
                text.end();
            }
            finish(text)
        })
    }

    fn field(
        mut self,
        name: &str,
        column_type: ColumnType,
        reader: impl Fn(&[u8], &[Span]) -> Column + Send + 'static,
    ) -> Self {
        self.schema.fields.push(Field::new(name, column_type));
        self.readers.push(Box::new(reader));
        self
    }
}

// === impl Table: which records are rows ===

impl<R: Record> Table<R> {
    /// Sets the minimum length of a record; shorter ones are undecodable.
    #[must_use]
    pub fn at_least(mut self, bytes: usize) -> Self {
        self.least = bytes.max(R::SIZE);
        self
    }

    /// Makes records undecodable for which this returns false.
    #[must_use]
    pub fn valid_if(mut self, valid: impl for<'a> Fn(R::View<'a>) -> bool + Send + 'static) -> Self {
        let refused = move |run: &[u8], row: &Span| !row.of(run).and_then(R::view).is_some_and(&valid);
        let places = move |run: &[u8], rows: &[Span]| {
            rows.iter().enumerate().filter(|(_, row)| refused(run, row)).map(|(place, _)| place).collect()
        };
        self.refuse = Some(Box::new(places));
        self
    }
}

// === impl Table: rows ===

impl<R: Record> Table<R> {
    /// Returns the rows of a run: see `decode` in the contract.
    ///
    /// # Errors
    /// The framing of the run is broken, or a field does not exist.
    pub fn decode(&mut self, run: &[u8], fields: &[u32]) -> Result<Decoded, String> {
        let mut undecodable = Vec::new();
        self.rows.clear();
        let mut records = Records::new(run);
        let mut index = 0;
        while let Some(span) = records.next_span() {
            if span.len() >= self.least {
                self.rows.push(span);
            } else {
                undecodable.push(index);
            }
            index += 1;
        }
        if records.broken() {
            self.rows.clear();
            return Err("a record goes past the end of the run".into());
        }
        let refused = self.refuse.as_ref().map(|refuse| refuse(run, &self.rows)).unwrap_or_default();
        if !refused.is_empty() {
            self.drop_rows(&refused, &mut undecodable);
        }
        let columns = self.columns(run, &self.rows, fields)?;
        Ok(Decoded { rows: self.rows.len() as u32, columns, undecodable })
    }

    /// Returns the columns of other fields, for the rows that were kept. `run` is that of the last `decode`.
    ///
    /// # Errors
    /// A row or a field does not exist.
    pub fn complete(&mut self, run: &[u8], rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String> {
        if rows.len() == self.rows.len() {
            return self.columns(run, &self.rows, fields);
        }
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        chosen.extend(rows.iter().filter_map(|&row| self.rows.get(row as usize)));
        let columns = match chosen.len() == rows.len() {
            true => self.columns(run, &chosen, fields),
            false => Err(format!("a row is not among the {} of the last decode", self.rows.len())),
        };
        self.chosen = chosen;
        columns
    }

    /// Turns rows into undecodable records.
    #[cold]
    fn drop_rows(&mut self, refused: &[usize], undecodable: &mut Vec<u32>) {
        let records = self.rows.len() + undecodable.len();
        let mut short = std::mem::take(undecodable).into_iter().peekable();
        let mut refused = refused.iter().peekable();
        let mut place = 0;
        let mut kept = Vec::with_capacity(self.rows.len());
        for index in 0..records as u32 {
            if short.next_if_eq(&index).is_some() {
                undecodable.push(index);
                continue;
            }
            match refused.next_if_eq(&&place) {
                Some(_) => undecodable.push(index),
                None => kept.extend(self.rows.get(place)),
            }
            place += 1;
        }
        self.rows = kept;
    }

    fn columns(&self, run: &[u8], rows: &[Span], fields: &[u32]) -> Result<Vec<Column>, String> {
        let column = |&field: &u32| match self.readers.get(field as usize) {
            Some(reader) => Ok(reader(run, rows)),
            None => Err(format!("there is no field {field}")),
        };
        fields.iter().map(column).collect()
    }
}

/// Collects one value per row. Eight at a time: in Wasm each iteration of a loop has a cost, because it may be interrupted.
pub(crate) fn gather<R: Copy, T>(rows: &[R], value: impl Fn(R) -> T) -> Vec<T> {
    let mut values = Vec::with_capacity(rows.len());
    let (eights, rest) = rows.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in eights {
        values.extend([value(a), value(b), value(c), value(d), value(e), value(f), value(g), value(h)]);
    }
    values.extend(rest.iter().map(|&row| value(row)));
    values
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::testing::{run, texts};
    use crate::wit::{Column, Condition, Signal};
    use crate::{Chars, Rest};

    crate::record! {
        /// A record.
        struct Entry = "entry_record" {
            /// A number.
            number: u32,
            /// A name.
            name: Chars<4>,
            /// The end.
            rest: Rest,
        }
    }

    fn table() -> Table<Entry<'static>> {
        Table::<Entry<'static>>::new("entry", Signal::Log)
            .u32("number", |entry| entry.number())
            .chars("name", |entry| entry.name())
            .chars("rest", |entry| entry.rest())
            .valid_if(|entry| entry.number() < 100)
    }

    fn entry(number: u8, rest: &[u8]) -> Vec<u8> {
        [&[number, 0, 0, 0, b'a', b'b', 0, b'x'], rest].concat()
    }

    #[test]
    fn short_and_invalid_records_are_undecodable_by_index_and_the_rest_are_rows() {
        let (one, bad, two) = (entry(1, b"first"), entry(200, b""), entry(2, b"second\0more"));
        let run = run([&one[..], &[1, 2, 3], &bad, &two, &[], &bad] as [&[u8]; 6]);
        let decoded = table().decode(&run, &[2, 0]).unwrap();
        assert_eq!((decoded.rows, &decoded.undecodable[..]), (2, &[1, 2, 4, 5][..]));
        assert_eq!(texts(&decoded.columns[0]), ["first", "second"]);
        assert!(matches!(&decoded.columns[1], Column::U32(numbers) if numbers == &[1, 2]));
    }

    #[test]
    fn the_rows_that_were_kept_are_completed_from_the_same_run() {
        let entries: Vec<_> = (0..5).map(|number| entry(number, &[b'a' + number])).collect();
        let run = run(entries.iter().map(Vec::as_slice));
        let mut table = table();
        assert!(table.decode(&run, &[]).unwrap().columns.is_empty());
        assert_eq!(texts(&table.complete(&run, &[1, 3], &[2]).unwrap()[0]), ["b", "d"]);
        assert_eq!(texts(&table.complete(&run, &[0, 1, 2, 3, 4], &[1]).unwrap()[0]), ["ab"; 5]);
        assert!(table.complete(&run, &[5], &[0]).unwrap_err().contains("not among the 5"));
    }

    #[test]
    fn a_condition_belongs_to_the_metric_before_and_names_a_field() {
        let table = table().counter("all", "All.").counter("ones", "Ones.").only("number", 1).only("nothing", 0);
        let [all, ones] = &table.schema().metrics[..] else { panic!("two metrics") };
        assert!(all.only.is_empty());
        assert_eq!(ones.only, [Condition { field: 0, equals: 1 }, Condition { field: u32::MAX, equals: 0 }]);
    }

    #[test]
    fn a_broken_run_and_an_unknown_field_are_errors() {
        let mut table = table();
        assert!(table.decode(&[9, 0, 0, 0, 0, 0, 0, 0, 1], &[]).is_err());
        assert!(table.decode(&[], &[3]).unwrap_err().contains("no field 3"));
    }
}
