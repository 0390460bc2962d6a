//! The component in the host: conversations, and the rows they become.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use std::sync::LazyLock;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};
use host_model::{
    Beginnings, ColumnType, Decoder, Digest, Disowned, Layout, Member, MemberKind, Opinion, PluginId, Run, Sender,
};
use host_plugin::{Component, Engine, Setup};
use plugin_sdk::testing::{Mutations, Talk, header_layout};

const HEADER: &str = include_str!("../../../bpf/l7/record.h");

const GET: u8 = 1;
const ADD: u8 = 2;
const ANSWER: u8 = 0x80;

fn component() -> &'static Component {
    static COMPILED: LazyLock<Component> =
        LazyLock::new(|| Component::compile(&Engine::new().unwrap(), protocol_c::COMPONENT, "file").unwrap());
    &COMPILED
}

fn id() -> PluginId {
    let (slot, name, version) = ("decoder.tally".into(), "decoder-tally".into(), "0.1.0".into());
    PluginId { slot, name, version, digest: Digest([0; 32]), generation: 1 }
}

/// The layout of the record in the object.
fn layout() -> Layout {
    let layout = header_layout(HEADER, "l7_record").unwrap();
    let kind = |kind| match kind {
        plugin_sdk::MemberKind::Unsigned => MemberKind::Unsigned,
        plugin_sdk::MemberKind::Signed => MemberKind::Signed,
        plugin_sdk::MemberKind::Chars => MemberKind::Chars,
        plugin_sdk::MemberKind::Bytes => MemberKind::Bytes,
    };
    let members = layout.members.into_iter();
    let members =
        members.map(|member| Member { kind: kind(member.kind), name: member.name, offset: member.offset, size: member.size });
    Layout { name: layout.name, size: layout.size, members: members.collect() }
}

fn decoder() -> Box<dyn Decoder> {
    component().decoder(id(), "l7", &layout(), Setup::default()).unwrap()
}

/// Returns every row of a conversation: each field that is neither 0 nor empty, as text.
fn rows(decoder: &mut dyn Decoder, run: &[u8]) -> Vec<String> {
    let schema = decoder.schema().clone();
    let fields: Vec<usize> = (0..schema.fields.len()).collect();
    let decoded = decoder.decode(Run::parse(run).unwrap(), &fields).unwrap();
    assert_eq!(decoded.undecodable, [0_u32; 0]);
    let word = |field: usize, row: usize| {
        let column: &ArrayRef = decoded.batch.columns[field].as_ref().unwrap();
        match schema.fields[field].column_type {
            ColumnType::Text => column.as_string::<i32>().value(row).to_owned(),
            ColumnType::U32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
            ColumnType::U64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
            _ if column.as_boolean_opt().is_some() => u8::from(column.as_boolean().value(row)).to_string(),
            _ => column.as_primitive::<UInt8Type>().value(row).to_string(),
        }
    };
    let row = |row| {
        let words = fields.iter().map(|&field| (&*schema.fields[field].name, word(field, row)));
        words
            .filter(|(_, word)| !matches!(&**word, "" | "0"))
            .map(|(name, word)| format!("{name}={word}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    (0..decoded.batch.rows).map(row).collect()
}

/// Returns the request, its outcome, and the number of calls.
fn told(talk: &Talk) -> Vec<String> {
    let of = |row: &str, name: &str| row.split(' ').find_map(|word| word.strip_prefix(name)).unwrap_or("-").to_owned();
    let told = |row: &String| {
        let ended = [of(row, "response.status="), of(row, "error.type=")].join(" ");
        format!("{} {ended} {}", of(row, "request.method="), of(row, "duration=").trim_end_matches("000000"))
    };
    rows(&mut *decoder(), &talk.run()).iter().map(told).collect()
}

fn frame(operation: u8, status: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let ([a, b], [c, d]) = (number.to_be_bytes(), (body.len() as u16).to_be_bytes());
    [&[0xc7, 0x54, operation, status, a, b, c, d], body].concat()
}

fn ask(operation: u8, number: u16) -> Vec<u8> {
    frame(operation, 0, number, b"secret/counter")
}

fn answer(operation: u8, status: u8, number: u16) -> Vec<u8> {
    frame(operation | ANSWER, status, number, b"secret 42")
}

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 7547)
}

#[test]
fn a_request_becomes_this_row() {
    let rows = rows(&mut *decoder(), &talk().peer_local().client(&ask(GET, 1)).server(&answer(GET, 1, 1)).run());
    let (correlation, rest): (Vec<_>, Vec<_>) = rows[0].split(' ').partition(|word| word.starts_with("correlation="));
    assert_eq!(
        rest.join(" "),
        "time=1000000 duration=1000000 error.type=not_found kind=2 request.method=get response.status=not_found \
         server.address=10.0.0.1 server.port=7547 client.address=10.0.0.7 client.port=40000 network.transport=tcp \
         network.protocol.name=tally process.pid=4711 process.executable.name=nginx linux.cgroup.id=77 tally.response.size=9"
    );
    assert_eq!((rows.len(), correlation.len()), (1, 1));
}

#[test]
fn both_ends_give_a_request_the_same_number() {
    let conversation = |talk: Talk| talk.client(&ask(GET, 1)).server(&answer(GET, 0, 1)).run();
    let number = |talk| {
        let row = rows(&mut *decoder(), &conversation(talk)).remove(0);
        row.split(' ').find(|word| word.starts_with("correlation=")).map(str::to_owned)
    };
    assert_eq!(number(talk().at_client()), number(talk().peer_local()));
    assert!(number(talk().at_client()).is_some() && number(talk()).is_none(), "a server whose client is elsewhere has none");
}

#[test]
fn answers_may_come_in_any_order_and_frames_in_any_parts() {
    let asked = [ask(GET, 1), ask(ADD, 2), ask(GET, 3)].concat();
    let answered = [answer(GET, 0, 3), answer(ADD, 2, 2), answer(GET, 0, 1)].concat();
    let expected = ["get ok - 1", "add refused refused 1", "get ok - 1"];
    assert_eq!(told(&talk().client(&asked).server(&answered)), expected);
    for at in 1..asked.len() {
        assert_eq!(told(&talk().client(&asked[..at]).client(&asked[at..]).server(&answered)).len(), 3, "{at}");
    }
    for at in 1..answered.len() {
        assert_eq!(told(&talk().client(&asked).server(&answered[..at]).server(&answered[at..])).len(), 3, "{at}");
    }
}

#[test]
fn bodies_go_by_and_bytes_that_are_missing_are_got_over() {
    let long = frame(GET | ANSWER, 0, 1, &[0xc7; 60_000]);
    let (first, rest) = long.split_at(20_000);
    let asked = |cut| talk().cut(cut).client(&ask(GET, 1)).client(&ask(ADD, 2)).server(first);
    for cut in [8, 128, 4096] {
        assert_eq!(told(&asked(cut).server(rest).server(&answer(ADD, 0, 2))), ["get ok - 2", "add ok - 3"], "{cut}");
    }
    let rest = [rest, &answer(ADD, 0, 2)].concat();
    let cut = asked(128).server(&rest).client(&ask(GET, 3)).server(&answer(GET, 0, 3)).end();
    assert_eq!(told(&cut), ["get ok - 2", "get ok - 1", "add - connection_closed 5"], "the second answer is not captured");
    let lost = talk().client(&ask(GET, 1)).lost_server(17).client(&ask(GET, 2)).server(&answer(GET, 0, 2)).end();
    assert_eq!(told(&lost), ["get ok - 1", "get - connection_closed 4"]);
}

#[test]
fn what_has_no_end_is_told_and_marked() {
    let waits = talk().client(&ask(GET, 1));
    assert_eq!(told(&waits.clone().end()), ["get - connection_closed 1"]);
    assert_eq!(told(&waits.clone().after_ms(3_600_000).tick().server(&answer(GET, 0, 1))).len(), 1, "it is slow, and no error");
    let busy = waits.clone().after_ms(86_000_000).client(&ask(ADD, 2)).after_ms(400_001).tick();
    assert_eq!(told(&busy), [""; 0], "something came within the day");
    assert_eq!(told(&waits.clone().after_ms(86_400_000).tick().end()), ["get - timeout 86400001"]);
    assert_eq!(told(&waits.flush()), ["get - unfinished 1"]);
}

#[test]
fn nothing_of_a_body_leaves() {
    let rows = rows(&mut *decoder(), &talk().client(&ask(ADD, 7)).server(&answer(ADD, 3, 7)).run());
    assert!(rows[0].contains("error.type=failed") && !rows[0].contains("secret"), "{rows:?}");
}

#[test]
fn the_host_is_told_what_to_look_for_and_what_was_something_else() {
    let recogniser = component().recogniser(id(), "l7", &layout(), Setup::default());
    let mut recogniser = recogniser.unwrap();
    assert_eq!((&*recogniser.description().name, &recogniser.description().ports[..]), ("tally", &[7547][..]));
    let mut beginnings = Beginnings::default();
    for payload in [&ask(GET, 1)[..], &answer(GET, 0, 1), b"GET / HTTP/1.1\r\n", b"\xc7\x54"] {
        beginnings.push(7547, Sender::Either, 6, payload);
    }
    let opinions = recogniser.recognise(&beginnings).unwrap();
    assert_eq!(opinions, [Opinion::YesClient, Opinion::YesServer, Opinion::No, Opinion::Unsure]);
    let mut decoder = decoder();
    assert!(rows(&mut *decoder, &talk().client(b"GET / HTTP/1.1\r\n").run()).is_empty());
    assert_eq!(decoder.disowned().unwrap(), [Disowned { connection: 40_000 << 16 | 7547, tls: false, from: None }]);
}

#[test]
fn a_record_of_another_shape_and_settings_are_refused() {
    let mut other = layout();
    other.members.iter_mut().find(|member| member.name == "sequence").unwrap().offset = 28;
    assert!(component().decoder(id(), "l7", &other, Setup::default()).err().unwrap().to_string().contains("sequence"));
    let setup = Setup { config: r#"{"timeout": "1s"}"#.into(), ..Setup::default() };
    assert!(component().decoder(id(), "l7", &layout(), setup).err().unwrap().to_string().contains("no settings"));
}

#[test]
fn mutated_conversations_are_survived() {
    let asked = [ask(GET, 1), ask(ADD, 2), ask(4, 3)].concat();
    let answered = [answer(GET, 0, 1), answer(ADD, 2, 2), answer(4, 0, 3)].concat();
    let talks = [
        talk().client(&asked).server(&answered).client(&ask(GET, 9)).end(),
        talk().at_client().tls().client(&asked[..30]).client(&asked[30..]).server(&answered).tick().flush(),
    ];
    let mut mutations = Mutations::new(talks.iter().map(Talk::records).collect(), 3);
    let mut decoder = decoder();
    let fields: Vec<usize> = (0..decoder.schema().fields.len()).collect();
    let mut all = 0;
    for _ in 0..20_000 {
        let run = plugin_sdk::testing::run(mutations.next().iter().map(Vec::as_slice));
        all += decoder.decode(Run::parse(&run).unwrap(), &fields).unwrap().batch.rows;
    }
    assert!(all > 20_000, "{all}");
}
