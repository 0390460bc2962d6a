//! Missing bytes: pipelines that are longer than the capture, and lost records.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::testing::Talk;

/// Number of bytes of a call that are captured.
const CAPTURE: usize = 4096;
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:__rand_int__\r\n";
const VALUE: &[u8] = b"$3\r\nVXK\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const OTHER_ERROR: &[u8] = b"-WRONGTYPE no\r\n";

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 6379).cut(CAPTURE)
}

fn count(rows: &[String], name: &str) -> usize {
    rows.iter().filter(|row| row.contains(&format!("db.operation.name={name} "))).count()
}

/// Checks that three further commands are matched with their own replies.
fn is_right_again(talk: &Talk) -> Vec<String> {
    let after = talk.clone().client(PING).server(b"+PONG\r\n").client(PING).server(OTHER_ERROR).client(GET).server(VALUE);
    let mut rows = after.rows::<Redis>();
    let last = rows.split_off(rows.len() - 3);
    let are = |row: &str, parts: &[&str]| assert!(parts.iter().all(|part| row.contains(part)), "{row}");
    are(&last[0], &["duration=1000000", "name=PING "]);
    are(&last[1], &["duration=1000000", "name=PING ", "error.type=WRONGTYPE"]);
    are(&last[2], &["duration=1000000", "name=GET "]);
    assert_eq!(last.iter().filter(|row| row.contains("error.type")).count(), 1);
    rows
}

#[test]
fn a_pipeline_that_is_cut_is_counted_by_its_replies() {
    // 300 commands are 10,800 bytes, and 300 replies 2,700: all commands that are not captured have replies that are.
    let rows = is_right_again(&talk().client(&GET.repeat(300)).server(&VALUE.repeat(300)));
    let seen = CAPTURE / GET.len() + 1;
    assert_eq!((count(&rows, "GET"), count(&rows, "OTHER")), (seen, 300 - seen));
    assert!(rows.iter().all(|row| row.contains("duration=1000000")));
}

#[test]
fn replies_that_are_cut_were_replies_all_the_same() {
    // 100 commands are 3,600 bytes, and their replies 200,000.
    let value = [b"$2000\r\n".as_slice(), &[b'x'; 2000], b"\r\n"].concat();
    let rows = is_right_again(&talk().client(&GET.repeat(100)).server(&value.repeat(100)));
    assert_eq!(count(&rows, "GET"), 100);
    let list = [b"*2000\r\n".as_slice(), &VALUE.repeat(2000)].concat();
    let rows = is_right_again(&talk().client(GET).server(&list[..9000]).server(&list[9000..]));
    assert_eq!(count(&rows, "GET"), 1);
    assert!(rows[0].contains("duration=2000000"), "it ended with its last call: {}", rows[0]);
}

#[test]
fn a_pipeline_of_which_both_directions_are_cut_is_counted_as_far_as_it_is_seen() {
    let rows = is_right_again(&talk().client(&GET.repeat(1000)).server(&VALUE.repeat(1000)));
    let seen = CAPTURE / VALUE.len();
    assert_eq!(rows.len(), seen, "as many as there are replies in what was captured");
}

#[test]
fn one_large_value_hides_nothing_of_a_pipeline() {
    let set = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$50000\r\n".as_slice(), &[b'x'; 50_000], b"\r\n"].concat();
    // The value ends with its call; with the next; and behind the beginning of the next.
    for split in [set.len(), 5000, 49_000] {
        let (first, second) = set.split_at(split);
        let asked = talk().client(first);
        let asked = if second.is_empty() { asked } else { asked.client(second) };
        let rows = is_right_again(&asked.client(GET).server(b"+OK\r\n").server(VALUE));
        assert_eq!((rows.len(), count(&rows, "SET"), count(&rows, "GET")), (2, 1, 1), "split at {split}");
    }
}

#[test]
fn lost_records_of_either_end_cost_what_was_in_them() {
    let before = || talk().client(PING).server(b"+PONG\r\n");
    let lost = GET.len() as u32;
    assert_eq!(is_right_again(&before().lost_client(lost).server(VALUE)).len(), 1, "nobody knew before the reply came");
    assert_eq!(is_right_again(&before().client(GET).lost_server(VALUE.len() as u32)).len(), 2);
    assert_eq!(is_right_again(&before().lost_client(lost).lost_server(VALUE.len() as u32)).len(), 1);
    assert_eq!(is_right_again(&before().unread_client(lost).server(VALUE)).len(), 2, "a reply to what could not be read");
    assert_eq!(is_right_again(&before().client(GET).unread_server(VALUE.len() as u32)).len(), 2);
}

#[test]
fn what_is_not_answered_any_more_is_told_when_the_connection_rests() {
    let list = [b"*2000\r\n".as_slice(), &VALUE.repeat(2000)].concat();
    let cut = talk().client(GET).server(&list);
    assert_eq!(cut.rows::<Redis>().len(), 0, "more may come");
    let rested = cut.clone().after_ms(2000).tick().rows::<Redis>();
    assert!(rested.len() == 1 && rested[0].contains("duration=1000000") && !rested[0].contains("error"), "{rested:?}");
    let closed = cut.end().rows::<Redis>();
    assert!(closed.len() == 1 && closed[0].contains("duration=1000000") && !closed[0].contains("error"), "{closed:?}");
}

#[test]
fn a_client_that_reads_in_another_thread_still_meets_its_replies() {
    let early = talk().at_client().server(b"+PONG\r\n").client(PING);
    assert_eq!(early.rows::<Redis>().len(), 0, "a millisecond is too much");
    let together = |mut records: Vec<Vec<u8>>| {
        let time = records[0][..8].to_vec();
        records.iter_mut().for_each(|record| record[..8].copy_from_slice(&time));
        plugin_sdk::testing::run(records.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let mut decoder = plugin_sdk::testing::decoder::<Redis>("{}");
    let run = together(early.records());
    let decoded = plugin_sdk::Decoder::decode(&mut decoder, &run, &[]).unwrap();
    assert_eq!(decoded.rows, 1);
}
