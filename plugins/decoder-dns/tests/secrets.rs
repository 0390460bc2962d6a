//! Of an answer, only its code and its number of records are exported.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_dns::Dns;
use plugin_sdk::testing::Talk;

/// The text that must not be in any field.
const SECRET: &str = "hunter2";

/// `a.test`, as encoded in a question.
const NAME: &[u8] = b"\x01a\x04test\0";

/// A message with one question, these numbers of answers and of other records, and the records.
fn message(flags: u16, question: u16, answers: u16, others: u16, records: &[u8]) -> Vec<u8> {
    let numbers = [0x4711, flags, 1, answers, 0, others].map(u16::to_be_bytes).concat();
    [&numbers, NAME, &question.to_be_bytes(), &[0, 1], records].concat()
}

/// A record of this type for the question's name.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    [&[0xc0, 12], &kind.to_be_bytes()[..], &[0, 1, 0, 0, 0, 60], &(data.len() as u16).to_be_bytes(), data].concat()
}

#[test]
fn no_text_no_address_and_no_option_is_told() {
    let text = [b"\x07".as_slice(), SECRET.as_bytes()].concat();
    let name = [b"\x07".as_slice(), SECRET.as_bytes(), b"\0"].concat();
    let key = [b"\x08hmac-md5\0\0\0\0\0\0\0\0\0\0\0\x07".as_slice(), SECRET.as_bytes()].concat();
    let cookie = [b"\0\x0a\0\x07".as_slice(), SECRET.as_bytes()].concat();
    let mut told = 0;
    // TXT, CNAME, MX, SRV, URI, TSIG, a cookie of EDNS, and an address that is recognised by its bytes.
    for (kind, data) in
        [(16, &text), (5, &name), (15, &name), (33, &name), (256, &text), (250, &key), (41, &cookie), (1, &text)]
    {
        let data = record(kind, data);
        let asked = message(0x0100, 16, 0, 1, &data);
        for (answers, others) in [(1, 0), (0, 1), (1, 1)] {
            let answer = message(0x8180, 16, answers, others, &data.repeat(usize::from(answers + others)));
            for cut in [usize::MAX, answer.len() - 3, asked.len() - 9] {
                for talk in [Talk::udp("10.0.0.7:40000", 53), Talk::udp("10.0.0.7:40000", 53).at_client()] {
                    let rows = talk.cut(cut).client(&asked).server(&answer).end().fields::<Dns>();
                    for (name, value) in rows.iter().flatten() {
                        assert!(!value.contains(SECRET), "{name}={value}");
                    }
                    told += rows.len();
                }
            }
        }
    }
    assert_eq!(told, 8 * 3 * 3 * 2);
}
