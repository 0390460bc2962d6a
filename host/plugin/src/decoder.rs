//! A component as a [`Decoder`]: takes records, returns columns.

use std::sync::Arc;

use arrow_array::ArrayRef;
use host_model::{Batch, Decoded, Decoder, Disowned, Fault, Field, Layout, Run, Schema, SwitchPoint};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::breach::Breach;
use crate::columns;
use crate::guard::{Call, Guard, plugin};
use crate::imports::Imports;
use crate::instance::{Failure, Role};
use crate::limits::{FIELDS_OF_A_ROW, MAX_METRICS, MOST_DISOWNED};
use crate::refusal::Step;
use crate::version::v0_1::exports::probe::plugin::{decoder, protocol};
use crate::version::v0_1::{nouns, probe::plugin::layout::RecordLayoutParam};

/// The probe whose records are decoded.
pub(crate) struct DecoderRole {
    pub(crate) probe: String,
    pub(crate) layout: Layout,
}

/// The exports of a decoder.
pub(crate) struct Guest {
    pub(crate) decoder: decoder::Guest,
    /// Its interface `protocol`, if it exports it.
    pub(crate) protocol: Option<protocol::Guest>,
}

/// The decoder of one path.
pub(crate) struct WasmDecoder {
    guard: Guard<DecoderRole>,
    /// Indices of the fields of the current call; a buffer that is reused.
    asked: Vec<u32>,
    /// Number of rows of the last `decode`, while the instance that made them lives.
    rows: Option<usize>,
    /// Whether it may disown connections.
    protocol: bool,
    /// Whether the instance that made the last `decode` has yet to be asked which connections it disowns.
    unasked: bool,
}

// === impl DecoderRole ===

impl Role for DecoderRole {
    type Guest = Guest;
    type Bound = Arc<Schema>;

    fn guest(pre: &InstancePre<Imports>, store: &mut Store<Imports>, instance: &Instance) -> wasmtime::Result<Guest> {
        let protocol = match protocol::GuestIndices::new(pre) {
            Ok(indices) => Some(indices.load(&mut *store, instance)?),
            Err(_) => None,
        };
        Ok(Guest { decoder: decoder::GuestIndices::new(pre)?.load(store, instance)?, protocol })
    }

    fn bind(&self, store: &mut Store<Imports>, guest: &Guest, config: &str) -> Result<Arc<Schema>, Failure> {
        let guest = &guest.decoder;
        let expected = guest.call_expects(&mut *store, &self.probe).map_err(|error| Failure::Ended(Step::Expects, error))?;
        if let Some(expected) = expected {
            self.layout.satisfies(&nouns::layout(expected)).map_err(Failure::Mismatch)?;
        }
        let members = nouns::members(&self.layout);
        let layout = RecordLayoutParam { name: &self.layout.name, size: self.layout.size, members: &members };
        let schema = guest
            .call_bind(&mut *store, &self.probe, layout, config)
            .map_err(|error| Failure::Ended(Step::Bind, error))?
            .map_err(Failure::Refused)?;
        let schema = nouns::schema(schema);
        let breach = |breach| Failure::Breach(Step::Bind, breach);
        if schema.metrics.len() > MAX_METRICS {
            return Err(breach(Breach::Metrics(schema.metrics.len())));
        }
        schema.check().map_err(|error| breach(error.into()))?;
        Ok(Arc::new(schema))
    }
}

// === impl WasmDecoder ===

impl WasmDecoder {
    pub(crate) fn new(guard: Guard<DecoderRole>, protocol: bool) -> Self {
        Self { guard, asked: Vec::new(), rows: None, protocol, unasked: false }
    }

    fn ask(&mut self, fields: &[usize]) {
        self.asked.clear();
        self.asked.extend(fields.iter().map(|&field| u32::try_from(field).unwrap_or(u32::MAX)));
    }
}

impl Decoder for WasmDecoder {
    fn schema(&self) -> &Arc<Schema> {
        self.guard.bound()
    }

    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault> {
        (self.rows, self.unasked) = (None, false);
        self.ask(fields);
        let Self { guard, asked, .. } = self;
        let output_rows = guard.output_rows();
        let decoded = guard.call(
            Call::Decode,
            run.records as usize,
            |store, guest| guest.decoder.call_decode(store, run.bytes, asked),
            |decoded, schema| checked(decoded, schema, fields, run.records, output_rows),
        )?;
        (self.rows, self.unasked) = (Some(decoded.batch.rows), self.protocol);
        Ok(decoded)
    }

    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault> {
        if self.rows.take().is_none() {
            return Err(self.guard.not_called(Call::Complete, "there is no decoded run to complete"));
        }
        self.ask(fields);
        let Self { guard, asked, .. } = self;
        let completed = guard.call(
            Call::Complete,
            // The rows were counted when they were decoded.
            0,
            |store, guest| guest.decoder.call_complete(store, rows, asked),
            |columns, schema| columns::lift(columns, asked_of(schema, fields), rows.len()),
        );
        // After a trap the call would reach another instance.
        self.unasked &= completed.is_ok();
        completed
    }

    fn disowned(&mut self) -> Result<Vec<Disowned>, Fault> {
        if !std::mem::take(&mut self.unasked) {
            return Ok(Vec::new());
        }
        self.guard.call(
            Call::Disowned,
            0,
            |store, guest| {
                let asked = guest.protocol.as_ref().map(|guest| guest.call_disowned(store));
                asked.transpose().map(Ok)
            },
            |disowned, _| disowned.map_or(Ok(Vec::new()), |disowned| lift_disowned(&disowned)),
        )
    }
}

plugin!(WasmDecoder);

/// Returns the fields of these indices.
fn asked_of<'a>(schema: &'a Schema, fields: &'a [usize]) -> impl Iterator<Item = &'a Field> + Clone {
    fields.iter().filter_map(|&field| schema.fields.get(field))
}

/// Checks the conversations that a decoder disowns, which are columns of equal length.
fn lift_disowned(disowned: &protocol::DisownedConversations) -> Result<Vec<Disowned>, Breach> {
    let protocol::DisownedConversations { connections, tls, records, bytes } = disowned;
    let is = connections.len();
    if is > MOST_DISOWNED {
        return Err(Breach::Disowned { is });
    }
    if [tls.len(), records.len(), bytes.len()] != [is; 3] {
        return Err(Breach::DisownedColumns { tls: tls.len(), records: records.len(), bytes: bytes.len(), must: is });
    }
    let places = records.iter().zip(bytes);
    let each = connections.iter().zip(tls).zip(places).map(|((&connection, &tls), (&record, &bytes))| match tls {
        0 | 1 => {
            let from = (record != u32::MAX).then_some(SwitchPoint { record, bytes });
            Ok(Disowned { connection, tls: tls == 1, from })
        }
        odd => Err(Breach::DisownedHalf(odd)),
    });
    each.collect()
}

pub(crate) fn checked(
    decoded: decoder::Decoded,
    schema: &Arc<Schema>,
    fields: &[usize],
    records: u32,
    output_rows: usize,
) -> Result<Decoded, Breach> {
    let rows = decoded.rows as usize;
    if rows > output_rows {
        return Err(Breach::TooManyRows { rows });
    }
    let all = schema.fields.len();
    let most = output_rows / all.div_ceil(FIELDS_OF_A_ROW).max(1);
    if rows > most {
        return Err(Breach::TooManyFields { rows, fields: all, most });
    }
    let columns = columns::lift(decoded.columns, asked_of(schema, fields), rows)?;
    let undecodable = decoded.undecodable;
    let rising = undecodable.is_sorted_by(|before, after| before < after);
    if !rising || undecodable.last().is_some_and(|&last| last >= records) {
        return Err(Breach::Undecodable { records });
    }
    let mut batch = Batch::new(schema.clone(), rows);
    batch.put(fields, columns);
    Ok(Decoded { batch, undecodable })
}

#[cfg(test)]
mod tests {
    use host_model::{ColumnType, FieldUse, Sensitivity, Signal};

    use super::*;

    fn rows_of(rows: u32, fields: usize) -> Result<Decoded, Breach> {
        let field = |number: usize| Field {
            name: format!("f{number}"),
            column_type: ColumnType::U64,
            unit: String::new(),
            field_use: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        let schema =
            Schema { event: "e".into(), signal: Signal::Span, fields: (0..fields).map(field).collect(), metrics: Vec::new() };
        // Without columns, so that the rows cost the guest nothing.
        let decoded = decoder::Decoded { rows, columns: Vec::new(), undecodable: Vec::new() };
        checked(decoded, &Arc::new(schema), &[], 1, 1 << 18)
    }

    #[test]
    fn a_row_counts_as_often_as_it_has_fields_by_the_sixteen() {
        for (rows, fields) in [(1 << 18, 1), (1 << 18, 16), (1 << 17, 17), (1 << 14, 251), (1 << 14, 256)] {
            assert!(rows_of(rows, fields).is_ok(), "{rows} x {fields}");
        }
        let breach = rows_of(1 << 18, 251).unwrap_err();
        assert_eq!(breach, Breach::TooManyFields { rows: 1 << 18, fields: 251, most: 1 << 14 });
        assert!(rows_of((1 << 17) + 1, 17).is_err() && rows_of((1 << 14) + 1, 251).is_err());
        assert!(matches!(rows_of((1 << 18) + 1, 1), Err(Breach::TooManyRows { .. })));
    }
}
