//! Decoders of a protocol: their descriptions are checked at bind, their opinions of first bytes at each call.

use std::sync::OnceLock;

use host_model::{
    Beginnings, Decoder, Disowned, FaultKind, Layout, Member, MemberKind, Opinion, Recogniser, Run, Sender, SwitchPoint,
    Transport,
};
use host_plugin::{Component, PluginError, Setup, Step, inspect};

use crate::{ENGINE, build, faulty, layout, told};

fn talker() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| Component::compile(&ENGINE, build::talker(), "file").unwrap())
}

fn recogniser(setup: Setup) -> Result<Box<dyn Recogniser>, PluginError> {
    talker().recogniser(talker().inspection().id("decoder.talk", 1), "talk", &record(), setup)
}

fn decoder(setup: Setup) -> Box<dyn Decoder> {
    talker().decoder(talker().inspection().id("decoder.talk", 1), "talk", &record(), setup).unwrap()
}

/// The members of `struct l7_record` that the guest reads.
fn record() -> Layout {
    let member = |name: &str, offset, size, kind| Member { name: name.into(), offset, size, kind };
    let members = vec![
        member("time_ns", 0, 8, MemberKind::Unsigned),
        member("connection", 8, 8, MemberKind::Unsigned),
        member("payload", 104, 0, MemberKind::Bytes),
    ];
    Layout { name: "l7_record".into(), size: 104, members }
}

/// A run of records, one for each connection and payload.
fn run(records: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (connection, payload) in records {
        let mut record = vec![0; 104];
        record[8..16].copy_from_slice(&connection.to_le_bytes());
        record.extend_from_slice(payload);
        Run::push(&mut bytes, &record);
    }
    bytes
}

fn beginnings(payloads: &[&[u8]]) -> Beginnings {
    let mut beginnings = Beginnings::default();
    payloads.iter().for_each(|payload| beginnings.push(7777, Sender::Client, 6, payload));
    beginnings
}

#[test]
fn a_decoder_of_a_protocol_is_told_by_its_bytes() {
    assert!(inspect(build::talker()).unwrap().protocol);
    assert!(!inspect(build::faulty()).unwrap().protocol);
}

#[test]
fn it_says_what_it_decodes() {
    let recogniser = recogniser(Setup::default()).unwrap();
    let description = recogniser.description();
    assert_eq!(
        (description.name.as_str(), description.ports.as_slice(), description.capture_bytes),
        ("talk", &[7777][..], 512)
    );
    let first = &description.signatures[0];
    assert_eq!((first.sender, first.transport, first.certain), (Sender::Client, Transport::Tcp, true));
    assert!(first.matches(b"PING 1"));
}

#[test]
fn it_is_asked_about_many_connections_at_once() {
    let mut recogniser = recogniser(Setup::default()).unwrap();
    let opinions = recogniser.recognise(&beginnings(&[b"TALK", b"", b"TA", b"TAC", b"TAS", b"x"])).unwrap();
    use Opinion::{No, Unsure, Yes, YesClient, YesServer};
    assert_eq!(opinions, [Yes, No, Unsure, YesClient, YesServer, No]);
    assert!(recogniser.recognise(&Beginnings::default()).unwrap().is_empty());
}

#[test]
fn a_description_that_breaks_the_contract_refuses_the_load() {
    for (way, words) in [
        ("bad-name", "is not the name of a protocol"),
        ("too-many-signatures", "65 signatures; at most 64"),
        ("long-signature", "signature 0 tests 33 bytes"),
        ("short-mask", "the mask of signature 0 has 1 bytes"),
        ("blank-mask", "signature 0 tests nothing"),
        ("far-offset", "signature 0 is at offset 65"),
        ("too-many-ports", "65 ports; at most 64"),
        ("large-capture", "4097 bytes of each call"),
        ("trap-in-describe", "unreachable"),
        ("endless-signatures", "larger than its output may be"),
    ] {
        let error = recogniser(told(way)).err().unwrap_or_else(|| panic!("{way} was taken"));
        assert_eq!(error.step, Step::Bind, "{way}: {error}");
        assert!(error.problem.contains(words), "{way}: {error}");
        assert!(!error.problem.contains('\x1b'), "{error}");
    }
}

#[test]
fn a_decoder_of_no_protocol_recognises_nothing() {
    let error = faulty().recogniser(faulty().inspection().id("decoder.test", 1), "test", &layout(), Setup::default());
    let error = error.err().unwrap();
    assert!(error.problem.contains("decodes no protocol") && error.cure.contains("protocol-plugin"), "{error}");
}

#[test]
fn opinions_that_break_the_contract_are_faults_and_the_host_lives_on() {
    for (way, kind, words) in [
        ("an-opinion-too-many", FaultKind::Contract, "2 opinions on 1 beginnings"),
        ("no-such-opinion", FaultKind::Contract, "invalid opinion 5"),
        ("trap-in-recognise", FaultKind::Trap, "unreachable"),
        ("loop-in-recognise", FaultKind::Deadline, "did not return"),
    ] {
        let mut recogniser = recogniser(told(way)).unwrap();
        let fault = recogniser.recognise(&beginnings(&[b"TALK"])).unwrap_err();
        assert_eq!((fault.step, fault.kind), ("recognise", kind), "{fault}");
        assert!(fault.detail.contains(words), "{fault}");
    }
}

#[test]
fn what_it_disowns_is_told_once_after_the_run() {
    let mut decoder = decoder(Setup::default());
    assert!(decoder.disowned().unwrap().is_empty(), "nothing was decoded");
    let bytes = run(&[(1, b"PING"), (2, b"ALIEN"), (3, b"ALIEN")]);
    decoder.decode(Run::parse(&bytes).unwrap(), &[0]).unwrap();
    let whole = |connection| Disowned { connection, tls: false, from: None };
    assert_eq!(decoder.disowned().unwrap(), [whole(2), whole(3)]);
    assert_eq!(decoder.complete(&[0, 2], &[1]).unwrap().len(), 1, "the run is still known");
    decoder.decode(Run::parse(&run(&[(1, b"PING")])).unwrap(), &[0]).unwrap();
    assert!(decoder.disowned().unwrap().is_empty());
    let bytes = run(&[(1, b"PING"), (4, b"LEFT"), (1, b"PING"), (5, b"SECRET")]);
    decoder.decode(Run::parse(&bytes).unwrap(), &[0]).unwrap();
    let from = |connection, tls, record| Disowned { connection, tls, from: Some(SwitchPoint { record, bytes: 3 }) };
    assert_eq!(decoder.disowned().unwrap(), [from(4, false, 1), from(5, true, 3)]);
}

#[test]
fn disowning_without_end_is_a_fault() {
    for (way, kind, words) in [
        ("disown-too-many", FaultKind::Contract, "it disowns 65537 conversations"),
        ("disown-uneven", FaultKind::Contract, "0 conversations, with 1 values of `tls`"),
        ("disown-odd", FaultKind::Contract, "is 2; it is 0 or 1"),
        ("trap-in-disowned", FaultKind::Trap, "unreachable"),
    ] {
        let mut decoder = decoder(told(way));
        let alien: &[u8] = if way == "disown-odd" { b"ALIEN" } else { b"PING" };
        decoder.decode(Run::parse(&run(&[(1, alien)])).unwrap(), &[0]).unwrap();
        let fault = decoder.disowned().unwrap_err();
        assert_eq!((fault.step, fault.kind), ("disowned", kind), "{fault}");
        assert!(fault.detail.contains(words), "{fault}");
    }
}
