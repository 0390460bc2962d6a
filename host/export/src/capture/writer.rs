//! Writes a capture.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, UInt8Builder, UInt32Builder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
use host_model::Run;

use super::{CaptureError, CapturedProbe, PROBES, RUN_BYTES, schema};

/// Number of bytes of runs at which a message is closed: enough for LZ4 to find repetitions, little to lose at a power failure.
const CLOSE_BYTES: usize = 1 << 20;
/// Number of runs at which a message is closed.
const CLOSE_RUNS: usize = 4096;

/// Writes runs, in the order in which they are pushed.
pub struct Writer<W: Write> {
    stream: StreamWriter<W>,
    schema: SchemaRef,
    probes: usize,
    probe: UInt8Builder,
    time: UInt64Builder,
    records: UInt32Builder,
    run: BinaryBuilder,
    waiting: (usize, usize),
}

// === impl Writer ===

impl<W: Write> Writer<W> {
    /// Starts a capture of these probes. `unix_offset_ns` is the offset from the times of the runs, and those in their records, to Unix
    /// time.
    ///
    /// # Errors
    /// There are more than 256 probes, or the file cannot be written.
    pub fn new(output: W, unix_offset_ns: u64, probes: &[CapturedProbe]) -> Result<Self, CaptureError> {
        if probes.len() > PROBES {
            return Err(CaptureError::Run { probe: PROBES, wrong: format!("a capture holds at most {PROBES} probes") });
        }
        let schema = Arc::new(schema(unix_offset_ns, probes));
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(io)?;
        Ok(Self {
            stream: StreamWriter::try_new_with_options(output, &schema, options).map_err(io)?,
            schema,
            probes: probes.len(),
            probe: UInt8Builder::new(),
            time: UInt64Builder::new(),
            records: UInt32Builder::new(),
            run: BinaryBuilder::new(),
            waiting: (0, 0),
        })
    }

    /// Adds a run of one probe, taken at `time_ns` (CLOCK_MONOTONIC).
    ///
    /// # Errors
    /// The probe was not named at the start, the run is over 32 MiB, or the file cannot be written.
    pub fn push(&mut self, probe: usize, time_ns: u64, run: Run<'_>) -> Result<(), CaptureError> {
        let wrong = |wrong: String| CaptureError::Run { probe, wrong };
        let index = u8::try_from(probe).ok().filter(|_| probe < self.probes);
        let index = index.ok_or_else(|| wrong(format!("the capture was begun with {} probes", self.probes)))?;
        if run.bytes.len() > RUN_BYTES {
            return Err(wrong(format!("it has {} bytes, at most {RUN_BYTES} are possible", run.bytes.len())));
        }
        if self.waiting.1 + run.bytes.len() > RUN_BYTES {
            self.close()?;
        }
        self.probe.append_value(index);
        self.time.append_value(time_ns);
        self.records.append_value(run.records);
        self.run.append_value(run.bytes);
        self.waiting = (self.waiting.0 + 1, self.waiting.1 + run.bytes.len());
        if self.waiting.0 >= CLOSE_RUNS || self.waiting.1 >= CLOSE_BYTES {
            self.close()?;
        }
        Ok(())
    }

    /// Writes all pushed runs to the output.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.close()?;
        self.stream.flush().map_err(io)
    }

    /// Ends the capture and returns the output.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W, CaptureError> {
        self.close()?;
        self.stream.into_inner().map_err(io)
    }

    fn close(&mut self) -> Result<(), CaptureError> {
        if std::mem::take(&mut self.waiting).0 == 0 {
            return Ok(());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.probe.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.records.finish()),
            Arc::new(self.run.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io)?;
        self.stream.write(&batch).map_err(io)
    }
}

fn io(error: ArrowError) -> CaptureError {
    match error {
        ArrowError::IoError(_, error) => CaptureError::Io(error),
        other => CaptureError::Io(std::io::Error::other(other.to_string())),
    }
}
