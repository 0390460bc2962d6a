//! A request body made of shared frames without a copy, and a response body that is read up to a cap.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// Maximum bytes read of a response. A partial success is a number and a sentence.
pub(crate) const RESPONSE: usize = 64 << 10;

/// Frames, sent one after the other.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: VecDeque<Bytes>,
    left: u64,
}

// === impl Frames ===

impl Frames {
    pub(crate) fn new(frames: impl IntoIterator<Item = Bytes>) -> Self {
        let frames: VecDeque<Bytes> = frames.into_iter().filter(|frame| !frame.is_empty()).collect();
        let left = frames.iter().map(|frame| frame.len() as u64).sum();
        Self { frames, left }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames.pop_front();
        self.left -= frame.as_ref().map_or(0, |frame| frame.len() as u64);
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Compresses the frames into one gzip stream.
pub(crate) fn gzip(frames: &[Bytes]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a vector cannot fail.
    for frame in frames {
        let _ = encoder.write_all(frame);
    }
    encoder.finish().unwrap_or_default().into()
}

/// Reads the data of a response, and its trailers. The data is None if it is longer than the cap.
pub(crate) async fn read<B>(body: B) -> Result<(Option<Vec<u8>>, Option<HeaderMap>), B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut data = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(bytes) if data.len() + bytes.len() > RESPONSE => return Ok((None, None)),
            Ok(bytes) => data.extend_from_slice(&bytes),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((Some(data), trailers))
}
