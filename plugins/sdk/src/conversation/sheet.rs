//! The fields of a protocol's rows: those that all protocols have, and its own.

use super::Kind;
use super::rows::{Kept, Row, Rows, Texts};
use crate::qualified::qualified;
use crate::table::gather;
use crate::text::Text;
use crate::wit::{Column, ColumnType, EventSchema, Field, Signal, Values};

/// The rows of a protocol: the event, its fields, and for each field of its own how to read it from an exchange.
///
/// A field is made only when it is asked for: one that neither metrics nor the sampler read, for kept rows alone.
///
/// ```
/// use plugin_sdk::conversation::{Kind, Sheet, Short};
/// use plugin_sdk::{FieldUse, Sensitivity, Signal};
///
/// struct Greeting {
///     who: Short,
///     bytes: u32,
/// }
///
/// let sheet = Sheet::<Greeting>::new("greeting", Signal::Span)
///     .text("greeting.who", |greeting, out| { out.str(&greeting.who); }).reveals(Sensitivity::Identity)
///     .u32("greeting.size", |greeting| greeting.bytes).unit("By").used(FieldUse::Dimension)
///     .histogram("greeting.server.duration", "How long servers take to greet.", "duration").only_kind(Kind::Server);
/// assert!(sheet.schema().named("server.port").is_some());
/// ```
pub struct Sheet<X> {
    pub(super) schema: EventSchema,
    makers: Vec<Maker<X>>,
    /// `network.protocol.name`
    pub(crate) protocol: Option<String>,
}

/// Makes the column of one field, for these rows.
pub(crate) type Maker<X> = Box<dyn Fn(&Rows<X>, &[u32]) -> Column + Send>;

qualified!(impl<X> Sheet<X>);

// === impl Sheet: fields ===

/// Declares one method per type of number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $method:ident: $type:ty => $case:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $method(self, name: &str, value: impl Fn(&X) -> $type + Send + 'static) -> Self {
            self.field(name, ColumnType::$case, move |rows, chosen| {
                Column::$case(gather(chosen, |row| rows.get(row).map(|row| value(&row.exchange)).unwrap_or_default()))
            })
        }
    )+};
}

impl<X: 'static> Sheet<X> {
    /// Returns an event without fields.
    pub(crate) fn bare(event: &str, signal: Signal) -> Self {
        let schema = EventSchema { event: event.into(), signal, fields: Vec::new(), metrics: Vec::new() };
        Self { schema, makers: Vec::new(), protocol: None }
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

    /// Adds a field of text that the closure appends to the row.
    #[must_use]
    pub fn text(self, name: &str, write: impl Fn(&X, &mut Text) + Send + 'static) -> Self {
        self.field(name, ColumnType::Text, move |rows, chosen| {
            let mut text = Text::with_capacity(chosen.len(), chosen.len() * 16);
            for &row in chosen {
                if let Some(row) = rows.get(row) {
                    write(&row.exchange, &mut text);
                }
                text.end();
            }
            text.finish()
        })
    }

    /// Adds a field of text with a fixed set of values.
    #[must_use]
    pub fn label(self, name: &str, value: impl Fn(&X) -> &'static str + Send + 'static) -> Self {
        self.text(name, move |exchange, text| {
            text.str(value(exchange));
        })
    }

    /// Adds a field of text that was stored with the row: up to the first NUL, with U+FFFD for invalid UTF-8.
    #[must_use]
    pub fn kept(self, name: &str, value: impl Fn(&X) -> Kept + Send + 'static) -> Self {
        self.field(name, ColumnType::Text, move |rows, chosen| {
            kept(rows, chosen, |row| rows.get(row).map(|row| value(&row.exchange)).unwrap_or_default())
        })
    }

    /// Sets the name of the row's span, unless the row has [one of its own](super::RowRef::name): made for kept rows only.
    #[must_use]
    pub fn name(mut self, write: impl Fn(&X, Texts<'_>, &mut Text) + Send + 'static) -> Self {
        let name = move |row: &Row<X>, texts: Texts<'_>, text: &mut Text| match texts.of(row.name()) {
            [] => write(&row.exchange, texts, text),
            own => drop(text.chars(own)),
        };
        self.remake(
            "name",
            Box::new(move |rows, chosen| {
                let mut text = Text::with_capacity(chosen.len(), chosen.len() * 16);
                for &row in chosen {
                    rows.get(row).into_iter().for_each(|row| name(row, rows.texts(), &mut text));
                    text.end();
                }
                text.finish()
            }),
        );
        self
    }

    /// Adds a field of bytes.
    #[must_use]
    pub fn bytes(self, name: &str, value: impl Fn(&X) -> &[u8] + Send + 'static) -> Self {
        self.field(name, ColumnType::Bytes, move |rows, chosen| {
            let (mut offsets, mut bytes) = (vec![0], Vec::new());
            for &row in chosen {
                bytes.extend_from_slice(rows.get(row).map(|row| value(&row.exchange)).unwrap_or_default());
                offsets.push(bytes.len() as u32);
            }
            Column::Bytes(Values { offsets, bytes })
        })
    }

    pub(crate) fn field(
        mut self,
        name: &str,
        column_type: ColumnType,
        make: impl Fn(&Rows<X>, &[u32]) -> Column + Send + 'static,
    ) -> Self {
        self.schema.fields.push(Field::new(name, column_type));
        self.makers.push(Box::new(make));
        self
    }
}

/// Makes a column of stored text.
pub(crate) fn kept<X>(rows: &Rows<X>, chosen: &[u32], value: impl Fn(u32) -> Kept) -> Column {
    let mut text = Text::with_capacity(chosen.len(), chosen.len() * 16);
    for &row in chosen {
        text.chars(rows.texts().of(value(row))).end();
    }
    text.finish()
}

// === impl Sheet: settings of a protocol, and rows ===

impl<X> Sheet<X> {
    /// Sets `network.protocol.name`, if it is not the name in the protocol's description.
    #[must_use]
    pub fn protocol_name(mut self, name: &str) -> Self {
        self.protocol = Some(name.into());
        self
    }

    /// Restricts the metric before to rows of this end.
    #[must_use]
    pub fn only_kind(self, kind: Kind) -> Self {
        self.only("kind", kind as u32)
    }

    /// Replaces the maker of a field.
    pub(crate) fn remake(&mut self, name: &str, maker: Maker<X>) {
        let place = self.schema.fields.iter().position(|field| field.name == name);
        if let Some(known) = place.and_then(|place| self.makers.get_mut(place)) {
            *known = maker;
        }
    }

    /// Returns the columns of these fields, for these rows.
    pub(crate) fn columns(&self, rows: &Rows<X>, chosen: &[u32], fields: &[u32]) -> Result<Vec<Column>, String> {
        let column = |&field: &u32| match self.makers.get(field as usize) {
            Some(make) => Ok(make(rows, chosen)),
            None => Err(format!("there is no field {field}")),
        };
        fields.iter().map(column).collect()
    }
}
