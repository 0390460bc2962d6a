//! Comparison of the results of the live plugin and the candidate, row by row.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::slice::Iter;

use arrow_array::ArrayRef;
use host_model::{Batch, Decisions, Decoded, Example, Field, NEVER, Threshold};

use crate::sampling;
use crate::shadow::tally::Finding;
use crate::shadow::value::{Column, Value, describe, say};

/// Maximum number of differing fields that an example names.
const NAMED: usize = 4;

/// A field that both have, and its index in each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    pub(crate) live: usize,
    pub(crate) candidate: usize,
}

/// The rows of both for one record, or at one index; None if one of the two has no row.
pub(crate) type Pair = (Option<usize>, Option<usize>);

/// Returns the fields of the same name and type, the names that only the live plugin has, and those that only the candidate has. A field
/// whose type differs is in both lists.
pub(crate) fn fields(live: &[Field], candidate: &[Field]) -> (Vec<Common>, Vec<String>, Vec<String>) {
    let same = |a: &Field, b: &Field| a.name == b.name && a.column_type == b.column_type;
    let place = |field: &Field| candidate.iter().position(|other| same(field, other));
    let shared = live.iter().enumerate().filter_map(|(live, field)| Some(Common { live, candidate: place(field)? }));
    let only = |these: &[Field], those: &[Field]| {
        let alone = these.iter().filter(|field| !those.iter().any(|other| same(field, other)));
        alone.map(|field| field.name.clone()).collect()
    };
    (shared.collect(), only(live, candidate), only(candidate, live))
}

/// Compares verdicts over the same rows under the same randomness, unless a sampler chooses its own.
pub(crate) fn verdicts(batch: &Batch, live: &Decisions, drawn: &[u64], candidate: &Decisions) -> Finding {
    let kernel = sampling::kernel_thresholds(batch);
    let side = Side::of(batch);
    let mut finding = Finding { rows: batch.rows as u64, ..Finding::default() };
    for (row, &drawn) in drawn.iter().enumerate() {
        let floor = sampling::floor(kernel, row);
        let own = candidate.randomness.get(row).copied().unwrap_or(drawn);
        let (live_threshold, live_keeps) = sampling::verdict(live, row, floor, drawn);
        let (threshold, keeps) = sampling::verdict(candidate, row, floor, own);
        finding.live_rows += u64::from(live_keeps);
        finding.candidate_rows += u64::from(keeps);
        if live_keeps != keeps {
            let words = |keeps: bool, threshold: Threshold| {
                let word = if keeps { "keep" } else { "drop" };
                if threshold == NEVER { format!("{word} (th never)") } else { format!("{word} (th {threshold})") }
            };
            finding.differs(|| Example {
                row: side.describe(row),
                live: words(live_keeps, live_threshold),
                candidate: words(keeps, threshold),
            });
        }
    }
    finding
}

/// Pairs the rows of two decoders for the same record. If one of them does not make one row per record, rows are paired by their index.
pub(crate) fn pairs(records: u32, live: &Decoded, candidate: &Decoded) -> Vec<Pair> {
    let records = records as usize;
    let row_per_record = |decoded: &Decoded| decoded.batch.rows + decoded.undecodable.len() == records;
    if !(row_per_record(live) && row_per_record(candidate)) {
        let row = |decoded: &Decoded, row| (row < decoded.batch.rows).then_some(row);
        return (0..live.batch.rows.max(candidate.batch.rows)).map(|at| (row(live, at), row(candidate, at))).collect();
    }
    let (mut live_rows, mut candidate_rows) = (RowOfRecord::new(live), RowOfRecord::new(candidate));
    let sides = (0..records).map(|record| (live_rows.of(record), candidate_rows.of(record)));
    sides.filter(|sides| *sides != (None, None)).collect()
}

/// Compares values of two decoders, or of two enrichers, over paired rows. `input` shows the rows of enrichers; those of decoders show
/// themselves.
pub(crate) fn rows(
    live: &Side<'_>,
    candidate: &Side<'_>,
    shared: &[Common],
    pairs: &[Pair],
    input: Option<&Side<'_>>,
) -> Finding {
    let mut finding = Finding {
        rows: pairs.len() as u64,
        live_rows: pairs.iter().filter(|(live, _)| live.is_some()).count() as u64,
        candidate_rows: pairs.iter().filter(|(_, candidate)| candidate.is_some()).count() as u64,
        ..Finding::default()
    };
    for &(live_row, candidate_row) in pairs {
        let (Some(live_row), Some(candidate_row)) = (live_row, candidate_row) else {
            let (row, of) = if let Some(row) = live_row { (row, live) } else { (candidate_row.unwrap_or(0), candidate) };
            let words = |row: Option<usize>| if row.is_some() { "a row" } else { "no row" }.to_owned();
            finding.differs(|| Example {
                row: input.unwrap_or(of).describe(row),
                live: words(live_row),
                candidate: words(candidate_row),
            });
            continue;
        };
        let values = |shared: &Common| (live.value(shared.live, live_row), candidate.value(shared.candidate, candidate_row));
        let differs = |shared: &&Common| {
            let (live, candidate) = values(shared);
            live != candidate
        };
        if shared.iter().any(|shared| differs(&shared)) {
            finding.differs(|| {
                let (mut said_live, mut said_candidate) = (Vec::new(), Vec::new());
                for shared in shared.iter().filter(differs).take(NAMED) {
                    let Some(field) = live.fields.get(shared.live) else { continue };
                    let (live, candidate) = values(shared);
                    said_live.push(say(field, live));
                    said_candidate.push(say(field, candidate));
                }
                Example {
                    row: input.unwrap_or(live).describe(live_row),
                    live: said_live.join(", "),
                    candidate: said_candidate.join(", "),
                }
            });
        }
    }
    finding
}

/// The columns of one of the two plugins.
pub(crate) struct Side<'a> {
    fields: &'a [Field],
    /// The columns by field; None if not requested.
    columns: Vec<Option<Column<'a>>>,
    /// Columns with values for some rows only, by field; and the position of each row's values in them.
    later: Vec<Option<Column<'a>>>,
    places: Vec<Option<usize>>,
}

// === impl Side ===

impl<'a> Side<'a> {
    /// The columns of a batch that exist.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let columns = batch.columns.iter().map(|column| column.as_ref().map(Column::of)).collect();
        Self { fields: &batch.schema.fields, columns, later: Vec::new(), places: Vec::new() }
    }

    /// The columns that an enricher added.
    pub(crate) fn added(fields: &'a [Field], columns: &'a [ArrayRef]) -> Self {
        let columns = columns.iter().map(|column| Some(Column::of(column))).collect();
        Self { fields, columns, later: Vec::new(), places: Vec::new() }
    }

    /// Adds columns that only `rows` have.
    pub(crate) fn complete(&mut self, rows: &[u32], fields: &[usize], columns: &'a [ArrayRef]) {
        self.later = vec![None; self.fields.len()];
        for (&field, column) in fields.iter().zip(columns) {
            if let Some(place) = self.later.get_mut(field) {
                *place = Some(Column::of(column));
            }
        }
        for (place, &row) in rows.iter().enumerate() {
            let row = row as usize;
            self.places.resize(self.places.len().max(row + 1), None);
            if let Some(of_row) = self.places.get_mut(row) {
                *of_row = Some(place);
            }
        }
    }

    fn value(&self, field: usize, row: usize) -> Option<Value<'a>> {
        if let Some(column) = self.columns.get(field).copied().flatten() {
            return column.value(row);
        }
        let place = self.places.get(row).copied().flatten()?;
        self.later.get(field).copied().flatten()?.value(place)
    }

    fn describe(&self, row: usize) -> BTreeMap<String, String> {
        describe(self.fields, |field| self.value(field, row))
    }
}

/// Walks the records of a run, and counts the rows.
struct RowOfRecord<'a> {
    undecodable: Peekable<Iter<'a, u32>>,
    next: usize,
}

// === impl RowOfRecord ===

impl<'a> RowOfRecord<'a> {
    fn new(decoded: &'a Decoded) -> Self {
        Self { undecodable: decoded.undecodable.iter().peekable(), next: 0 }
    }

    /// Returns the row of the next record; None if it has none.
    fn of(&mut self, record: usize) -> Option<usize> {
        if self.undecodable.next_if(|undecodable| **undecodable as usize == record).is_some() {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}
