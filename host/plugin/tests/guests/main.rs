//! The host with guests: good ones, and ones that trap, loop, hoard or lie.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod build;
mod cache;
mod compiled;
mod empty_wasi;
mod faults;
mod handover;
mod imports;
mod lies;
mod limits;
mod protocol;
mod quarantine;
mod recycling;
mod refusals;
mod roles;
mod signatures;
mod worldly;

use std::sync::{Arc, LazyLock, OnceLock};

use host_model::{
    Batch, ColumnType, Decoder, Enricher, Field, FieldUse, Layout, Member, MemberKind, Run, Sampler, Schema, Sensitivity,
    Signal,
};
use host_plugin::{Component, Engine, Grants, PluginError, Setup};

/// One engine for all tests, as in the host.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

fn faulty() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| Component::compile(&ENGINE, build::faulty(), "file").unwrap())
}

fn curious() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| Component::compile(&ENGINE, build::curious(), "file").unwrap())
}

/// A setup whose configuration names the guest's behaviour.
fn told(way: &str) -> Setup {
    Setup { config: format!("{{\"do\": \"{way}\"}}"), ..Setup::default() }
}

fn granted(words: &[&str]) -> Setup {
    Setup { grants: Grants::parse(words).unwrap(), ..Setup::default() }
}

fn sampler(setup: Setup) -> Result<Box<dyn Sampler>, PluginError> {
    faulty().sampler(faulty().inspection().id("sampler", 1), &schema(), setup)
}

fn decoder(setup: Setup) -> Result<Box<dyn Decoder>, PluginError> {
    faulty().decoder(faulty().inspection().id("decoder.test", 1), "test", &layout(), setup)
}

fn enricher(setup: Setup) -> Result<Box<dyn Enricher>, PluginError> {
    faulty().enricher(faulty().inspection().id("enricher.test", 1), &schema(), setup)
}

/// `struct test_record { u64 time; u64 hash; char text[]; }`
fn layout() -> Layout {
    let member = |name: &str, offset, size, kind| Member { name: name.into(), offset, size, kind };
    let members = vec![
        member("time", 0, 8, MemberKind::Unsigned),
        member("hash", 8, 8, MemberKind::Unsigned),
        member("text", 16, 0, MemberKind::Chars),
    ];
    Layout { name: "test_record".into(), size: 16, members }
}

/// The schema that `faulty` declares as a decoder.
fn schema() -> Arc<Schema> {
    let field = |name: &str, column_type, field_use| Field {
        name: name.into(),
        column_type,
        unit: String::new(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    let fields = vec![
        field("time", ColumnType::U64, FieldUse::Time),
        field("hash", ColumnType::U64, FieldUse::Plain),
        field("file.path", ColumnType::Text, FieldUse::Plain),
    ];
    Arc::new(Schema { event: "test.event".into(), signal: Signal::Span, fields, metrics: Vec::new() })
}

/// A batch of `rows` rows: times 0, 1, 2 ..., hashes 0, 7, 14 ...
fn batch(rows: u64) -> Batch {
    use arrow_array::{ArrayRef, StringArray, UInt64Array};
    let mut batch = Batch::new(schema(), rows as usize);
    let times: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
    let hashes: ArrayRef = Arc::new(UInt64Array::from_iter_values((0..rows).map(|row| row * 7)));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("/file/{row}"))));
    batch.put(&[0, 1, 2], vec![times, hashes, paths]);
    batch
}

/// Records as `test_record`, framed as a ring frames them.
fn records(rows: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in 0..rows {
        let record = [row.to_le_bytes(), (row * 7).to_le_bytes()].concat();
        Run::push(&mut bytes, &[record, format!("/file/{row}").into_bytes()].concat());
    }
    bytes
}
