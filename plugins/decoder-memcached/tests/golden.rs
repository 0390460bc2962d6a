//! Conversations with a real server, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_memcached::Memcached;
use plugin_sdk::testing::Talk;

const TEXT: &str = include_str!("conversations/text.txt");
const META: &str = include_str!("conversations/meta.txt");
const BINARY: &str = include_str!("conversations/binary.txt");
const LARGE: &str = include_str!("conversations/large.txt");

fn talk(script: &str) -> Talk {
    Talk::tcp("10.0.0.7:40000", 11211).script(script)
}

/// Returns a field of all rows, in the order of the rows.
fn column(talk: &Talk, field: &str) -> Vec<String> {
    let value = |row: &Vec<(String, String)>| row.iter().find(|(name, _)| name == field).unwrap().1.clone();
    talk.fields::<Memcached>().iter().map(value).collect()
}

/// Returns the names of the commands with their status and number of values; `!` marks an error.
fn brief(talk: &Talk) -> String {
    let columns = ["db.operation.name", "db.response.status_code", "db.response.returned_rows", "error.type"];
    let [names, codes, values, errors] = columns.map(|field| column(talk, field));
    let rows = names.iter().zip(&codes).zip(values.iter().zip(&errors));
    let brief = |((name, code), (values, error)): ((&String, &String), (&String, &String))| {
        let values = if values == "0" { String::new() } else { format!("*{values}") };
        format!("{name} {code}{values}{}", if error.is_empty() { "" } else { "!" }).trim_end().to_owned()
    };
    rows.map(brief).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_session_of_text_becomes_these_rows() {
    let session = talk(TEXT).end();
    assert_eq!(
        brief(&session),
        "set STORED, get END*1, get END, add NOT_STORED, set STORED, incr, decr, incr CLIENT_ERROR!, gets END*1, cas EXISTS, \
         cas EXISTS, cas NOT_FOUND, append STORED, prepend STORED, replace NOT_STORED, touch TOUCHED, gat END*1, delete DELETED, \
         delete NOT_FOUND, set, set, get END*2, version, stats END, verbosity OK, OTHER ERROR!, set CLIENT_ERROR!, \
         set CLIENT_ERROR!, set CLIENT_ERROR!, OTHER ERROR!, flush_all OK, incr ERROR!, quit"
    );
    assert_eq!(
        session.rows::<Memcached>()[1],
        "duration=1000000 kind=2 name=get db.system.name=memcached db.operation.name=get db.response.status_code=END \
         db.response.returned_rows=1"
    );
    assert_eq!(column(&session, "db.operation.batch.size")[21], "3");
    let took = column(&session, "duration");
    assert_eq!((&*took[19], &*took[21], &*took[32]), ("0", "1000000", "0"), "nobody waits for what gets no reply");
}

#[test]
fn quiet_meta_commands_meet_the_replies_they_get() {
    let session = talk(META).end();
    assert_eq!(
        brief(&session),
        "ms HD, mg VA*1, mg EN, mg HD, ma NF, ms HD, ma VA*1, md HD, md NF, me ME, mn MN, ms, ms, mn MN, \
         mg VA*1, mg, mg VA*1, mg, mn MN, mg VA*1, mg, mn MN, ms CLIENT_ERROR!, ms CLIENT_ERROR!, OTHER ERROR!, mg VA*1, mg EN"
    );
    assert!(column(&session, "duration").iter().all(|duration| duration == "1000000"));
}

#[test]
fn a_quiet_command_is_answered_where_there_is_nothing_to_delete_or_to_count() {
    let get = "> mg a v\\r\\n\n";
    let missed = talk("> md gone q\\r\\n\n> ma gone q\\r\\n\n").script(get).script("< NF\\r\\nNF\\r\\nVA 1\\r\\nx\\r\\n\n");
    assert_eq!(brief(&missed.end()), "md NF, ma NF, mg VA*1");
    let done = talk("> md a q\\r\\n\n> ma n q\\r\\n\n").script(get).script("< VA 1\\r\\nx\\r\\n\n");
    assert_eq!(brief(&done.end()), "md, ma, mg VA*1");
}

#[test]
fn a_session_of_binary_messages_becomes_these_rows() {
    assert_eq!(
        brief(&talk(BINARY).end()),
        "set SUCCESS, get SUCCESS*1, get KEY_ENOENT, add KEY_EEXISTS, incr SUCCESS, incr DELTA_BADVAL!, set, set, noop SUCCESS, \
         get SUCCESS*1, get, get SUCCESS*1, noop SUCCESS, delete SUCCESS, stats SUCCESS, version SUCCESS, \
         OTHER UNKNOWN_COMMAND!, sasl_list_mechs UNKNOWN_COMMAND!, quit SUCCESS"
    );
}

#[test]
fn values_of_any_size_are_passed_by_their_length() {
    let whole = "set STORED, get END*1, mg VA*1, set STORED, set STORED, get END*1, get END*2, get END";
    assert_eq!(brief(&talk(LARGE).end()), whole);
    let cut = Talk::tcp("10.0.0.7:40000", 11211).cut(2048).script(LARGE).end();
    // Commands behind a value that was not captured are known by their replies, unless those were not captured either.
    assert_eq!(brief(&cut), "set STORED, get, mg VA*1, set STORED, OTHER, get, get END");
}

#[test]
fn sessions_in_pieces_of_any_size_become_the_same_rows() {
    for (script, size) in [(TEXT, 1), (TEXT, 7), (META, 3), (BINARY, 5), (BINARY, 24)] {
        let pieces = |talk: Talk, record: &Vec<u8>| {
            let pieces = record[104..].chunks(size);
            if record[47] == 0 {
                pieces.fold(talk, |talk, piece| talk.client(piece))
            } else {
                pieces.fold(talk, |talk, piece| talk.server(piece))
            }
        };
        let records = talk(script).records();
        let session = records.iter().fold(Talk::tcp("10.0.0.7:40000", 11211), pieces).end();
        assert_eq!(brief(&session), brief(&talk(script).end()), "{size}");
    }
}

#[test]
fn after_lost_records_commands_meet_their_own_replies_again() {
    let get = "> get nothing\\r\\n\n< END\\r\\n\n";
    let set = "> set k 0 0 1\\r\\n1\\r\\n\n< NOT_STORED\\r\\n\n";
    let broken = [
        talk(set).lost_client(20).script("< STORED\\r\\n\n"),
        talk(set).script("> get k\\r\\n\n").lost_server(50),
        talk(set).unread_client(300).unread_server(300),
        talk(set).script("> get k\\r\\n\n").unread_server(5000).script("< lue\\r\\nEND\\r\\n\n"),
        talk(set).cut(20).client(&b"get nothing\r\n".repeat(50)).server(&b"END\r\n".repeat(50)).cut(usize::MAX),
    ];
    for broken in broken {
        // A lost reply is noticed when the next one comes.
        let rows = brief(&broken.script(get).script(get).script(set).script(get).end());
        assert!(rows.ends_with("get END, set NOT_STORED, get END"), "{rows}");
    }
}

#[test]
fn what_is_not_answered_is_told_so() {
    let asked = talk("> get a\\r\\n\n> mg a v q\\r\\n\n");
    let errors = |talk: &Talk| column(talk, "error.type");
    assert_eq!(errors(&asked.clone().after_ms(40_000).tick()), [""], "the quiet one is over, the other may be answered yet");
    let impatient = asked.clone().after_ms(40_000).tick().server(b"END\r\n").end();
    let impatient = impatient.rows_with::<decoder_memcached::Memcached>(r#"{"timeout": "30s"}"#);
    let of = |row: &String, name: &str| row.split(' ').any(|word| word == name);
    assert_eq!(impatient.len(), 3);
    assert!(of(&impatient[0], "error.type=timeout") && of(&impatient[2], "response.late=1"), "{impatient:?}");
    assert_eq!(errors(&asked.end()), ["connection_closed", ""], "one that was quiet need not have been answered");
}
