//! The messages of an Arrow IPC stream, split and checked before Arrow reads them: the file is not trusted, and neither are its lengths.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{MessageHeader, convert, root_as_message};
use arrow_schema::{Schema, SchemaRef};

use super::{CaptureError, MESSAGE_BYTES};

/// The marker before the length of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Maximum bytes of a message's description: our longest is the schema, with 256 layouts.
const DESCRIPTION_BYTES: usize = 8 << 20;
/// Maximum number of runs in one message.
const ROWS: i64 = 1 << 20;
/// Bytes before compressed data that hold its unpacked length.
const SIZE: usize = 8;
/// The length of a buffer that was not worth compressing.
const NOT_COMPRESSED: i64 = -1;

/// Bytes of a value in each buffer: for every column the validity and the values, and before the runs their offsets.
const WIDTHS: [usize; 9] = [1, 1, 1, 8, 1, 4, 1, 4, 1];

/// Reads messages.
pub(super) struct Frames<R> {
    input: R,
    /// Number of bytes read.
    read: u64,
    /// The offset of the current message.
    at: u64,
}

/// One message.
pub(super) struct Frame {
    description: Vec<u8>,
    body: Vec<u8>,
}

// === impl Frames ===

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, read: 0, at: 0 }
    }

    /// Returns the next message; None at the end. A file that ends between two messages is complete.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, CaptureError> {
        self.at = self.read;
        let mut word = [0; 4];
        if !self.fill(&mut word)? {
            return Ok(None);
        }
        if word != CONTINUATION {
            return Err(self.broken("no message begins here"));
        }
        self.exactly(&mut word)?;
        let length = u32::from_le_bytes(word) as usize;
        if length == 0 {
            return Ok(None);
        }
        if length > DESCRIPTION_BYTES {
            return Err(self.broken(&format!("a description of {length} bytes, at most {DESCRIPTION_BYTES} are read")));
        }
        let description = self.bytes(length)?;
        let body = match root_as_message(&description) {
            Ok(message) => usize::try_from(message.bodyLength()).ok().filter(|&length| length <= MESSAGE_BYTES),
            Err(error) => return Err(self.broken(&format!("its description is none: {error}"))),
        };
        let body = body.ok_or_else(|| self.broken(&format!("its body is longer than {MESSAGE_BYTES} bytes")))?;
        Ok(Some(Frame { body: self.bytes(body)?, description }))
    }

    pub(super) fn broken(&self, wrong: &str) -> CaptureError {
        CaptureError::Broken { at: self.at, wrong: wrong.to_owned() }
    }

    /// Returns false if the input ends before the first byte.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, CaptureError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(CaptureError::Truncated(self.read)),
                Ok(count) => {
                    filled += count;
                    self.read += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), CaptureError> {
        match self.fill(bytes)? {
            true => Ok(()),
            false => Err(CaptureError::Truncated(self.read)),
        }
    }

    /// Reads `length` bytes; memory is allocated as they arrive, not as claimed.
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, CaptureError> {
        let mut bytes = Vec::new();
        self.read += (&mut self.input).take(length as u64).read_to_end(&mut bytes)? as u64;
        if bytes.len() < length { Err(CaptureError::Truncated(self.read)) } else { Ok(bytes) }
    }
}

// === impl Frame ===

impl Frame {
    /// Returns the schema, if this message is one.
    pub(super) fn schema(&self) -> Option<Schema> {
        let message = root_as_message(&self.description).ok()?;
        convert::try_fb_to_schema(message.header_as_schema()?).ok()
    }

    /// Returns the rows, if this message has any.
    pub(super) fn rows(self, schema: &SchemaRef) -> Result<RecordBatch, String> {
        let message = root_as_message(&self.description).map_err(|error| error.to_string())?;
        if message.header_type() != MessageHeader::RecordBatch {
            return Err(format!("a message of kind {:?}", message.header_type()));
        }
        let batch = message.header_as_record_batch().ok_or("rows without a description")?;
        check(&batch, &self.body)?;
        let body = Buffer::from_vec(self.body);
        let version = message.version();
        let no_dictionaries = HashMap::new();
        let decoder = RecordBatchDecoder::try_new(&body, batch, Arc::clone(schema), &no_dictionaries, &version);
        decoder.and_then(RecordBatchDecoder::read_record_batch).map_err(|error| error.to_string())
    }
}

/// Checks the claims of a description about its body: Arrow allocates and slices by them.
fn check(batch: &arrow_ipc::RecordBatch<'_>, body: &[u8]) -> Result<(), String> {
    if !(0..=ROWS).contains(&batch.length()) {
        return Err(format!("{} rows, at most {ROWS} are read", batch.length()));
    }
    for node in batch.nodes().into_iter().flatten() {
        if node.length() != batch.length() || node.null_count() != 0 {
            return Err("a column is not as long as the others, or has gaps".to_owned());
        }
    }
    let compressed = batch.compression().is_some();
    let buffers = batch.buffers().ok_or("no buffers")?;
    if buffers.len() != WIDTHS.len() {
        return Err(format!("{} buffers, there must be {}", buffers.len(), WIDTHS.len()));
    }
    let mut unpacked = 0usize;
    for (buffer, width) in buffers.iter().zip(WIDTHS) {
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = range.and_then(|(start, length)| body.get(start..start.checked_add(length)?));
        let bytes = bytes.ok_or("a buffer that is not within the body")?;
        let size = match (compressed, bytes.split_first_chunk::<SIZE>()) {
            (true, Some((size, rest))) => match i64::from_le_bytes(*size) {
                NOT_COMPRESSED => rest.len(),
                size => usize::try_from(size).map_err(|_| format!("a buffer that unpacks to {size} bytes"))?,
            },
            (true, None) if !bytes.is_empty() => return Err("a compressed buffer without its size".to_owned()),
            _ => bytes.len(),
        };
        if size % width != 0 {
            return Err(format!("a buffer of {size} bytes for values of {width}"));
        }
        unpacked = unpacked.saturating_add(size);
    }
    if unpacked > MESSAGE_BYTES {
        return Err(format!("it unpacks to {unpacked} bytes, at most {MESSAGE_BYTES} are read"));
    }
    Ok(())
}
