//! Decides by its first bytes whether a connection speaks memcached.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Sender, Signature, Transport};
use plugin_sdk::scan;

use crate::binary::{Header, REQUEST, RESPONSE};
use crate::reply::Replies;
use crate::request::{self, Style};
use crate::vocabulary::Name;

/// The default port.
const PORT: u16 = 11211;

/// Number of bytes of a call that are captured: a `get` of many keys, or the heads of some values.
const CAPTURE_BYTES: u32 = 2048;

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    let client = |bytes: &[u8]| Signature::client(bytes).tcp();
    let server = |bytes: &[u8]| Signature::server(bytes).tcp();
    let words = [b"get ".as_slice(), b"gets ", b"set ", b"add ", b"cas ", b"mg ", b"ms ", b"delete ", b"incr ", b"gat "];
    let words = words.into_iter().map(client);
    let answers = [b"VALUE ".as_slice(), b"STORED\r\n", b"NOT_FOUND\r\n", b"DELETED\r\n"].into_iter().map(server);
    let binary = [client(&[REQUEST]).on_port(PORT), server(&[RESPONSE]).on_port(PORT)];
    let description = Description::new("memcached").on_port(PORT).capture_bytes(CAPTURE_BYTES);
    words.chain(answers).chain(binary).fold(description, Description::signature)
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    let (bytes, is_usual) = (beginning.payload, beginning.server_port == PORT);
    if beginning.transport != Transport::Tcp {
        return Opinion::No;
    }
    match bytes.first() {
        Some(&magic @ (REQUEST | RESPONSE)) => recognise_binary(magic, bytes, is_usual),
        Some(_) => match (recognise_client(bytes, is_usual), beginning.sender) {
            (Opinion::No, None | Some(Sender::Server)) => recognise_server(bytes, is_usual),
            (_, Some(Sender::Server)) => recognise_server(bytes, is_usual),
            (opinion, _) => opinion,
        },
        None => Opinion::Unsure,
    }
}

fn recognise_binary(magic: u8, bytes: &[u8], is_usual: bool) -> Opinion {
    let Some(header) = Header::read(bytes) else { return if is_usual { Opinion::Unsure } else { Opinion::No } };
    let (name, _) = Name::of_opcode(header.opcode);
    // The data type is always 0, and keys have at most 250 bytes.
    let is_likely = header.is_sound() && name != Name::default() && bytes.get(5) == Some(&0) && header.key <= 250;
    match (is_likely, magic) {
        (false, _) => Opinion::No,
        (true, REQUEST) => Opinion::FromClient,
        (true, _) => Opinion::FromServer,
    }
}

fn recognise_client(bytes: &[u8], is_usual: bool) -> Opinion {
    let Some((line, _)) = scan::line(bytes) else {
        let is_text = bytes.iter().all(|byte| (b' '..0x7f).contains(byte) || *byte == b'\r');
        return if is_text && bytes.first().is_some_and(u8::is_ascii_lowercase) { Opinion::Unsure } else { Opinion::No };
    };
    let Some(command) = request::first_command(bytes) else { return Opinion::No };
    let words = line.split(|&byte| byte == b' ').count();
    // Redis accepts inline commands as well, `get` and `set` among them; the numbers distinguish memcached.
    let is_telling = match command.name.text() {
        "set" | "add" | "replace" | "append" | "prepend" => words >= 5,
        "cas" => words >= 6,
        "gets" | "gats" => words >= 2,
        "mg" | "ms" | "md" | "ma" => command.style == Style::Meta && words >= 2,
        _ => false,
    };
    if is_usual || is_telling { Opinion::FromClient } else { Opinion::Unsure }
}

fn recognise_server(bytes: &[u8], is_usual: bool) -> Opinion {
    const TYPICAL: [&[u8]; 5] = [b"STORED\r\n", b"NOT_STORED\r\n", b"NOT_FOUND\r\n", b"DELETED\r\n", b"TOUCHED\r\n"];
    let is_value = bytes.starts_with(b"VALUE ") && scan::line(bytes).is_some();
    match Replies::default().next(bytes, usize::from(u16::MAX), &mut 0) {
        Err(_) => Opinion::No,
        _ if is_value || TYPICAL.iter().any(|start| bytes.starts_with(start)) => Opinion::FromServer,
        Ok(Some(_)) if is_usual => Opinion::FromServer,
        Ok(_) => Opinion::Unsure,
    }
}
