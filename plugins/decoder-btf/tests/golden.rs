//! Structs as BTF describes them, and the rows of their records.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_btf::Decoder;
use plugin_sdk::testing::{Draft, decode_all, header_layout, run};
use plugin_sdk::{Config, Decoder as _, EventSchema, FieldUse, Instrument, MemberKind, RecordLayout, Sensitivity, Signal};

/// A user's own probe.
const HEADER: &str = "struct query_event {
    __u64 time_ns;
    __u64 duration_ns;
    __u32 tgid;
    __u32 pid;
    __s32 ret;
    __u16 Port;
    __u8 flag;
    __u8 digest[3];
    char comm[16];
    char query[];
};";

fn layout() -> RecordLayout {
    header_layout(HEADER, "query_event").unwrap()
}

fn bind(layout: &RecordLayout, config: &str) -> Result<Decoder, String> {
    Decoder::bind("query-probe", layout, Config::new(config))
}

fn uses(schema: &EventSchema) -> Vec<(&str, FieldUse)> {
    let used = schema.fields.iter().filter(|field| field.use_ != FieldUse::Plain);
    used.map(|field| (&*field.name, field.use_)).collect()
}

#[test]
fn without_configuration_every_member_is_a_field_and_conventional_names_have_their_use() {
    let record = Draft::new(layout())
        .put("time_ns", 70)
        .put("duration_ns", 9)
        .put("tgid", 4711)
        .put("pid", 4712)
        .put("ret", -110)
        .put("Port", 5432)
        .put("flag", 1)
        .bytes("digest", &[1, 2, 255])
        .bytes("comm", b"psql")
        .bytes("query", b"select 1\0behind");
    let mut decoder = bind(&layout(), "{}").unwrap();
    assert_eq!(
        decode_all(&mut decoder, &run([&record.finish()[..]])).unwrap(),
        [[
            "time_ns=70",
            "duration_ns=9",
            "process.pid=4711",
            "thread.id=4712",
            "ret=-110",
            "port=5432",
            "flag=1",
            "digest=[01, 02, ff]",
            "thread.name=psql",
            "query=select 1",
            "error.type=ETIMEDOUT",
        ]]
    );
    let schema = decoder.schema();
    let used = [("time_ns", FieldUse::Time), ("duration_ns", FieldUse::Duration), ("error.type", FieldUse::Error)];
    assert_eq!(uses(schema), used);
    assert_eq!((&*schema.event, schema.signal), ("query_probe", Signal::Span));
    let metrics: Vec<_> = schema.metrics.iter().map(|metric| (&*metric.name, metric.instrument, metric.value)).collect();
    assert_eq!(metrics, [("query_probe.duration", Instrument::Histogram, 1), ("query_probe.count", Instrument::Counter, 0)]);
}

#[test]
fn a_struct_without_any_time_still_has_one_of_zero() {
    let layout = header_layout("struct tiny { __u32 value; };", "tiny").unwrap();
    let mut decoder = bind(&layout, "{}").unwrap();
    assert_eq!(decode_all(&mut decoder, &run([[5, 0, 0, 0].as_slice()])).unwrap(), [["value=5", "event.time=0"]]);
    assert_eq!(uses(decoder.schema()), [("event.time", FieldUse::Time)]);
    assert_eq!(decoder.schema().signal, Signal::Log);
}

#[test]
fn the_settings_name_members() {
    let header = "struct io { __u64 began; __u64 took; __u32 device; __u32 status; char what[8]; };";
    let layout = header_layout(&header.replace("; ", ";\n"), "io").unwrap();
    let config = r#"{"time": "began", "duration": "took", "error": "status", "event": "disk.io", "signal": "none",
        "dimensions": ["device"], "sensitive": ["what"]}"#;
    let decoder = bind(&layout, config).unwrap();
    let schema = decoder.schema();
    assert_eq!((&*schema.event, schema.signal), ("disk.io", Signal::None));
    assert_eq!(
        uses(schema),
        [
            ("began", FieldUse::Time),
            ("took", FieldUse::Duration),
            ("device", FieldUse::Dimension),
            ("error.type", FieldUse::Error)
        ]
    );
    assert_eq!(schema.fields[4].sensitivity, Sensitivity::Payload);
    assert_eq!((&*schema.fields[1].unit, &*schema.metrics[0].name), ("ns", "disk.io.duration"));
}

#[test]
fn a_setting_that_names_no_such_member_is_refused_with_those_there_are() {
    let refusal = |config: &str| bind(&layout(), config).err().unwrap();
    assert!(refusal(r#"{"time": "when"}"#).contains("`struct query_event` does not have; it has `time_ns`, `duration_ns`"));
    assert!(refusal(r#"{"duration": "ret"}"#).contains("not an unsigned 64-bit number"));
    assert!(refusal(r#"{"error": "comm"}"#).contains("not a number"));
    assert!(refusal(r#"{"tiem": "ts"}"#).contains("unknown field `tiem`, expected one of `time`"));
}

#[test]
fn a_return_value_fails_below_zero_and_an_error_when_it_is_not_zero() {
    let errors = |member: &str, c_type: &str, value: i128| {
        let layout = header_layout(&format!("struct one {{\n{c_type} {member};\n}};"), "one").unwrap();
        let record = Draft::new(layout.clone()).put(member, value).finish();
        decode_all(&mut bind(&layout, "{}").unwrap(), &run([&record[..]])).unwrap().remove(0).pop().unwrap()
    };
    assert_eq!(errors("ret", "__s64", 3), "error.type=");
    assert_eq!(errors("ret", "__s64", -2), "error.type=ENOENT");
    assert_eq!(errors("err", "__s32", -2), "error.type=ENOENT");
    assert_eq!(errors("errno", "__u32", 2), "error.type=ENOENT");
    assert_eq!(errors("errno", "__u32", 0), "error.type=");
}

#[test]
fn hostile_layouts_and_records_never_panic() {
    let mut layout = layout();
    layout.members[2].offset = u32::MAX;
    layout.members[8].size = u32::MAX;
    layout.members[9].name = "time_ns".into();
    layout.members[9].offset = 5000;
    layout.members[5].kind = MemberKind::Bytes;
    let mut decoder = bind(&layout, "{}").unwrap();
    let rows = decode_all(&mut decoder, &run([vec![0xff; 6000].as_slice(), b"short"])).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1], ["#1"]);
    layout.members = vec![layout.members[0].clone(); 300];
    assert!(bind(&layout, "{}").err().unwrap().contains("300 members"));
}
