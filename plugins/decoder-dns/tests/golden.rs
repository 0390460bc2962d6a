//! Lookups at a real server, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_dns::Dns;
use plugin_sdk::testing::Talk;

const UDP: &str = include_str!("conversations/udp.txt");
const TCP: &str = include_str!("conversations/tcp.txt");
/// A question for the address of `www.example.test`, its answer, and an answer that there is no address.
const QUERY: &str =
    "> Lo\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03www\\x07example\\x04test\\x00\\x00\\x01\\x00\\x01\n";
const ANSWER: &str =
    "< Lo\\x85\\x80\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x00\\x03www\\x07example\\x04test\\x00\\x00\\x01\\x00\\x01\n";
const FAILED: &str =
    "< Lo\\x85\\x82\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03www\\x07example\\x04test\\x00\\x00\\x01\\x00\\x01\n";

fn udp() -> Talk {
    Talk::udp("10.0.0.7:40000", 53)
}

/// Returns a field of all rows, in the order of the rows.
fn column(talk: &Talk, field: &str) -> Vec<String> {
    let value = |row: &Vec<(String, String)>| row.iter().find(|(name, _)| name == field).unwrap().1.clone();
    talk.fields::<Dns>().iter().map(value).collect()
}

/// Returns the spans' names, with code and answers.
fn brief(talk: &Talk) -> Vec<String> {
    let (codes, answers) = (column(talk, "dns.response_code"), column(talk, "dns.answer.count"));
    let parts = column(talk, "name").into_iter().zip(codes).zip(answers);
    parts.map(|((name, code), answers)| format!("{name} {code} {answers}")).collect()
}

#[test]
fn lookups_become_these_rows() {
    let talk = udp().script(UDP).after_ms(60_000).tick();
    assert_eq!(
        brief(&talk),
        [
            "A www.example.test NOERROR 1",
            "AAAA www.example.test NOERROR 1",
            "A alias.example.test NOERROR 2",
            "MX example.test NOERROR 1",
            "SRV _http._tcp.example.test NOERROR 1",
            "PTR 3.2.1.10.in-addr.arpa NOERROR 1",
            "A * NXDOMAIN 0",
            "A * REFUSED 0",
            "TXT example.test NOERROR 1",
            "HTTPS www.example.test NOERROR 0",
            "NS * REFUSED 0",
            "OTHER www.example.test NOERROR 0",
            "A www.example.test NOERROR 1",
            "A * NXDOMAIN 0",
            "TXT version.bind NOERROR 1",
            "A www.example.test REFUSED 0",
            "A *  0",
        ]
    );
    let rows = talk.rows::<Dns>();
    assert_eq!(
        rows[0],
        "duration=1000000 kind=2 name=A www.example.test dns.question.name=www.example.test dns.question.type=A \
         dns.response_code=NOERROR dns.opcode=QUERY dns.answer.count=1"
    );
    let names = column(&talk, "dns.question.qname");
    assert_eq!(
        (&*names[0], &*names[6], &*names[10]),
        ("", "nothing.example.test", "."),
        "a name that is not counted by itself"
    );
    assert_eq!(names[13], "a\\000b\\.c\\032d.example.test");
    assert_eq!(column(&talk, "dns.opcode")[15], "STATUS");
    assert_eq!((&*column(&talk, "error.type")[16], &*column(&talk, "dns.retransmits")[16]), ("timeout", "1"));
}

#[test]
fn what_is_not_there_is_an_error_of_the_client_alone() {
    let errors = column(&udp().script(UDP), "error.type");
    assert!(errors.iter().all(String::is_empty), "the server answered: {errors:?}");
    let errors = column(&udp().at_client().script(UDP), "error.type");
    let told: Vec<&str> = errors.iter().map(String::as_str).filter(|error| !error.is_empty()).collect();
    assert_eq!(told, ["NXDOMAIN", "REFUSED", "REFUSED", "NXDOMAIN", "REFUSED"]);
    let failed = udp().script(QUERY).script(FAILED);
    assert_eq!(column(&failed, "error.type"), ["SERVFAIL"], "and this is one of the server");
}

#[test]
fn over_tcp_messages_have_lengths_and_come_in_pieces() {
    let expected =
        ["A www.example.test NOERROR 1", "MX example.test NOERROR 1", "AAAA www.example.test NOERROR 1", "A * NXDOMAIN 0"];
    let tcp = || Talk::tcp("10.0.0.7:40000", 53);
    assert_eq!(brief(&tcp().script(TCP).end()), expected);
    // All questions in one call, then all answers a byte at a time.
    let records = tcp().script(TCP).records();
    let said = |direction: u8| -> Vec<u8> {
        records.iter().filter(|record| record[47] == direction).flat_map(|record| record[104..].to_vec()).collect()
    };
    let talk = said(1).iter().fold(tcp().client(&said(0)), |talk, byte| talk.server(&[*byte]));
    assert_eq!(brief(&talk), expected);
    // An answer that exceeds the capture does not hide those behind it.
    let cut = tcp().cut(40).script(TCP).end();
    assert_eq!(brief(&cut), expected);
}

#[test]
fn a_retransmission_is_one_lookup_of_a_client_and_answers_come_in_any_order() {
    let talk = udp().at_client().script(QUERY).script(QUERY).script(ANSWER).script(ANSWER);
    assert_eq!(column(&talk, "duration"), ["2000000"], "from the first");
    assert_eq!(column(&talk, "dns.retransmits"), ["1"]);
    let two = udp().script(QUERY).script(QUERY).script(ANSWER).script(ANSWER);
    assert_eq!(column(&two, "duration"), ["2000000", "2000000"], "two clients of one socket may ask the same");
    let other = |id: &str, line: &str| line.replacen("Lo", id, 1);
    let crossed = udp().script(QUERY).script(&other("Hi", QUERY)).script(&other("Hi", ANSWER)).script(ANSWER);
    assert_eq!(column(&crossed, "duration"), ["1000000", "3000000"]);
    let strange = udp().script(QUERY).script(&other("Hi", ANSWER)).script(ANSWER);
    assert_eq!(column(&strange, "duration"), ["2000000"], "an answer that nobody asked for");
}

#[test]
fn an_answer_that_does_not_repeat_the_question_is_found_by_its_id() {
    let refused = udp().script(QUERY).script("< Lo\\x80\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\n");
    assert_eq!(brief(&refused), ["A * REFUSED 0"]);
    let other = udp().script(QUERY).script("< Hi\\x80\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\n");
    assert_eq!(brief(&other), [""; 0]);
}

#[test]
fn both_ends_of_a_lookup_know_it_by_the_same_number() {
    let ends = [udp().peer_local(), udp().at_client()].map(|talk| column(&talk.script(QUERY).script(ANSWER), "correlation"));
    assert_eq!(ends[0], ends[1]);
    assert_ne!(ends[0], ["0"]);
}

#[test]
fn after_256_names_the_others_are_counted_together() {
    let name = |n: usize, line: &str| line.replacen("\\x03www", &format!("\\x04n{n:03}"), 1);
    let talk = (0..300).fold(udp(), |talk, n| talk.script(&name(n, QUERY)).script(&name(n, ANSWER)));
    let names = column(&talk, "dns.question.name");
    assert_eq!((&*names[0], &*names[255], &*names[256]), ("n000.example.test", "n255.example.test", "*"));
    assert_eq!(column(&talk, "dns.question.qname")[299], "n299.example.test");
}

#[test]
fn an_answer_that_another_thread_received_before_its_question_was_seen_belongs_to_it() {
    let client = || udp().at_client();
    assert_eq!(brief(&client().script(&format!("{QUERY}{ANSWER}")).swapped()), ["A www.example.test NOERROR 1"]);
    let late = client().script(ANSWER).after_ms(200).script(QUERY).script(ANSWER);
    assert_eq!(column(&late, "duration"), ["1000000"], "an answer to nothing is not kept for long");
}
