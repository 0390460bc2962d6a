//! Frames that no real program would send, or not when it is asked to.

/// What a client begins with, and empty SETTINGS.
pub(crate) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, b"").as_slice()].concat()
}

/// A frame of this type, with these flags, on this stream.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of these fields, none of which goes into a table.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                len @ ..127 => block.push(len as u8),
                // A number that seven bits do not hold goes on in the bytes behind (RFC 7541, 5.1).
                len => block.extend([127, ((len - 127) % 128) as u8 | 128, ((len - 127) / 128) as u8]),
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// HEADERS of a request for this path, with nothing behind it.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path)];
    frame(1, 0x5, stream, &block(&fields))
}

/// HEADERS of a response with this status; a body follows unless it is the last frame.
pub(crate) fn answer(stream: u32, status: &str, is_last: bool) -> Vec<u8> {
    frame(1, 0x4 | u8::from(is_last), stream, &block(&[(":status", status)]))
}
