//! The tools of the tests: small limits, plugins from guests, and checks of failed calls and loads.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, UInt64Array};
use host_model::{
    Batch, ColumnType, Decoded, Decoder, Enricher, Fault, FaultKind, Field, FieldUse, Layout, Member, MemberKind, PluginId,
    Run, Sampler, Schema, Sensitivity, Signal,
};
use host_plugin::{Component, Engine, Limits, PluginError, Setup, Step};
use host_tests::guests::conformance::{Guest, behaves};

/// One engine for all tests, as in the host.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

/// Maximum time of calls in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_millis(60);

/// Returns limits that are reached soon.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits { memory_bytes: 8 << 20, recycle_bytes: 4 << 20, output_bytes: 1 << 20, ..Limits::default() };
    limits.state_bytes = 64 << 10;
    limits.host_calls = 1000;
    limits.table_elements = 1000;
    limits.quarantine = None;
    let deadlines = &mut limits.deadlines;
    // Longer: instances are created in it, on a machine that may be busy.
    deadlines.bind = Duration::from_millis(500);
    (deadlines.decode, deadlines.decide, deadlines.tune) = (DEADLINE, DEADLINE, DEADLINE);
    (deadlines.enrich, deadlines.handover) = (DEADLINE, DEADLINE);
    limits
}

pub(crate) fn setup() -> Setup {
    Setup { limits: limits(), ..Setup::default() }
}

pub(crate) fn granted(words: &[&str]) -> Setup {
    Setup { grants: host_plugin::Grants::parse(words).unwrap(), ..setup() }
}

pub(crate) fn compile<G: Guest>() -> Result<Component, PluginError> {
    Component::compile(&ENGINE, &G::bytes(), G::NAME)
}

pub(crate) fn decoder<G: Guest>() -> Result<Box<dyn Decoder>, PluginError> {
    decoder_with::<G>(setup())
}

pub(crate) fn decoder_with<G: Guest>(setup: Setup) -> Result<Box<dyn Decoder>, PluginError> {
    let component = compile::<G>()?;
    component.decoder(id(&component, "decoder.test"), "test", &layout(), setup)
}

pub(crate) fn sampler<G: Guest>() -> Result<Box<dyn Sampler>, PluginError> {
    sampler_with::<G>(setup())
}

pub(crate) fn sampler_with<G: Guest>(setup: Setup) -> Result<Box<dyn Sampler>, PluginError> {
    let component = compile::<G>()?;
    component.sampler(id(&component, "sampler"), &schema(), setup)
}

pub(crate) fn enricher<G: Guest>() -> Result<Box<dyn Enricher>, PluginError> {
    let component = compile::<G>()?;
    component.enricher(id(&component, "enricher.test"), &schema(), setup())
}

fn id(component: &Component, slot: &str) -> PluginId {
    component.inspection().id(slot, 1)
}

/// Decodes three records, all fields at once.
pub(crate) fn decode(decoder: &mut dyn Decoder) -> Result<Decoded, Fault> {
    let fields: Vec<usize> = (0..decoder.schema().fields.len()).collect();
    let bytes = records(3);
    decoder.decode(Run::parse(&bytes).unwrap(), &fields)
}

/// Checks the fault of a call: of this kind, with these words, printable, and counted once.
#[track_caller]
pub(crate) fn faults<T>(answer: Result<T, Fault>, kind: FaultKind, words: &str) -> Fault {
    let Err(fault) = answer else { panic!("the call did not fail") };
    assert_eq!(fault.kind, kind, "{fault}");
    assert!(fault.detail.contains(words), "{fault}");
    assert!(!fault.to_string().chars().any(char::is_control), "{fault:?}");
    assert!(fault.to_string().len() < 2048, "{} bytes of words", fault.to_string().len());
    fault
}

/// Checks the error of a load: at this step, with these words and this cure, printable.
#[track_caller]
pub(crate) fn refused<T>(load: Result<T, PluginError>, step: Step, words: &str, cure: &str) {
    let Err(error) = load else { panic!("the load did not fail") };
    assert_eq!(error.step, step, "{error}");
    assert!(error.problem.contains(words), "{error}");
    assert!(error.cure.contains(cure), "{}", error.cure);
    let text = format!("{error} {}", error.cure);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() < 4096, "{} bytes of words", text.len());
}

/// Checks the fault of a call that does not return: it comes at the deadline, and not much later.
#[track_caller]
pub(crate) fn late<T>(call: impl FnOnce() -> Result<T, Fault>) {
    let start = Instant::now();
    faults(call(), FaultKind::Deadline, "it did not return within 60 ms");
    let took = start.elapsed();
    assert!(took >= DEADLINE, "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Checks that good plugins still work, old instances and new ones.
pub(crate) fn others_live_on() {
    struct Others {
        decoder: Box<dyn Decoder>,
        sampler: Box<dyn Sampler>,
        enricher: Box<dyn Enricher>,
        rows: u64,
    }
    static BEHAVES: LazyLock<Component> = LazyLock::new(|| compile::<behaves>().unwrap());
    fn others() -> Others {
        let component = &*BEHAVES;
        Others {
            decoder: component.decoder(id(component, "decoder.test"), "test", &layout(), Setup::default()).unwrap(),
            sampler: component.sampler(id(component, "sampler"), &schema(), Setup::default()).unwrap(),
            enricher: component.enricher(id(component, "enricher.test"), &schema(), Setup::default()).unwrap(),
            rows: 0,
        }
    }
    static OLD: LazyLock<Mutex<Others>> = LazyLock::new(|| Mutex::new(others()));
    let check = |others: &mut Others| {
        let decoded = decode(&mut *others.decoder).unwrap();
        let numbers: Vec<u64> = (others.rows + 1..=others.rows + 3).collect();
        assert_eq!(decoded.batch.column(2).unwrap().as_primitive::<UInt64Type>().values(), numbers.as_slice());
        others.rows += 3;
        assert_eq!(others.sampler.decide(&batch(5)).unwrap().thresholds, [0]);
        assert_eq!(others.enricher.enrich(&batch(5)).unwrap()[0].as_string::<i32>().value(4), "row 4");
    };
    check(&mut OLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    check(&mut others());
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

/// The schema that samplers and enrichers are bound to: only the time.
pub(crate) fn schema() -> Arc<Schema> {
    let time = Field {
        name: "time".into(),
        column_type: ColumnType::U64,
        unit: String::new(),
        field_use: FieldUse::Time,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    Arc::new(Schema { event: "test.event".into(), signal: Signal::Span, fields: vec![time], metrics: Vec::new() })
}

/// A batch of that schema.
pub(crate) fn batch(rows: u64) -> Batch {
    let mut batch = Batch::new(schema(), rows as usize);
    let times: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
    batch.put(&[0], vec![times]);
    batch
}

/// Records framed like in a ring.
pub(crate) fn records(rows: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in 0..rows {
        let record = [row.to_le_bytes(), (row * 7).to_le_bytes()].concat();
        Run::push(&mut bytes, &[record, format!("/file/{row}").into_bytes()].concat());
    }
    bytes
}
