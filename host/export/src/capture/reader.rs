//! Reads a capture. All of it is checked before use.

use std::io::Read;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use host_model::Run;

use super::frame::Frames;
use super::{CaptureError, CapturedProbe, OFFSET_KEY, PROBES, PROBES_KEY, VERSION, VERSION_KEY, columns};

/// Reads runs, message by message.
pub struct Reader<R> {
    frames: Frames<R>,
    schema: SchemaRef,
    probes: Vec<CapturedProbe>,
    unix_offset_ns: u64,
}

/// The runs of one message; all of them are checked.
#[derive(Debug, Clone)]
pub struct Runs(RecordBatch);

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct CapturedRun<'a> {
    /// The index of its probe in [`Reader::probes`].
    pub probe: usize,
    /// When it was taken, CLOCK_MONOTONIC nanoseconds.
    pub time_ns: u64,
    /// The records.
    pub run: Run<'a>,
}

// === impl Reader ===

impl<R: Read> Reader<R> {
    /// Reads the head of a capture.
    ///
    /// # Errors
    /// The input is not a capture, has another version, or its head is broken.
    pub fn new(input: R) -> Result<Self, CaptureError> {
        let not = |wrong: &str| CaptureError::Not(wrong.to_owned());
        let mut frames = Frames::new(input);
        let first = match frames.next() {
            Ok(first) => first.ok_or_else(|| not("it is empty"))?,
            Err(CaptureError::Io(error)) => return Err(error.into()),
            Err(other) => return Err(CaptureError::Not(other.to_string())),
        };
        let schema = first.schema().ok_or_else(|| not("it does not begin with an Arrow schema"))?;
        let metadata = |key: &str| schema.metadata().get(key);
        match metadata(VERSION_KEY) {
            Some(version) if *version == VERSION.to_string() => {}
            Some(other) => return Err(CaptureError::Version(host_model::printable(other, 40))),
            None => return Err(CaptureError::Not(format!("its metadata has no `{VERSION_KEY}`"))),
        }
        if schema.fields().iter().ne(columns().iter()) {
            return Err(not("its columns are not probe, time_ns, records and run"));
        }
        let unix_offset_ns = metadata(OFFSET_KEY).and_then(|text| text.parse().ok());
        let probes = metadata(PROBES_KEY).and_then(|text| serde_json::from_str::<Vec<CapturedProbe>>(text).ok());
        let probes = probes.filter(|probes| probes.len() <= PROBES);
        Ok(Self {
            frames,
            probes: probes.ok_or_else(|| CaptureError::Not(format!("its `{PROBES_KEY}` cannot be read")))?,
            unix_offset_ns: unix_offset_ns.ok_or_else(|| CaptureError::Not(format!("its `{OFFSET_KEY}` is no number")))?,
            schema: SchemaRef::new(Schema::new(columns())),
        })
    }

    /// Returns the probes, in the order of their indices.
    #[must_use]
    pub fn probes(&self) -> &[CapturedProbe] {
        &self.probes
    }

    /// Returns the difference of Unix time and CLOCK_MONOTONIC, nanoseconds.
    #[must_use]
    pub const fn unix_offset_ns(&self) -> u64 {
        self.unix_offset_ns
    }

    /// Returns the next runs; None at the end.
    ///
    /// # Errors
    /// The file ends early, a message is broken, or a run's framing does not hold.
    pub fn read(&mut self) -> Result<Option<Runs>, CaptureError> {
        let Some(frame) = self.frames.next()? else { return Ok(None) };
        let rows = frame.rows(&self.schema).map_err(|wrong| self.frames.broken(&wrong))?;
        let runs = Runs(rows);
        for (row, claimed) in runs.records().iter().enumerate() {
            let wrong = match runs.get(row) {
                None => "its framing does not hold".to_owned(),
                Some(captured) if captured.probe >= self.probes.len() => {
                    format!("it is of probe {}, which is not named", captured.probe)
                }
                Some(captured) if captured.run.records != *claimed => {
                    format!("it holds {} records, {claimed} are claimed", captured.run.records)
                }
                Some(_) => continue,
            };
            return Err(self.frames.broken(&format!("run {row}: {wrong}")));
        }
        Ok(Some(runs))
    }
}

// === impl Runs ===

impl Runs {
    /// Returns the run of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<CapturedRun<'_>> {
        let (probes, times) = (self.0.columns().first()?, self.0.columns().get(1)?);
        let probe = *probes.as_primitive_opt::<UInt8Type>()?.values().get(row)?;
        let time_ns = *times.as_primitive_opt::<UInt64Type>()?.values().get(row)?;
        let runs = self.0.columns().get(3)?.as_binary_opt::<i32>()?;
        let bytes = (row < runs.len()).then(|| runs.value(row))?;
        Some(CapturedRun { probe: usize::from(probe), time_ns, run: Run::parse(bytes)? })
    }

    /// Iterates over the runs.
    pub fn iter(&self) -> impl Iterator<Item = CapturedRun<'_>> {
        (0..self.0.num_rows()).map_while(|row| self.get(row))
    }

    fn records(&self) -> &[u32] {
        let records = self.0.columns().get(2).and_then(|column| column.as_primitive_opt::<UInt32Type>());
        records.map_or(&[], |records| records.values())
    }
}
