//! The parts around every protocol: the table, gaps, time, the handover.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use plugin_sdk::conversation::{
    Began, Conversations, Data, Description, Disowned, Emit, Ending, Foreign, Protocol, Queue, Sender, Sheet, Short,
};
use plugin_sdk::testing::{Talk, decoder};
use plugin_sdk::{Config, Decoder, FieldUse, Handover, Signal, State};
use serde::{Deserialize, Serialize};

/// A request and its response are lines; `=9` announces a body of nine bytes, `?` is another protocol, and so are all bytes behind `!`.
struct Lines;

#[derive(Default, Serialize, Deserialize)]
struct Connection {
    asked: Queue<(Began, Short), 4>,
    /// The request of a body.
    body: Option<(Began, Short)>,
    gaps: u32,
}

struct Line {
    word: Short,
    gaps: u32,
}

impl Protocol for Lines {
    type Connection = Connection;
    type Exchange = Line;

    fn description() -> Description {
        Description::new("lines")
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self)
    }

    fn sheet(&self) -> Sheet<Line> {
        Sheet::new("line", Signal::Span)
            .text("word", |line: &Line, out| {
                out.str(&line.word);
            })
            .used(FieldUse::Dimension)
            .u32("gaps", |line| line.gaps)
            .histogram("lines.duration", "How long lines take.", "duration")
    }

    fn weight(connection: &Connection) -> usize {
        connection.asked.len() * 100
    }

    fn data(&mut self, known: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Line>) -> Result<usize, Foreign> {
        let mut done = 0;
        for line in data.bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let word = Short::cut(line.trim_ascii(), 64);
            let began = data.began(done);
            done += line.len();
            match (data.sender, line) {
                (_, [b'?', ..]) => return Err(Foreign::Whole),
                (_, [b'!', ..]) => return Err(Foreign::Behind(done)),
                (Sender::Client, _) => drop(known.asked.push((began, word))),
                (Sender::Server, [b'=', size, ..]) => {
                    known.body = known.asked.pop();
                    return Ok(done + usize::from(size - b'0'));
                }
                (Sender::Server, _) => {
                    if let Some((began, word)) = known.asked.pop() {
                        rows.row(began, data.time_ns, Line { word, gaps: known.gaps });
                    }
                }
            }
        }
        Ok(done)
    }

    fn gone_by(&mut self, known: &mut Connection, _: Sender, time_ns: u64, rows: &mut Emit<'_, Line>) {
        if let Some((began, word)) = known.body.take() {
            rows.row(began, time_ns, Line { word, gaps: known.gaps });
        }
    }

    fn gap(&mut self, known: &mut Connection, _: Sender, _: &mut Emit<'_, Line>) {
        known.gaps += 1;
    }

    fn end(&mut self, known: &mut Connection, why: &Ending, rows: &mut Emit<'_, Line>) {
        let gaps = known.gaps;
        known.asked.give_up(
            why,
            |(began, _)| began,
            |(began, word)| {
                rows.row(*began, why.time_ns(), Line { word: word.clone(), gaps }).unfinished(why);
            },
        );
    }
}

fn talk(port: u16) -> Talk {
    Talk::tcp(&format!("10.0.0.7:{port}"), 7)
}

/// Returns the error and the word of each row, and the number of gaps before it.
fn brief(talk: &Talk, decoder: &mut Conversations<Lines>) -> Vec<String> {
    let word = |word: &str| {
        let (name, value) = word.split_once('=')?;
        ["error.type", "word", "gaps"].contains(&name).then(|| value.to_owned())
    };
    let brief = |row: String| row.split(' ').filter_map(word).collect::<Vec<_>>().join(" ");
    talk.rows_of(decoder).into_iter().map(brief).collect()
}

#[test]
fn a_body_ends_a_row_with_its_last_byte() {
    let talk =
        talk(1).cut(2).client(b"a\n").server(b"=9").cut(9).server(b"\n12345").unread_server(4).client(b"b\n").server(b"c\n");
    assert_eq!(talk.rows::<Lines>(), ["duration=3000000 kind=2 word=a", "duration=1000000 kind=2 word=b"]);
}

#[test]
fn by_default_a_request_waits_as_long_as_its_connection_lives() {
    let slow = talk(1).client(b"a\n").after_ms(3_600_000).tick().server(b"b\n");
    assert_eq!(slow.rows::<Lines>(), ["duration=3600002000000 kind=2 word=a"]);
    let never = talk(1).client(b"a\n").after_ms(3_600_000).tick().end();
    assert_eq!(brief(&never, &mut decoder("{}")), ["connection_closed a"]);
    let day = talk(1).client(b"a\n").after_ms(86_400_000).tick().end();
    assert_eq!(brief(&day, &mut decoder("{}")), ["timeout a"], "there is an end to everything");
}

#[test]
fn a_request_is_given_up_by_silence_and_not_by_age() {
    let half_second = r#"{"timeout": "500ms"}"#;
    for is_client in [true, false] {
        let more = |talk: Talk| if is_client { talk.client(b"x") } else { talk.server(b"x") };
        let busy = (0..5).fold(talk(1).client(b"a\n"), |talk, _| more(talk.after_ms(400)).tick());
        assert_eq!(busy.rows_with::<Lines>(half_second), [""; 0], "something came, again and again");
        let silent = busy.after_ms(500).tick();
        assert_eq!(silent.rows_with::<Lines>(half_second), ["duration=2511000000 kind=2 error.type=timeout word=a"]);
    }
}

#[test]
fn what_comes_after_all_is_told_as_a_late_end_that_no_metric_counts() {
    let half_second = r#"{"timeout": "500ms"}"#;
    let given_up = talk(1).client(b"a\nb\n").after_ms(500).tick();
    let late = given_up.clone().tick().server(b"c\n").client(b"d\n").server(b"e\n").server(b"f\n").end();
    assert_eq!(
        late.rows_with::<Lines>(half_second),
        [
            "duration=501000000 kind=2 error.type=timeout word=a",
            "duration=501000000 kind=2 error.type=timeout word=b",
            "duration=503000000 kind=2 response.late=1 word=a",
            "duration=505000000 kind=2 response.late=1 word=b",
            "duration=2000000 kind=2 word=d",
        ]
    );
    assert_eq!(given_up.end().rows_with::<Lines>(half_second).len(), 2, "the end of the connection tells nothing new");
    let schema = decoder::<Lines>("{}").schema().clone();
    let late = schema.named("response.late").unwrap();
    assert!(schema.metrics.iter().all(|metric| metric.only.iter().any(|only| (only.field, only.equals) == (late, 0))));
    assert_eq!(schema.metrics.len(), 1);
}

#[test]
fn a_successor_knows_for_how_long_nothing_was_heard() {
    let half_second = r#"{"timeout": "500ms"}"#;
    let (mut old, mut new) = (decoder::<Lines>(half_second), decoder::<Lines>(half_second));
    let begun = talk(1).client(b"a\n").after_ms(400).client(b"x");
    assert!(brief(&begun, &mut old).is_empty());
    new.import_state(old.export_state().unwrap()).unwrap();
    let then = |talk: Talk, ms| Talk::clone(&talk).after_ms(ms).tick().records().pop().unwrap();
    let run = |record: Vec<u8>| plugin_sdk::testing::run([record.as_slice()]);
    assert_eq!(new.decode(&run(then(begun.clone(), 400)), &[]).unwrap().rows, 0);
    assert_eq!(new.decode(&run(then(begun, 500)), &[]).unwrap().rows, 1);
}

#[test]
fn the_connection_that_was_silent_longest_is_forgotten_and_its_requests_told_of() {
    let mut decoder = decoder::<Lines>(r#"{"connections": 2}"#);
    let three = talk(1).client(b"a\n").then(&talk(2).client(b"b\n")).then(&talk(3).client(b"c\n"));
    assert_eq!(brief(&three, &mut decoder), ["unfinished a"]);
    assert_eq!(brief(&talk(1).server(b"late\n"), &mut decoder), ["unfinished b"], "the response meets nobody");
}

#[test]
fn what_weighs_too_much_together_is_made_lighter() {
    let mut decoder = decoder::<Lines>(r#"{"buffer_bytes": 350}"#);
    let talks = talk(1).client(b"a\n").then(&talk(2).client(b"b\nc\n")).then(&talk(3).client(b"d\n"));
    assert_eq!(brief(&talks, &mut decoder), ["unfinished a"]);
    let half = [b"e\n".as_slice(), &[b'x'; 300]].concat();
    assert_eq!(
        brief(&talk(3).client(&half), &mut decoder),
        ["unfinished b", "unfinished c", "unfinished d 1", "unfinished e 1"]
    );
    assert_eq!(brief(&talk(2).client(b"f\n").server(b"g\n"), &mut decoder), ["f"]);
}

#[test]
fn plaintext_and_ciphertext_of_a_socket_are_two_conversations_with_one_end() {
    let mut decoder = decoder::<Lines>("{}");
    let both = talk(1).client(b"plain\n").tls().client(b"secret\n").server(b"x\n").end();
    assert_eq!(brief(&both, &mut decoder), ["secret", "connection_closed plain"]);
}

#[test]
fn a_foreign_connection_is_disowned_once_and_then_left_alone() {
    let mut decoder = decoder::<Lines>("{}");
    assert!(brief(&talk(1).client(b"?\n").client(b"a\n").client(b"?\n"), &mut decoder).is_empty());
    assert_eq!(decoder.disowned(), [disowned(1, false, None)]);
    assert!(brief(&talk(1).server(b"b\n").tick().end(), &mut decoder).is_empty());
    assert!(decoder.disowned().is_empty());
}

fn disowned(port: u64, is_tls: bool, from: Option<(u32, u32)>) -> Disowned {
    Disowned { connection: port << 16 | 7, is_tls, from }
}

#[test]
fn of_two_conversations_over_one_connection_the_foreign_one_is_named() {
    let mut decoder = decoder::<Lines>("{}");
    let both = talk(1).client(b"?\n").tls().client(b"a\n").server(b"b\n");
    assert_eq!(brief(&both, &mut decoder), ["a"]);
    assert_eq!(decoder.disowned(), [disowned(1, false, None)]);
    assert_eq!(brief(&talk(2).client(b"a\n").tls().client(b"?\n"), &mut decoder), [""; 0]);
    assert_eq!(decoder.disowned(), [disowned(2, true, None)]);
}

#[test]
fn a_protocol_that_is_left_says_at_which_byte_of_which_call() {
    let asked = || talk(1).client(b"a\n").server(b"b\n").client(b"c\n");
    for (talk, from) in [
        (asked().server(b"!\n").client(b"x"), (4, 0)),
        (asked().server(b"!\nxyz").client(b"x"), (3, 2)),
        (asked().server(b"!").server(b"\nxyz"), (4, 1)),
        (asked().cut(3).server(b"!\nxyz"), (3, 2)),
        (asked().cut(2).server(b"!\nxyz"), (3, 2)),
    ] {
        let mut decoder = decoder::<Lines>("{}");
        assert_eq!(brief(&talk, &mut decoder), ["a", "unfinished c"], "what waits is told");
        assert_eq!(decoder.disowned(), [disowned(1, false, Some(from))]);
    }
}

#[test]
fn what_is_given_back_to_the_same_decoder_is_met_anew() {
    let mut decoder = decoder::<Lines>("{}");
    assert_eq!(brief(&talk(1).client(b"a\n").server(b"!\n"), &mut decoder), ["unfinished a"]);
    assert_eq!(decoder.disowned().len(), 1);
    assert_eq!(brief(&talk(1).client(b"b\n").server(b"c\n"), &mut decoder), ["b"]);
}

#[test]
fn a_row_names_the_process_of_its_last_call_and_the_peer_once_it_is_known() {
    let talk = talk(1).client(b"a\n").server(b"b\n").pid(99).client(b"c\n").peer_local().server(b"d\n");
    let rows = talk.fields::<Lines>();
    let value = |row: usize, name: &str| rows[row].iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!([value(0, "process.pid"), value(1, "process.pid")], ["4711", "99"]);
    assert_eq!(value(0, "correlation"), "0");
    assert_ne!(value(1, "correlation"), "0");
}

#[test]
fn rows_that_were_kept_are_completed_alone() {
    let run = talk(1).client(b"a\nb\nc\n").server(b"1\n2\n3\n").run();
    let mut decoder = decoder::<Lines>("{}");
    let word = decoder.schema().named("word").unwrap();
    assert_eq!(decoder.decode(&run, &[]).unwrap().rows, 3);
    let columns = decoder.complete(&run, &[0, 2], &[word]).unwrap();
    assert_eq!(plugin_sdk::testing::texts(&columns[0]), ["a", "c"]);
    assert!(decoder.complete(&run, &[3], &[word]).is_err());
    assert!(decoder.complete(&run, &[0], &[999]).unwrap_err().contains("no field 999"));
}

/// Returns the words of the rows.
fn said(talk: Talk) -> Vec<String> {
    let word = |row: Vec<(String, String)>| row.into_iter().find(|(name, _)| name == "word").unwrap().1;
    talk.fields::<Lines>().into_iter().map(word).collect()
}

#[test]
fn an_answer_that_was_seen_before_its_question_waits_for_it() {
    let client = || Talk::tcp("10.0.0.7:40000", 80).at_client();
    let two = client().client(b"a\n").server(b"A\n").client(b"b\n").server(b"B\n").swapped();
    assert_eq!(said(two.clone()), ["a", "b"]);
    assert_eq!(two.rows::<Lines>().last().unwrap(), "kind=3 word=b", "it took no time that was seen");
    let first = client().client(b"a\n").server(b"A\n").swapped();
    assert_eq!(said(first.client(b"b\n").server(b"B\n")), ["a", "b"]);
}

#[test]
fn an_answer_whose_question_was_lost_is_not_taken_for_that_of_the_next() {
    let client = || Talk::tcp("10.0.0.7:40000", 80).at_client();
    let lost = client().client(b"a\n").server(b"A\n").lost_client(2).server(b"LOST\n");
    assert_eq!(said(lost.clone().client(b"b\n").server(b"B\n")), ["a", "b"]);
    let rows = lost.clone().after_ms(2000).tick().client(b"b\n").server(b"B\n").rows::<Lines>();
    assert_eq!(rows.last().unwrap(), "duration=1000000 kind=3 word=b gaps=1");
    let many = (0..40).fold(lost, |talk, _| talk.server(b"LOST\n"));
    assert_eq!(said(many.client(b"b\n").server(b"B\n")), ["a", "b"], "there is an end to what waits");
    let old = client().lost_client(2).server(b"OLD\n").client(b"a\n").server(b"A\n");
    assert_eq!(said(old), ["a"]);
}

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    let talk = talk(1).client(b"first\nsec").server(b"=9\nbody").client(b"ond\n").server(b"rest.\nx\n").server(b"y\n");
    let records = talk.records();
    let whole = talk.rows::<Lines>();
    assert_eq!(whole.len(), 2);
    for swap in 0..records.len() {
        let mut rows = Vec::new();
        let mut live = decoder::<Lines>("{}");
        for (index, record) in records.iter().enumerate() {
            if index == swap {
                let state = live.export_state().unwrap();
                live = decoder::<Lines>("{}");
                live.import_state(state).unwrap();
            }
            let run = plugin_sdk::testing::run([record.as_slice()]);
            rows.push(live.decode(&run, &[]).unwrap().rows);
        }
        assert_eq!(rows.iter().sum::<u32>(), 2, "swapped before record {swap}: {rows:?}");
    }
}

#[test]
fn state_of_another_version_or_that_is_cut_is_refused() {
    let mut old = decoder::<Lines>("{}");
    assert!(brief(&talk(1).client(b"a\n"), &mut old).is_empty());
    let state = old.export_state().unwrap();
    let mut new = decoder::<Lines>("{}");
    let other = State { version: state.version + 1, bytes: state.bytes.clone() };
    assert!(new.import_state(other).unwrap_err().contains("version 0x30002, and this reads 0x30001"));
    let cut = State { version: state.version, bytes: state.bytes[..9].to_vec() };
    assert!(new.import_state(cut).unwrap_err().contains("cut short"));
    new.import_state(state).unwrap();
    assert_eq!(brief(&talk(1).server(b"b\n"), &mut new), ["a"]);
}

#[test]
fn a_table_that_is_larger_than_a_state_may_be_hands_over_the_newest() {
    let mut old = decoder::<Lines>(r#"{"connections": 65536}"#);
    let word = [vec![b'w'; 60], b"\n".to_vec()].concat();
    for connection in 0..50_000_u64 {
        let run = talk(1).connection(connection).client(&word).run();
        old.decode(&run, &[]).unwrap();
    }
    let state = old.export_state().unwrap();
    assert!(state.bytes.len() <= 4 << 20, "{}", state.bytes.len());
    let mut new = decoder::<Lines>(r#"{"connections": 65536}"#);
    new.import_state(state).unwrap();
    assert_eq!(brief(&talk(1).connection(49_999).server(b"x\n"), &mut new).len(), 1);
    assert_eq!(brief(&talk(1).connection(0).server(b"x\n"), &mut new).len(), 0);
}

#[test]
fn what_is_no_record_is_undecodable_by_its_place() {
    let mut decoder = decoder::<Lines>("{}");
    let mut records = talk(1).client(b"a\n").server(b"b\n").records();
    records.insert(0, vec![0; 50]);
    records[1][46] = 77;
    let decoded = decoder.decode(&plugin_sdk::testing::run(records.iter().map(Vec::as_slice)), &[]).unwrap();
    assert_eq!((decoded.rows, decoded.undecodable), (0, vec![0, 1]));
}
