//! What commands in a transaction change, and when; the replies are those of Redis 7.0.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::testing::Talk;

/// Commands that are sent one by one, each with the server's reply.
fn typed(calls: &[(&str, &str)]) -> Talk {
    let talk = Talk::tcp("10.0.0.7:40000", 6379);
    calls.iter().fold(talk, |talk, (command, reply)| {
        let asked = talk.client(format!("{command}\r\n").as_bytes());
        if reply.is_empty() { asked } else { asked.server(reply.as_bytes()) }
    })
}

/// The same, all commands in one call and all replies in another.
fn pipelined(calls: &[(&str, &str)]) -> Talk {
    let commands: String = calls.iter().map(|(command, _)| format!("{command}\r\n")).collect();
    let replies: String = calls.iter().map(|(_, reply)| *reply).collect();
    Talk::tcp("10.0.0.7:40000", 6379).client(commands.as_bytes()).server(replies.as_bytes())
}

/// Returns command, database, error and size of each row.
fn told(talk: &Talk) -> Vec<String> {
    let row = |row: Vec<(String, String)>| {
        let of = |name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let error = Some(of("error.type")).filter(|error| !error.is_empty()).map(|error| format!("!{error}"));
        let batch = Some(of("db.operation.batch.size")).filter(|batch| batch != "0").map(|batch| format!("*{batch}"));
        let [name, database] = ["db.operation.name", "db.namespace"].map(of);
        format!("{name} {database}{}{}", error.unwrap_or_default(), batch.unwrap_or_default())
    };
    talk.fields::<Redis>().into_iter().map(row).collect()
}

const OK: &str = "+OK\r\n";
const QUEUED: &str = "+QUEUED\r\n";
const NIL: &str = "$-1\r\n";

/// Returns the last row, which must be the same if the commands come one by one or at once.
fn last(calls: &[(&str, &str)]) -> String {
    let (one_by_one, at_once) = (told(&typed(calls)), told(&pipelined(calls)));
    assert_eq!(one_by_one.last(), at_once.last(), "{calls:?}");
    assert_eq!(one_by_one.len(), calls.len(), "{one_by_one:?}");
    one_by_one.last().unwrap().clone()
}

#[test]
fn a_select_in_a_transaction_counts_when_it_has_run() {
    const MULTI: (&str, &str) = ("MULTI", OK);
    const GET: (&str, &str) = ("GET k", NIL);
    let select = |database: &'static str| (database, QUEUED);
    for (calls, says) in [
        (vec![MULTI, select("SELECT 5"), ("EXEC", "*1\r\n+OK\r\n"), GET], "GET 5"),
        (vec![MULTI, select("SELECT 5"), ("DISCARD", OK), GET], "GET 0"),
        (vec![MULTI, select("SELECT 5"), ("EXEC", "*-1\r\n"), GET], "GET 0"),
        (vec![MULTI, select("SELECT 5"), ("EXEC", "_\r\n"), GET], "GET 0"),
        (vec![MULTI, select("SELECT 5"), ("GET", "-ERR wrong\r\n"), ("EXEC", "-EXECABORT x\r\n"), GET], "GET 0"),
        (vec![MULTI, ("SELECT", "-ERR wrong\r\n"), select("SELECT 5"), ("EXEC", "-EXECABORT x\r\n"), GET], "GET 0"),
        (vec![("SELECT 3", OK), MULTI, select("SELECT 5"), ("DISCARD", OK), GET], "GET 3"),
        (vec![("SELECT 3", OK), MULTI, select("SELECT 5"), ("RESET", "+RESET\r\n"), GET], "GET 0"),
        (vec![MULTI, ("MULTI", "-ERR nested\r\n"), select("SELECT 2"), ("EXEC", "*1\r\n+OK\r\n"), GET], "GET 2"),
        (vec![MULTI, ("WATCH a", "-ERR not allowed\r\n"), select("SELECT 2"), ("EXEC", "*1\r\n+OK\r\n"), GET], "GET 2"),
        (vec![MULTI, select("SELECT 4"), select("SELECT 77"), ("EXEC", "*2\r\n+OK\r\n-ERR range\r\n"), GET], "GET 4"),
        (
            vec![
                MULTI,
                ("LRANGE l 0 9", QUEUED),
                select("SELECT 77"),
                ("EXEC", "*2\r\n*2\r\n*1\r\n:1\r\n:2\r\n-ERR range\r\n"),
                GET,
            ],
            "GET 0",
        ),
        (vec![MULTI, ("SELECT 4", "-NOAUTH x\r\n"), ("EXEC", "-EXECABORT x\r\n"), GET], "GET 0"),
        (vec![("MULTI", "-NOAUTH x\r\n"), ("SELECT 4", OK), GET], "GET 4"),
        // Older than the host: `MULTI` was not seen.
        (vec![select("SELECT 5"), ("DISCARD", OK), GET], "GET 0"),
        (vec![select("SELECT 5"), ("EXEC", "*1\r\n+OK\r\n"), GET], "GET 5"),
    ] {
        assert_eq!(last(&calls), says, "{calls:?}");
    }
}

#[test]
fn exec_ran_what_it_ran() {
    let queued = [("MULTI", OK), ("SET k 1", QUEUED), ("GET k", QUEUED)];
    let exec = |reply: &'static str| last(&[queued.as_slice(), &[("EXEC", reply)]].concat());
    assert_eq!(exec("*2\r\n+OK\r\n$1\r\n1\r\n"), "EXEC 0*2");
    assert_eq!(exec("*-1\r\n"), "EXEC 0", "a key was changed by another");
    assert_eq!(exec("_\r\n"), "EXEC 0");
    assert_eq!(exec("-EXECABORT x\r\n"), "EXEC 0!EXECABORT");
    let fake = [("EVAL x 0", QUEUED), ("GET k", NIL), ("EXEC", "-ERR EXEC without MULTI\r\n")];
    assert_eq!(last(&fake), "EXEC 0!ERR", "a script may say so as well");
}

#[test]
fn replies_are_turned_off_when_that_has_run() {
    let calls = [
        ("MULTI", OK),
        ("CLIENT REPLY OFF", QUEUED),
        ("DISCARD", OK),
        ("GET a", "-ERR a\r\n"),
        ("MULTI", OK),
        ("SET a 1", QUEUED),
        ("CLIENT REPLY OFF", QUEUED),
        ("GET a", QUEUED),
        ("EXEC", "*3\r\n+OK\r\n"),
        ("GET b", ""),
        ("CLIENT REPLY ON", OK),
        ("GET c", "-ERR c\r\n"),
        ("MULTI", OK),
        ("CLIENT REPLY SKIP", QUEUED),
        ("GET d", QUEUED),
        ("EXEC", "*2\r\n$1\r\n1\r\n"),
        ("GET e", ""),
        ("GET f", "-ERR f\r\n"),
        ("CLIENT REPLY OFF", ""),
        ("RESET", "+RESET\r\n"),
        ("GET g", "-ERR g\r\n"),
        ("CLIENT REPLY SKIP", ""),
        ("RESET", ""),
        ("GET h", "-ERR h\r\n"),
    ];
    let rows = told(&typed(&calls));
    let of = |wanted: &str| rows.iter().filter(|row| row.as_str() == wanted).count();
    assert_eq!((rows.len(), of("GET 0!ERR"), of("GET 0")), (calls.len(), 5, 4), "{rows:?}");
    assert_eq!((of("EXEC 0*3"), of("EXEC 0*2"), of("RESET 0")), (1, 1, 2));
}

#[test]
fn a_subscription_in_a_transaction_has_a_result_for_each_channel() {
    let confirmed = |kind: &str| {
        let one = |channel: &str, count: u8| format!("{kind}3\r\n$9\r\nsubscribe\r\n$1\r\n{channel}\r\n:{count}\r\n");
        format!("*2\r\n{}{}+OK\r\n", one("a", 1), one("b", 2))
    };
    for (kind, pong) in [("*", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"), (">", "+PONG\r\n")] {
        let exec = confirmed(kind);
        let calls = [
            ("MULTI", OK),
            ("SUBSCRIBE a b", QUEUED),
            ("SELECT 3", QUEUED),
            ("EXEC", exec.as_str()),
            ("PING", pong),
            ("PING", pong),
        ];
        assert_eq!(last(&calls), "PING 3");
        let message = format!("{kind}3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
        let talk = typed(&calls).server(message.as_bytes()).client(b"PING\r\n").server(pong.as_bytes());
        assert_eq!(told(&talk).len(), calls.len() + 1, "a message is no reply");
    }
}

#[test]
fn a_transaction_of_which_no_reply_comes_runs_all_the_same() {
    let silent =
        [("CLIENT REPLY OFF", ""), ("MULTI", ""), ("SELECT 6", ""), ("SET k v", ""), ("EXEC", ""), ("CLIENT REPLY ON", OK)];
    assert_eq!(last(&[silent.as_slice(), &[("GET k", NIL)]].concat()), "GET 6");
    let discarded = [("CLIENT REPLY OFF", ""), ("MULTI", ""), ("SELECT 6", ""), ("DISCARD", ""), ("CLIENT REPLY ON", OK)];
    assert_eq!(last(&[discarded.as_slice(), &[("GET k", NIL)]].concat()), "GET 0");
}

#[test]
fn a_successor_goes_on_within_a_transaction() {
    use plugin_sdk::Handover;
    use plugin_sdk::testing::decoder;
    let (mut old, mut new) = (decoder::<Redis>("{}"), decoder::<Redis>("{}"));
    let begun = typed(&[("MULTI", OK), ("SELECT 5", QUEUED)]);
    assert_eq!(begun.rows_of(&mut old).len(), 2);
    new.import_state(old.export_state().unwrap()).unwrap();
    let all = begun.client(b"EXEC\r\n").server(b"*1\r\n+OK\r\n").client(b"GET k\r\n").server(b"$-1\r\n").records();
    let rest = plugin_sdk::testing::run(all[4..].iter().map(Vec::as_slice));
    let rows = plugin_sdk::testing::decode_all(&mut new, &rest).unwrap();
    assert!(rows[1].contains(&"db.namespace=5".to_owned()), "{rows:?}");
}

#[test]
fn words_in_quotes_are_one_argument() {
    let query = |command: &str| {
        let talk = typed(&[(command, OK)]);
        let row = talk.fields::<Redis>().remove(0);
        row.into_iter().find(|(name, _)| name == "db.query.text").unwrap().1
    };
    for (typed, says) in [
        (r#"set k "a b""#, "SET ? ?"),
        (r#"set k "a \" b" ex 5"#, "SET ? ? ? ?"),
        (r"set k 'it\'s me'", "SET ? ?"),
        (r#"'set' "k" "\x41 \x20""#, "SET ? ?"),
        ("set k a b", "SET ? ? ?"),
        (r#"client setname "a b""#, "CLIENT SETNAME ?"),
    ] {
        assert_eq!(query(typed), says, "{typed}");
    }
    assert_eq!(last(&[(r#"SELECT "3""#, OK), ("GET k", NIL)]), "GET 3");
    let refused = typed(&[(r#"SELECT "3"#, "-ERR Protocol error: unbalanced quotes in request\r\n")]).end();
    assert_eq!(told(&refused), ["SELECT 0!ERR"]);
}
