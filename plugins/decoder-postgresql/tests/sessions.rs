//! Sessions as drivers conduct them, and invalid ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_postgresql::PostgreSql;
use plugin_sdk::testing::Talk;

mod wire;
use wire::{READY, bind, done, execute, m, parse, query, session, sync, told};

#[test]
fn what_is_encrypted_from_now_on_is_given_back_and_a_refusal_goes_on() {
    let ask = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    let refused = Talk::tcp("10.0.0.7:40000", 5432).client(&ask).server(b"N");
    let startup = b"\0\0\0\x13\0\x03\0\0user\0bench\0\0";
    let refused = refused.client(startup).server(READY).client(&query("SELECT 1")).server(&done("SELECT 1"));
    assert_eq!(told(refused), ["SELECT 1"]);
    let granted = Talk::tcp("10.0.0.7:40000", 5432).client(&ask).server(b"S").client(b"\x16\x03\x01\0\x05hello");
    let mut decoder = plugin_sdk::testing::decoder::<PostgreSql>("{}");
    assert!(granted.rows_of(&mut decoder).is_empty());
    let disowned: Vec<_> = decoder.disowned().iter().map(|of| (of.connection, of.is_tls, of.from)).collect();
    assert_eq!(disowned, [(u64::from(40000_u16) << 16 | 5432, false, Some((2, 0)))]);
    assert_eq!(told(Talk::tcp("10.0.0.7:40000", 5432).client(b"\0\0\0\x10\x04\xd2\x16\x2e12345678")), [""; 0]);
}

#[test]
fn a_bind_without_the_nul_that_ends_its_names_is_survived() {
    let broken = m(b'B', b"no nul in here");
    let talk = session().client(&[&parse("", "SELECT 1")[..], &broken, &execute(""), &sync()].concat());
    let talk = talk.server(&[&m(b'1', b"")[..], &m(b'E', b"SERROR\0C08P01\0Mno\0\0"), READY].concat());
    assert_eq!(told(talk.client(&query("BEGIN")).server(&done("BEGIN"))), ["postgresql 1 08P01", "BEGIN 1"]);
    for body in [&b"\0"[..], b"", b"\0\0", b"\xff\xff\xff\xff"] {
        for tag in *b"BPECDQFdcfpSHX" {
            let talk = session().client(&m(tag, body)).server(&m(b'E', body)).server(&m(b'C', body)).server(READY);
            let _ = told(talk.client(&query("SELECT 1")).server(&done("SELECT 1")));
        }
    }
}

#[test]
fn a_pipeline_has_a_row_for_each_execution_and_one_that_failed_aborts_those_behind_it() {
    let one = |table: &str| [parse("", &format!("SELECT a FROM {table}")), bind("", ""), execute("")].concat();
    let talk = session().client(&[one("t"), one("u"), sync(), one("v"), sync()].concat());
    let answers = [m(b'1', b""), m(b'2', b""), m(b'C', b"SELECT 3\0")].concat();
    let talk = talk.server(&answers).server(&[&answers[..], READY].concat()).server(&[&answers[..], READY].concat());
    assert_eq!(told(talk), ["SELECT t 1", "SELECT u 2", "SELECT v 3"]);
    let talk = session().client(&[one("t"), one("nowhere"), one("u"), sync(), one("v"), sync()].concat());
    let failed = [&answers[..], &m(b'E', b"SERROR\0C42P01\0Mno\0\0"), READY, &answers, READY].concat();
    assert_eq!(told(talk.server(&failed)), ["SELECT t 1", "SELECT nowhere 1 42P01", "SELECT u 1 aborted", "SELECT v 1"]);
}

#[test]
fn a_named_statement_is_known_until_it_is_closed() {
    let prepare = [parse("s1", "UPDATE t SET a = $1"), sync()].concat();
    let talk = session().client(&prepare).server(&[&m(b'1', b"")[..], READY].concat());
    let run = [bind("", "s1"), execute(""), sync()].concat();
    let ran = [m(b'2', b""), done("UPDATE 1")].concat();
    let talk = talk.client(&run).server(&ran).client(&[m(b'C', b"Ss1\0"), sync()].concat()).server(READY);
    assert_eq!(told(talk.client(&run).server(&ran)), ["UPDATE t 1", "postgresql 1"]);
    let failed = session().client(&[parse("s2", "SELECT a FROM nowhere"), sync()].concat());
    assert_eq!(told(failed.server(&[&m(b'E', b"C42P01\0\0")[..], READY].concat())), ["SELECT nowhere 1 42P01"]);
}

#[test]
fn a_portal_that_is_fetched_in_parts_has_a_row_for_each() {
    let begin = [parse("", "SELECT a FROM t"), bind("p", ""), execute("p"), m(b'H', b"")].concat();
    let talk = session().client(&begin).server(&[m(b'1', b""), m(b'2', b""), m(b's', b"")].concat());
    assert_eq!(told(talk.client(&[execute("p"), sync()].concat()).server(&done("SELECT 7"))), ["SELECT t 1", "SELECT t 1"]);
}

#[test]
fn replication_is_told_when_it_begins_and_what_streams_is_nobody_s_answer() {
    let talk = session().client(&query("START_REPLICATION 0/0")).server(&m(b'W', &[0; 3])).server(&m(b'd', b"wal"));
    assert_eq!(told(talk.client(&m(b'd', b"status")).server(&m(b'd', b"wal"))), ["_OTHER 1"]);
}

#[test]
fn notices_and_notifications_come_at_any_time() {
    let noise =
        [m(b'N', b"SNOTICE\0C00000\0Msecret\0\0"), m(b'S', b"TimeZone\0UTC\0"), m(b'A', b"\0\0\0\x01news\0secret\0")].concat();
    let talk = session().server(&noise).client(&query("SELECT 1")).server(&[&noise[..], &done("SELECT 1"), &noise].concat());
    assert_eq!(told(talk.server(&noise).client(&query("COMMIT")).server(&done("COMMIT"))), ["SELECT 1", "COMMIT 1"]);
}

#[test]
fn messages_may_be_torn_anywhere() {
    let (asked, answered) = (query("SELECT a FROM t"), done("SELECT 1"));
    for at in 1..asked.len() {
        for to in 1..answered.len() {
            let talk = session().client(&asked[..at]).client(&asked[at..]).server(&answered[..to]).server(&answered[to..]);
            assert_eq!(told(talk), ["SELECT t 3"], "{at} {to}");
        }
    }
}

#[test]
fn a_result_whose_end_is_not_captured_ends_with_its_last_call() {
    let row = m(b'D', &[b"\0\x01\0\0\0\x28", &[b'x'; 40][..]].concat());
    let result = [row.repeat(200), done("SELECT 200")].concat();
    let (first, rest) = result.split_at(6000);
    let talk = session().cut(256).client(&query("SELECT a FROM t")).server(first).server(rest);
    assert_eq!(told(talk.clone().client(&query("COMMIT")).server(&done("COMMIT"))), ["SELECT t 2", "COMMIT 1"]);
    assert_eq!(told(talk), ["SELECT t 2"], "and no connection_closed");
    let (first, rest) = result.split_at(result.len() - 100);
    let talk = session().cut(256).client(&query("SELECT a FROM t")).server(first).server(rest);
    assert_eq!(told(talk.client(&query("COMMIT")).server(&done("COMMIT"))), ["SELECT t 2", "COMMIT 1"]);
}

#[test]
fn an_answer_that_is_lost_ends_before_the_client_asks_anew() {
    let talk = session().client(&query("SELECT a FROM t")).lost_server(66).client(&query("BEGIN")).server(&done("BEGIN"));
    assert_eq!(told(talk.client(&query("COMMIT")).server(&done("COMMIT"))), ["SELECT t 2", "BEGIN 1", "COMMIT 1"]);
}

#[test]
fn an_execution_behind_a_value_that_is_not_captured_is_counted_when_it_is_answered() {
    let value = [b"\0\0\0\0\0\x01\0\0\x13\x88", &[b'v'; 5000][..], b"\0\0"].concat();
    let run = [parse("", "INSERT INTO t VALUES ($1)"), m(b'B', &value), execute(""), sync()].concat();
    let talk = session().cut(256).client(&run).server(&[m(b'1', b""), m(b'2', b""), done("INSERT 0 1")].concat());
    assert_eq!(told(talk.client(&query("COMMIT")).server(&done("COMMIT"))), ["INSERT t 1", "COMMIT 1"]);
}

#[test]
fn a_session_older_than_the_host_is_understood_from_its_next_statement() {
    let talk = Talk::tcp("10.0.0.7:40000", 5432).server(b"half of a row").server(&done("SELECT 4"));
    assert_eq!(told(talk.client(&query("SELECT a FROM t")).server(&done("SELECT 1"))), ["SELECT t 1"]);
}

#[test]
fn what_is_never_understood_is_given_back() {
    let mut decoder = plugin_sdk::testing::decoder::<PostgreSql>("{}");
    let strange = (0..10).fold(Talk::tcp("10.0.0.7:40000", 5432), |talk, _| talk.client(b"GET / HTTP/1.1\r\n\r\n"));
    assert!(strange.rows_of(&mut decoder).is_empty());
    assert_eq!(decoder.disowned().len(), 1);
}

#[test]
fn a_statement_that_takes_long_is_no_error_unless_a_timeout_is_set() {
    let talk = session().client(&query("SELECT a FROM t")).after_ms(40_000).tick();
    let talk = talk.server(&done("SELECT 1")).client(&query("COMMIT")).server(&done("COMMIT")).end();
    assert_eq!(told(talk.clone()), ["SELECT t 40002", "COMMIT 1"]);
    let impatient = talk.rows_with::<PostgreSql>(r#"{"timeout": "30s"}"#);
    let has = |row: usize, word: &str| impatient[row].split(' ').any(|known| known == word);
    assert!(has(0, "error.type=timeout") && has(0, "t") && !has(0, "response.late=1"), "{impatient:?}");
    assert!(has(1, "response.late=1") && has(1, "t") && has(1, "db.response.returned_rows=1"), "{impatient:?}");
    assert!(has(2, "name=COMMIT") && impatient.len() == 3, "{impatient:?}");
    assert_eq!(self::told(session().client(&query("SELECT a FROM t"))), ["SELECT t 1 connection_closed"]);
}

#[test]
fn a_client_that_only_asks_does_not_fill_the_memory() {
    let many = [bind("", ""), execute("")].concat().repeat(60);
    let talk = (0..100).fold(session(), |talk, _| talk.client(&many));
    assert_eq!(told(talk).len(), 6000);
}

#[test]
fn backslashes_are_read_as_the_server_says() {
    let says = |value: &str| m(b'S', format!("standard_conforming_strings\0{value}\0").as_bytes());
    for (value, text) in [("off", "SELECT ?, a"), ("on", "SELECT ?, ?y?")] {
        let talk = session().server(&says(value)).client(&query("SELECT 'x\\', ''y', a -- '")).server(&done("SELECT 1"));
        let row = talk.fields::<PostgreSql>().remove(0);
        assert_eq!(row.iter().find(|(name, _)| name == "db.query.text").unwrap().1, text);
    }
}
