//! Is certain of `PING` and `PONG`, and is asked about conversations that start with `TA`.

use crate::exports::probe::plugin::protocol::{
    Beginnings, Description, DisownedConversations, Guest, Sender, Signature, Transport,
};
use crate::{FOREIGN, Talker, text, told, trap};

impl Guest for Talker {
    fn describe() -> Description {
        if told("trap-in-describe") {
            trap();
        }
        let mut signatures = vec![
            signature(Sender::Client, b"PING", true),
            signature(Sender::Server, b"PONG", true),
            signature(Sender::Either, b"TA", false),
        ];
        if told("too-many-signatures") {
            signatures = vec![signatures[0].clone(); 65];
        } else if told("long-signature") {
            signatures[0].bytes = vec![b'x'; 33];
        } else if told("short-mask") {
            signatures[0].mask = vec![255];
        } else if told("blank-mask") {
            signatures[0].mask = vec![0; 4];
        } else if told("far-offset") {
            signatures[0].offset = 65;
        } else if told("endless-signatures") {
            signatures[0].bytes = vec![b'x'; 32 << 20];
        }
        let name = if told("bad-name") { "\u{1b}[31mTalk".into() } else { text("name").unwrap_or_else(|| "talk".into()) };
        let ports = vec![7777; if told("too-many-ports") { 65 } else { 1 }];
        Description { name, signatures, ports, capture_bytes: if told("large-capture") { 4097 } else { 512 } }
    }

    fn recognise(beginnings: Beginnings) -> Vec<u8> {
        if told("trap-in-recognise") {
            trap();
        }
        while told("loop-in-recognise") {
            std::hint::black_box(());
        }
        let payload = |pair: &[u32]| &beginnings.payloads.bytes[pair[0] as usize..pair[1] as usize];
        let opinion = |payload: &[u8]| match payload {
            [b'T', b'A', b'L', b'K', ..] => 2,
            [b'T', b'A', b'C', ..] => 3,
            [b'T', b'A', b'S', ..] => 4,
            [b'T', b'A'] => 1,
            _ => 0,
        };
        let mut opinions: Vec<u8> = beginnings.payloads.offsets.windows(2).map(|pair| opinion(payload(pair))).collect();
        if told("an-opinion-too-many") {
            opinions.push(0);
        } else if told("no-such-opinion") {
            opinions.fill(5);
        }
        opinions
    }

    fn disowned() -> DisownedConversations {
        if told("trap-in-disowned") {
            trap();
        }
        let foreign = if told("disown-too-many") {
            (0..65_537).map(|connection| (connection, 0, u32::MAX)).collect()
        } else {
            FOREIGN.take()
        };
        let mut tls: Vec<u8> = foreign.iter().map(|&(_, tls, _)| tls).collect();
        if told("disown-uneven") {
            tls.push(0);
        } else if told("disown-odd") {
            tls.fill(2);
        }
        DisownedConversations {
            connections: foreign.iter().map(|&(connection, _, _)| connection).collect(),
            tls,
            records: foreign.iter().map(|&(_, _, record)| record).collect(),
            bytes: foreign.iter().map(|&(_, _, record)| if record == u32::MAX { 0 } else { 3 }).collect(),
        }
    }
}

fn signature(sender: Sender, bytes: &[u8], certain: bool) -> Signature {
    Signature { sender, transport: Transport::Tcp, offset: 0, bytes: bytes.to_vec(), mask: Vec::new(), port: 0, certain }
}
