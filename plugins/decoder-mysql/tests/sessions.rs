//! Sessions as drivers conduct them, and invalid ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_mysql::MySql;
mod wire;
use wire::{
    LINE, OK, SSL, answer, c, disowned_from, disowns, execute, greeting, login, p, query, result, session, start, told,
};

#[test]
fn results_of_old_and_of_new_servers_end_where_they_end() {
    for is_old in [true, false] {
        for rows in [&[][..], &[&b"\x011"[..], b"\xfb", b"\x013"]] {
            let talk = session().client(&query("SELECT a FROM t")).server(&result(rows, is_old));
            let talk = talk.client(&query("COMMIT")).server(&answer(&[OK]));
            let count = if rows.is_empty() { "" } else { " 3" };
            assert_eq!(told(talk), [format!("SELECT t 1{count}"), "COMMIT 1".into()], "{is_old}");
        }
    }
}

#[test]
fn what_is_encrypted_or_compressed_from_now_on_is_given_back() {
    let ask = p(1, &[&(SSL | 1 << 9).to_le_bytes()[..], &[0; 28]].concat());
    let asked = start().server(&greeting("8.0.36", u32::MAX)).client(&ask);
    assert_eq!(disowned_from(&asked), Some(Some((2, 0))), "the TLS that follows");
    let compressed = |offered| start().server(&greeting("8.0.36", offered)).client(&login(1, 1 << 5)).server(&p(2, OK));
    assert_eq!(disowned_from(&compressed(u32::MAX)), Some(Some((3, 0))));
    assert!(!disowns(&compressed(u32::MAX ^ 1 << 5)), "the server does not know how");
    assert!(!disowns(&session()));
}

#[test]
fn the_plaintext_of_an_encrypted_session_begins_with_the_login() {
    let talk = start().tls().client(&login(2, SSL)).server(&p(3, b"\xfecaching_sha2_password\0nonce")).client(&p(4, b"secret"));
    let talk = talk.server(&[p(5, &[1, 3]), p(6, OK)].concat()).client(&query("SELECT 1")).server(&result(&[b"\x011"], false));
    let rows = talk.fields::<MySql>();
    let has = |name: &str, value: &str| rows[0].contains(&(name.into(), value.into()));
    assert!(has("db.namespace", "shop") && has("tls.established", "1") && has("db.system.name", "mysql"), "{rows:?}");
}

#[test]
fn who_the_server_is_stands_in_its_version() {
    for (version, system) in [("5.5.5-10.11.6-MariaDB-1", "mariadb"), ("8.0.36-0ubuntu0.22.04.1", "mysql")] {
        let talk = start().server(&greeting(version, u32::MAX)).client(&login(1, 0)).server(&p(2, OK));
        let rows = talk.client(&query("SELECT 1")).server(&answer(&[OK])).fields::<MySql>();
        assert!(rows[0].contains(&("db.system.name".into(), system.into())), "{version}");
    }
}

#[test]
fn a_prepared_statement_is_known_by_its_number_until_it_is_closed() {
    let talk = session().client(&c(0x16, b"UPDATE t SET a = ? WHERE b = ?"));
    let parameter = &b"\x03def\0\0\0\x01?\0\x0c\x3f\0\0\0\0\0\xfd\x80\0\0\0\0"[..];
    let talk = talk.server(&answer(&[&[0, 7, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0], parameter, parameter, LINE]));
    let talk = talk.client(&execute(7)).server(&answer(&[OK])).client(&c(0x19, &[7, 0, 0, 0])).client(&execute(7));
    assert_eq!(told(talk.server(&answer(&[b"\xff\xdb\x04#HY000secret"]))), ["UPDATE t 1", "mysql 1 1243"]);
    let refused = session().client(&c(0x16, b"SELECT a FROM nowhere")).server(&answer(&[b"\xff\x7a\x04#42S02secret"]));
    assert_eq!(told(refused), ["SELECT nowhere 1 1146"]);
}

#[test]
fn commands_that_are_no_question_have_no_row_and_disturb_none() {
    let talk = session().client(&c(0x0e, b"")).server(&answer(&[OK])).client(&c(9, b"")).server(&answer(&[b"Uptime: 7"]));
    let talk = talk.client(&c(0x1f, b"")).server(&answer(&[OK])).client(&c(0x1b, &[0, 0])).server(&answer(&[LINE]));
    let talk = talk.client(&c(0x18, b"\x01\0\0\0\0\0secret")).client(&query("SELECT 1")).server(&result(&[b"\x011"], true));
    assert_eq!(told(talk.client(&c(1, b""))), ["SELECT 1 1"]);
}

#[test]
fn a_session_is_in_the_database_that_it_changed_to() {
    let talk = session()
        .client(&c(2, b"mysql"))
        .server(&answer(&[OK]))
        .client(&c(2, b"nowhere"))
        .server(&answer(&[b"\xff\x19\x04no"]));
    let talk = talk.client(&query("SELECT 1")).server(&answer(&[OK])).client(&query("use `test`")).server(&answer(&[OK]));
    let talk = talk.client(&c(0x11, b"app\0\0other\0")).server(&answer(&[b"\xfeplugin\0", OK])).client(&query("SELECT 1"));
    let rows = talk.server(&answer(&[OK])).fields::<MySql>();
    let of = |row: &Vec<(String, String)>| row.iter().find(|(name, _)| name == "db.namespace").unwrap().1.clone();
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), ["mysql", "mysql", "mysql", "test", "other"]);
}

#[test]
fn several_results_are_one_answer() {
    let more = &[0xfe, 0, 0, 10, 0, 0, 0][..];
    let column = &b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0"[..];
    let talk =
        session().client(&query("CALL p()")).server(&answer(&[&[1], column, b"\x011", more, &[1], column, b"\x012", more, OK]));
    assert_eq!(told(talk.client(&query("COMMIT")).server(&answer(&[OK]))), ["CALL p 1 2", "COMMIT 1"]);
}

#[test]
fn a_packet_of_16_mb_goes_on_in_the_next_and_nothing_of_it_is_read() {
    let length = 0xff_ffff;
    let insert = [&b"\xff\xff\xff\0\x03INSERT INTO t VALUES ('"[..], &vec![b'x'; length - 24]].concat();
    let rest = p(1, b"\x03xxx')");
    let talk = session().cut(1024).client(&insert).client(&rest).server(&p(2, OK));
    assert_eq!(told(talk.client(&query("COMMIT")).server(&answer(&[OK]))), ["INSERT t 2", "COMMIT 1"]);
}

#[test]
fn how_far_a_statement_has_come_is_no_error() {
    let talk = session().client(&query("ALTER TABLE t ENGINE = x")).server(&answer(&[b"\xff\xff\xff\x01\x02\0\0\0\0\x04copy"]));
    assert_eq!(told(talk.server(&p(2, OK))), ["ALTER TABLE t 2"]);
}

#[test]
fn a_replica_that_follows_is_told_once() {
    let talk = session().client(&c(0x12, b"\x04\0\0\0\0\0\x01\0\0\0")).server(&answer(&[b"\0event"])).server(&p(2, b"\0event"));
    assert_eq!(told(talk.server(&p(3, b"\xfe\0\0\0\0"))), ["BINLOG 1"]);
}

#[test]
fn packets_may_be_torn_anywhere() {
    let (asked, answered) = (query("SELECT a FROM t"), result(&[b"\x011"], true));
    for at in 1..asked.len() {
        for to in 1..answered.len() {
            let talk = session().client(&asked[..at]).client(&asked[at..]).server(&answered[..to]).server(&answered[to..]);
            assert_eq!(told(talk), ["SELECT t 3 1"], "{at} {to}");
        }
    }
}

#[test]
fn a_result_whose_end_is_not_captured_ends_with_its_last_call() {
    let row = [&[200][..], &[b'x'; 200]].concat();
    for is_old in [true, false] {
        let result = result(&[&row[..]; 100], is_old);
        for split in [8000, result.len() - 100, result.len() - 9] {
            let (first, rest) = result.split_at(split);
            let talk = session().cut(256).client(&query("SELECT a FROM t")).server(first).server(rest);
            assert_eq!(
                told(talk.clone().client(&query("COMMIT")).server(&answer(&[OK]))),
                ["SELECT t 2", "COMMIT 1"],
                "{split}"
            );
            assert_eq!(told(talk), ["SELECT t 2"], "{split}: and no connection_closed");
        }
    }
}

#[test]
fn an_answer_that_is_lost_ends_before_the_client_asks_anew() {
    let talk = session().client(&query("SELECT a FROM t")).lost_server(66).client(&query("BEGIN")).server(&answer(&[OK]));
    assert_eq!(told(talk.client(&query("COMMIT")).server(&answer(&[OK]))), ["SELECT t 2", "BEGIN 1", "COMMIT 1"]);
}

#[test]
fn half_of_a_command_that_is_lost_costs_that_one_alone() {
    let asked = query("SELECT a FROM t");
    let lost_header = session().lost_client(4).client(&asked[4..]);
    let lost_body = session().client(&asked[..4]).lost_client(asked.len() as u32 - 4);
    for talk in [lost_header, lost_body] {
        let next = query("COMMIT");
        let talk = talk.server(&answer(&[OK])).client(&next[..4]).client(&next[4..]).server(&answer(&[OK]));
        assert_eq!(told(talk), ["COMMIT 2"]);
    }
}

#[test]
fn a_session_older_than_the_host_is_understood_from_its_next_statement() {
    let talk = start().server(b"half of a row").client(&query("SELECT a FROM t")).server(&result(&[b"\x011"], false));
    assert_eq!(told(talk), ["SELECT t 1 1"]);
    let strange = (0..10).fold(start(), |talk, _| talk.client(b"GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(disowned_from(&strange), Some(None));
}

#[test]
fn a_statement_that_takes_long_is_no_error_unless_a_timeout_is_set() {
    let talk = session().client(&query("SELECT a FROM t")).after_ms(40_000).tick().server(&answer(&[OK]));
    let talk = talk.client(&query("COMMIT")).server(&answer(&[OK])).end();
    assert_eq!(told(talk.clone()), ["SELECT t 40002", "COMMIT 1"]);
    let impatient = talk.rows_with::<MySql>(r#"{"timeout": "30s"}"#);
    let has = |row: usize, word: &str| impatient[row].split(' ').any(|known| known == word);
    assert!(has(0, "error.type=timeout") && has(0, "t") && !has(0, "response.late=1"), "{impatient:?}");
    assert!(has(1, "response.late=1") && has(1, "t"), "{impatient:?}");
    assert!(has(2, "name=COMMIT") && impatient.len() == 3, "{impatient:?}");
    assert_eq!(told(session().client(&query("SELECT a FROM t"))), ["SELECT t 1 connection_closed"]);
}

#[test]
fn a_client_that_only_asks_does_not_fill_the_memory() {
    let many = execute(1).repeat(60);
    assert_eq!(told((0..100).fold(session(), |talk, _| talk.client(&many))).len(), 6000);
}

#[test]
fn backslashes_are_read_as_the_server_says() {
    for (status, text) in [(2, "SELECT ?, a"), (2 | 1 << 9, "SELECT ?, ?y?")] {
        let [low, high] = u16::to_le_bytes(status);
        let set = session().client(&query("SET sql_mode = ''")).server(&answer(&[&[0, 0, 0, low, high, 0, 0]]));
        let rows = set.client(&query("SELECT 'x\\', ''y', a -- '")).server(&answer(&[OK])).fields::<MySql>();
        assert_eq!(rows[1].iter().find(|(name, _)| name == "db.query.text").unwrap().1, text);
    }
}
