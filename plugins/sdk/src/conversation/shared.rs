//! The fields that rows of all protocols have, with which every [`Sheet`] begins.

use std::fmt::Write;
use std::net::IpAddr;

use super::link::{End, Link};
use super::rows::{Row, Rows};
use super::sheet::{Sheet, kept};
use crate::table::gather;
use crate::text::Text;
use crate::wit::{Column, ColumnType, Condition, FieldUse, Sensitivity, Signal};

/// The field whose text is the protocol's name, the same in every row.
pub(crate) const PROTOCOL_NAME: &str = "network.protocol.name";

/// The field that is 1 in a row that follows one with a timeout of the same exchange.
const LATE: &str = "response.late";

/// Adds the fields that all protocols have.
fn columns<X: 'static>(sheet: Sheet<X>) -> Sheet<X> {
    let sheet = sheet
        .of_rows("time", ColumnType::U64, |row, _| row.began.time_ns, Column::U64)
        .used(FieldUse::Time)
        .of_rows("duration", ColumnType::U64, |row, _| row.ended_ns.saturating_sub(row.began.time_ns), Column::U64)
        .unit("ns")
        .used(FieldUse::Duration)
        .of_rows("kind", ColumnType::U32, |_, link| link.kind as u32, Column::U32)
        .used(FieldUse::Kind)
        .field("error.type", ColumnType::Text, |rows, chosen| {
            kept(rows, chosen, |row| rows.get(row).map(Row::error).unwrap_or_default())
        })
        .used(FieldUse::Error)
        .field("name", ColumnType::Text, |rows, chosen| {
            kept(rows, chosen, |row| rows.get(row).map(Row::name).unwrap_or_default())
        })
        .used(FieldUse::Name)
        .of_rows("correlation", ColumnType::U64, |row, link| link.correlation(row.began.sequence), Column::U64)
        .used(FieldUse::Correlation)
        .field("trace_parent", ColumnType::Text, |rows, chosen| {
            kept(rows, chosen, |row| rows.get(row).map(Row::trace_parent).unwrap_or_default())
        })
        .used(FieldUse::TraceParent)
        .of_rows(LATE, ColumnType::Boolean, |row, _| u8::from(row.began.is_given_up), Column::Boolean)
        .omit_zero();
    process(network(ends(sheet)))
}

fn ends<X: 'static>(sheet: Sheet<X>) -> Sheet<X> {
    sheet
        .of_links("server.address", |link, text| address(link.server, text))
        .omit_zero()
        .of_rows("server.port", ColumnType::U32, |_, link| u32::from(link.server.port), Column::U32)
        .used(FieldUse::Dimension)
        .omit_zero()
        .of_links("client.address", |link, text| address(link.client, text))
        .reveals(Sensitivity::Identity)
        .omit_zero()
        .of_rows("client.port", ColumnType::U32, |_, link| u32::from(link.client.port), Column::U32)
        .omit_zero()
}

fn network<X: 'static>(sheet: Sheet<X>) -> Sheet<X> {
    sheet
        .of_links("network.transport", |link, text| {
            text.str(link.transport.name());
        })
        .of_links(PROTOCOL_NAME, |_, _| {})
        .used(FieldUse::Dimension)
        .field("network.protocol.version", ColumnType::Text, |rows, chosen| {
            kept(rows, chosen, |row| rows.get(row).map(Row::version).unwrap_or_default())
        })
        .omit_zero()
        .of_rows("tls.established", ColumnType::Boolean, |_, link| u8::from(link.is_tls), Column::Boolean)
}

fn process<X: 'static>(sheet: Sheet<X>) -> Sheet<X> {
    sheet
        .of_rows("process.pid", ColumnType::U32, |_, link| link.pid, Column::U32)
        .omit_zero()
        .of_links("process.executable.name", |link, text| {
            text.chars(&link.comm);
        })
        .used(FieldUse::Dimension)
        .omit_zero()
        .of_rows("linux.cgroup.id", ColumnType::U64, |_, link| link.cgroup, Column::U64)
        .omit_zero()
}

impl<X: 'static> Sheet<X> {
    /// Returns an event with the fields that all protocols have. The methods below add fields, and then qualify the field before.
    #[must_use]
    pub fn new(event: &str, signal: Signal) -> Self {
        columns(Self::bare(event, signal))
    }

    /// Adds a field of numbers, of a row and its connection.
    fn of_rows<T: Default + 'static>(
        self,
        name: &str,
        column_type: ColumnType,
        value: impl Fn(&Row<X>, &Link) -> T + Send + 'static,
        column: fn(Vec<T>) -> Column,
    ) -> Self {
        self.field(name, column_type, move |rows, chosen| {
            let value = |row| {
                let row = rows.get(row)?;
                Some(value(row, rows.link(row)?))
            };
            column(gather(chosen, |row| value(row).unwrap_or_default()))
        })
    }

    /// Adds a field of text, of a connection.
    fn of_links(self, name: &str, write: impl Fn(&Link, &mut Text) + Send + 'static) -> Self {
        self.field(name, ColumnType::Text, texts(write))
    }

    /// Sets `network.protocol.name`, if the protocol did not.
    pub(crate) fn named(mut self, name: String) -> Self {
        let name = self.protocol.take().unwrap_or(name);
        self.remake(
            PROTOCOL_NAME,
            Box::new(texts(move |_, text: &mut Text| {
                text.str(&name);
            })),
        );
        self
    }
}

impl<X> Sheet<X> {
    /// Restricts all metrics so that none counts an exchange twice: when it timed out, and when it ended after all.
    pub(crate) fn counted_once(mut self) -> Self {
        if let Some(field) = self.schema.named(LATE) {
            self.schema.metrics.iter_mut().for_each(|metric| metric.only.push(Condition { field, equals: 0 }));
        }
        self
    }
}

fn texts<X: 'static>(write: impl Fn(&Link, &mut Text) + Send + 'static) -> impl Fn(&Rows<X>, &[u32]) -> Column + Send {
    move |rows, chosen| {
        let mut text = Text::with_capacity(chosen.len(), chosen.len() * 16);
        for &row in chosen {
            if let Some(link) = rows.get(row).and_then(|row| rows.link(row)) {
                write(link, &mut text);
            }
            text.end();
        }
        text.finish()
    }
}

fn address(end: End, text: &mut Text) {
    match end.address {
        None => {}
        Some(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            text.number(u64::from(a));
            for byte in [b, c, d] {
                text.str(".").number(u64::from(byte));
            }
        }
        Some(IpAddr::V6(address)) => {
            // Writing into a column cannot fail.
            let _ = write!(text, "{address}");
        }
    }
}
