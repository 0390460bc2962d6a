//! Conversations with a real server, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::testing::Talk;

const COMMANDS: &str = include_str!("conversations/commands.txt");
const PIPELINE: &str = include_str!("conversations/pipeline.txt");
const LARGE: &str = include_str!("conversations/large.txt");

fn talk(script: &str) -> Talk {
    Talk::tcp("10.0.0.7:40000", 6379).script(script)
}

/// Returns a field of all rows, in the order of the rows.
fn column(talk: &Talk, field: &str) -> Vec<String> {
    let value = |row: &Vec<(String, String)>| row.iter().find(|(name, _)| name == field).unwrap().1.clone();
    talk.fields::<Redis>().iter().map(value).collect()
}

/// Returns the names of the commands, and their errors.
fn brief(talk: &Talk) -> String {
    let pairs = column(talk, "db.operation.name").into_iter().zip(column(talk, "error.type"));
    let brief = |(name, error): (String, String)| if error.is_empty() { name } else { format!("{name}!{error}") };
    pairs.map(brief).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_session_becomes_these_rows() {
    let all = "duration=1000000 kind=2";
    let rows = talk(COMMANDS).end().rows::<Redis>();
    assert_eq!(
        rows[0],
        format!("{all} name=SET db.system.name=redis db.operation.name=SET db.query.text=SET ? ?"),
        "database 0 is not shown here"
    );
    assert_eq!(
        rows[4],
        format!(
            "{all} error.type=ERR name=INCR db.system.name=redis db.operation.name=INCR db.response.status_code=ERR \
             db.query.text=INCR ?"
        )
    );
    assert_eq!(
        rows[20],
        format!(
            "{all} name=EXEC db.system.name=redis db.operation.name=EXEC db.namespace=3 db.query.text=EXEC \
             db.operation.batch.size=3"
        )
    );
    assert_eq!(
        brief(&talk(COMMANDS).end()),
        "SET, GET, GET, INCR, INCR!ERR, LPUSH, LRANGE, GET!WRONGTYPE, HSET, HGETALL, OTHER!ERR, SELECT, MSET, MGET, \
         CLIENT SETNAME, CONFIG GET, MULTI, SET, INCR, GET, EXEC, MULTI, INCR, DISCARD, EXEC!ERR, EVAL!_OTHER, EVAL!_OTHER, \
         SELECT!ERR, GET"
    );
    let databases = column(&talk(COMMANDS), "db.namespace");
    assert_eq!((&*databases[11], &*databases[12], &*databases[28]), ("0", "3", "3"), "a SELECT that fails changes nothing");
}

#[test]
fn every_type_of_resp3_is_a_reply_and_what_is_pushed_is_none() {
    let resp3 = talk(include_str!("conversations/resp3.txt")).end();
    let debug = "DEBUG, ".repeat(13);
    assert_eq!(
        brief(&resp3),
        format!("HELLO, {debug}ZADD, ZRANGE, CLIENT TRACKING, GET, GET, SUBSCRIBE, PING, UNSUBSCRIBE, EVAL!WRONGPASS, QUIT")
    );
    assert!(column(&resp3, "duration").iter().all(|duration| duration == "1000000"), "each met its own reply");
}

#[test]
fn messages_confirmations_and_lines_of_a_monitor_are_no_replies() {
    let pubsub = talk(include_str!("conversations/pubsub.txt")).end();
    assert_eq!(brief(&pubsub), "SUBSCRIBE, PSUBSCRIBE, PING, UNSUBSCRIBE, PUNSUBSCRIBE, RPUSH, LRANGE, GET");
    assert!(column(&pubsub, "duration").iter().all(|duration| duration == "1000000"));
    let monitor = talk(include_str!("conversations/monitor.txt")).end();
    assert_eq!(brief(&monitor), "MONITOR, RESET, GET");
    assert!(column(&monitor, "duration").iter().all(|duration| duration == "1000000"));
}

#[test]
fn a_client_that_turned_replies_off_is_not_waited_for() {
    let reply = talk(include_str!("conversations/reply.txt")).end();
    assert_eq!(brief(&reply), "CLIENT REPLY, SET, GET, CLIENT REPLY, INCR, INCR, CLIENT REPLY, GET");
    let took = column(&reply, "duration");
    assert_eq!(took, ["0", "0", "1000000", "0", "0", "0", "1000000", "1000000"]);
}

#[test]
fn a_command_that_waits_on_purpose_has_no_timeout_and_others_have() {
    let blocking = talk(include_str!("conversations/blocking.txt"));
    assert_eq!(brief(&blocking.clone().after_ms(3_600_000).tick()), "BLPOP");
    assert_eq!(brief(&blocking.after_ms(3_600_000).tick().end()), "BLPOP, BLPOP!connection_closed");
    let slow = talk("> *1\\r\\n$4\\r\\nPING\\r\\n").after_ms(40_000).tick();
    assert_eq!(brief(&slow), "", "it may be answered yet");
    let late = slow.script("> *1\\r\\n$4\\r\\nTIME\\r\\n\n< +PONG\\r\\n\n< *2\\r\\n:1\\r\\n:2\\r\\n");
    assert_eq!(column(&late, "duration"), ["40003000000", "2000000"]);
    let impatient = late.rows_with::<decoder_redis::Redis>(r#"{"timeout": "30s"}"#);
    let brief = |row: &String| row.split(' ').take(4).collect::<Vec<_>>().join(" ");
    assert_eq!(
        impatient.iter().map(brief).collect::<Vec<_>>(),
        [
            "duration=40001000000 kind=2 error.type=timeout name=PING",
            "duration=40003000000 kind=2 name=PING response.late=1",
            "duration=2000000 kind=2 name=TIME db.system.name=redis",
        ]
    );
}

#[test]
fn typed_commands_and_commands_in_pieces_are_commands() {
    let typed = talk(include_str!("conversations/inline.txt")).end();
    assert_eq!(brief(&typed), "PING, SET, GET, EXISTS, OTHER, QUIT");
    let pieces = talk(include_str!("conversations/parts.txt")).end();
    assert_eq!(brief(&pieces), "SET, GET");
    assert_eq!(column(&pieces, "duration"), ["5000000", "2000000"], "from the first byte");
    let refused = talk(include_str!("conversations/protocol.txt")).end();
    assert_eq!(brief(&refused), "PING, SET!ERR");
}

#[test]
fn values_of_any_size_are_passed_by_their_length() {
    assert_eq!(brief(&talk(LARGE).end()), "SET, GET, MSET, GET, MGET, GET");
    for cut in [256, 4096] {
        let cut = Talk::tcp("10.0.0.7:40000", 6379).cut(cut).script(LARGE).end();
        // The commands behind two large values were not captured, and are known by their replies.
        assert_eq!(brief(&cut), "SET, GET, MSET, OTHER, MGET, GET");
        assert!(column(&cut, "duration").iter().all(|duration| duration == "1000000"));
    }
}

#[test]
fn a_pipeline_is_as_many_rows_each_in_its_own_place() {
    let pipeline = talk(PIPELINE).end();
    assert_eq!(brief(&pipeline), format!("{}{}", "SET, ".repeat(32), ["GET"; 32].join(", ")));
    let mut places = column(&pipeline.at_client().script(PIPELINE), "correlation");
    places.sort();
    places.dedup();
    assert!(places.len() >= 64, "{} places", places.len());
}
