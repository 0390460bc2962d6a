//! Pipelines that were captured in part, and statements that could not be prepared.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use plugin_sdk::testing::Talk;
use wire::{READY, bind, column, done, execute, failed, m, parse, query, session, sync, told};

fn run() -> Vec<u8> {
    [bind("", "s"), execute("")].concat()
}

fn ran() -> Vec<u8> {
    [m(b'2', b""), m(b'C', b"INSERT 0 1\0")].concat()
}

/// An `executemany` of a hundred rows, of which 200 bytes of the client's call are captured.
fn many(answers: &[u8]) -> Talk {
    let prepare = [parse("s", "INSERT INTO t VALUES ($1)"), sync()].concat();
    let talk = session().client(&prepare).server(&[&m(b'1', b"")[..], READY].concat());
    talk.cut(200).client(&[run().repeat(100), sync()].concat()).cut(usize::MAX).server(answers)
}

/// Whether this is the number of bytes that were not captured, without the end of a message whose beginning was.
fn is_rest(unread: u64) -> bool {
    let missing = run().len() as u64 * 100 + 5 - 200;
    (missing - run().len() as u64..=missing).contains(&unread)
}

#[test]
fn statements_that_were_not_captured_are_counted_by_their_answers() {
    let talk = many(&[&ran().repeat(100)[..], READY].concat()).client(&query("COMMIT")).server(&done("COMMIT"));
    let sizes: u64 =
        column(talk.clone(), "db.operation.batch.size").iter().map(|size| size.parse::<u64>().unwrap().max(1)).sum();
    assert_eq!(sizes, 101, "a hundred and the COMMIT");
    let told = told(talk.clone());
    assert_eq!(told.last().unwrap(), "COMMIT 1");
    assert!(told.contains(&"INSERT 1".to_owned()) && told.contains(&"INSERT t 1".to_owned()), "{told:?}");
    let unread: Vec<u64> =
        column(talk, "postgresql.unread_bytes").iter().map(|bytes| bytes.parse().unwrap()).filter(|bytes| *bytes > 0).collect();
    assert!(unread.len() == 1 && is_rest(unread[0]), "{unread:?}");
}

#[test]
fn where_the_answers_are_cut_too_what_was_not_read_is_marked() {
    let prepare = [parse("s", "INSERT INTO t VALUES ($1)"), sync()].concat();
    let talk = session().client(&prepare).server(&[&m(b'1', b"")[..], READY].concat()).cut(200);
    let talk = talk.client(&[run().repeat(100), sync()].concat()).server(&[&ran().repeat(100)[..], READY].concat());
    let talk = talk.client(&query("COMMIT")).server(&done("COMMIT"));
    let unread: u64 = column(talk.clone(), "postgresql.unread_bytes").iter().map(|bytes| bytes.parse::<u64>().unwrap()).sum();
    assert!(is_rest(unread), "{unread}");
    assert_eq!(told(talk).last().unwrap(), "COMMIT 1");
}

#[test]
fn all_calls_of_a_pipeline_are_marked_and_no_byte_twice() {
    let prepare = [parse("s", "INSERT INTO t VALUES ($1)"), sync()].concat();
    let mut talk = session().client(&prepare).server(&[&m(b'1', b"")[..], READY].concat()).cut(100);
    let all = [run().repeat(100), sync()].concat();
    for call in all.chunks(500) {
        talk = talk.client(call).server(&ran().repeat(10));
    }
    let talk = talk.server(READY).client(&query("COMMIT")).server(&done("COMMIT"));
    let unread: u64 = column(talk.clone(), "postgresql.unread_bytes").iter().map(|bytes| bytes.parse::<u64>().unwrap()).sum();
    assert!(unread as usize <= all.len() && unread as usize > all.len() * 7 / 10, "{unread} of {}", all.len());
    assert_eq!(told(talk).last().unwrap(), "COMMIT 1");
}

#[test]
fn an_error_among_what_was_not_captured_is_told() {
    let answers = [&ran().repeat(20)[..], &failed("23505"), READY].concat();
    let talk = many(&answers).client(&query("ROLLBACK")).server(&done("ROLLBACK"));
    let told = told(talk);
    assert!(told.iter().any(|row| row.ends_with(" 23505")) && told.last().unwrap() == "ROLLBACK 1", "{told:?}");
}

#[test]
fn one_value_that_goes_beyond_the_capture_is_one_statement_and_nothing_unread() {
    let value = [b"\0\0\0\0\0\x01\0\0\x13\x88", &[b'v'; 5000][..], b"\0\0"].concat();
    let all = [parse("", "INSERT INTO t VALUES ($1)"), m(b'B', &value), execute(""), sync()].concat();
    let talk = session().cut(256).client(&all).server(&[m(b'1', b""), m(b'2', b""), done("INSERT 0 1")].concat());
    assert_eq!(column(talk, "postgresql.unread_bytes"), ["0"]);
}

#[test]
fn a_query_of_several_statements_is_as_large_as_it_is_answered() {
    let sql = "INSERT INTO t VALUES (1, 'a value');".repeat(50);
    let talk = session().cut(300).client(&query(&sql)).cut(usize::MAX);
    let talk = talk.server(&[&m(b'C', b"INSERT 0 1\0").repeat(50)[..], READY].concat());
    assert_eq!(column(talk, "db.operation.batch.size"), ["50"]);
}

#[test]
fn of_two_that_are_to_be_prepared_the_one_that_fails_is_told() {
    let two = [parse("a", "SELECT a FROM aaa"), parse("b", "SELECT b FROM bbb"), sync()].concat();
    let first = session().client(&two).server(&[&failed("42P01")[..], READY].concat());
    assert_eq!(told(first), ["SELECT aaa 1 42P01"]);
    let second = session().client(&two).server(&[&m(b'1', b"")[..], &failed("42P01"), READY].concat());
    assert_eq!(told(second), ["SELECT bbb 1 42P01"]);
    let none = session().client(&two).server(&[&m(b'1', b"").repeat(2)[..], READY].concat());
    assert_eq!(told(none), [""; 0]);
}

#[test]
fn of_several_that_are_prepared_and_executed_at_once_the_one_that_fails_is_told() {
    let one = |name: &str, table: &str| [parse(name, &format!("SELECT a FROM {table}")), bind(name, name)].concat();
    let unit = [one("a", "aaa"), one("b", "bbb"), execute("a"), execute("b"), sync()].concat();
    let prepared = [m(b'1', b""), m(b'2', b"")].concat();
    let first = session().client(&unit).server(&[&failed("42P01")[..], READY].concat());
    assert_eq!(told(first), ["SELECT aaa 1 42P01", "SELECT bbb 1 aborted"]);
    let second = session().client(&unit).server(&[&prepared[..], &failed("42P01"), READY].concat());
    assert_eq!(told(second), ["SELECT bbb 1 42P01", "SELECT aaa 1 aborted"]);
}

#[test]
fn a_name_that_could_not_be_given_anew_stands_for_what_it_stood_for() {
    let prepare = |sql: &str| [parse("s", sql), sync()].concat();
    let talk = session().client(&prepare("SELECT a FROM old")).server(&[&m(b'1', b"")[..], READY].concat());
    let talk = talk.client(&prepare("SELECT a FROM new")).server(&[&failed("42P05")[..], READY].concat());
    let talk = talk.client(&[run(), sync()].concat()).server(&[m(b'2', b""), done("SELECT 1")].concat());
    assert_eq!(told(talk), ["SELECT new 1 42P05", "SELECT old 1"]);
}

#[test]
fn a_transaction_that_fails_at_its_end_is_told() {
    let talk = session().client(&[parse("", "INSERT INTO t VALUES (1)"), bind("", ""), execute(""), sync()].concat());
    let answers = [m(b'1', b""), m(b'2', b""), m(b'C', b"INSERT 0 1\0"), failed("23503"), READY.to_vec()].concat();
    assert_eq!(told(talk.server(&answers)), ["INSERT t 1", "postgresql 1 23503"]);
}

#[test]
fn a_function_that_is_called_is_one_statement() {
    let talk = session().client(&m(b'F', &[0; 14])).server(&[&m(b'V', b"\0\0\0\x011")[..], READY].concat());
    assert_eq!(told(talk.client(&query("COMMIT")).server(&done("COMMIT"))), ["FUNCTION 1", "COMMIT 1"]);
}
