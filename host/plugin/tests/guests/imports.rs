//! The host's functions for a guest: granted ones, and the reasons for those that are not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, StringArray, UInt32Array};
use host_model::{FaultKind, Looked, MapAccess, MapError, TableError, Tables};
use host_plugin::{Clock, Component, Grants, Host, Setup};

use crate::{ENGINE, batch, build, curious, sampler, schema, told};

/// One table, `process`, with a text and a number for every key.
struct Processes;

impl Tables for Processes {
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String], _within: Duration) -> Result<Looked, TableError> {
        if table != "process" {
            return Err(TableError::NoTable(table.into()));
        }
        let column = |name: &String| match name.as_str() {
            "executable.path" => {
                Ok(Arc::new(StringArray::from_iter_values(keys.iter().map(|key| format!("/bin/{key}")))) as ArrayRef)
            }
            "parent_pid" => Ok(Arc::new(UInt32Array::from_iter_values(keys.iter().map(|&key| key as u32 + 100))) as ArrayRef),
            other => Err(TableError::NoColumn(other.into())),
        };
        Ok(Looked { columns: columns.iter().map(column).collect::<Result<_, _>>()?, left_out: 0 })
    }
}

/// A table that is slow: it takes twice its time, and finds nothing.
#[derive(Default)]
struct Slow(Mutex<Vec<Duration>>);

impl Tables for Slow {
    fn lookup(&self, _table: &str, keys: &[u64], columns: &[String], within: Duration) -> Result<Looked, TableError> {
        self.0.lock().unwrap().push(within);
        std::thread::sleep(within * 2);
        let nothing = || Arc::new(StringArray::from(vec![""; keys.len()])) as ArrayRef;
        Ok(Looked { columns: columns.iter().map(|_| nothing()).collect(), left_out: keys.len() as u64 })
    }
}

/// Maps that are a hash map.
#[derive(Default)]
struct Maps(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl MapAccess for Maps {
    fn lookup(&self, _map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn update(&self, _map: &str, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }

    fn delete(&self, _map: &str, key: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().remove(key).map(drop).ok_or(MapError::Kernel(2))
    }
}

/// A clock that stands still.
pub(crate) struct Noon;

impl Clock for Noon {
    fn monotonic(&self) -> u64 {
        12
    }

    fn realtime(&self) -> u64 {
        1200
    }
}

/// Returns the guest's column for two rows, whose keys are 0 and 1.
fn answers(host: &Host, grants: &[&str], config: &str) -> [String; 2] {
    let setup = Setup { config: config.into(), grants: Grants::parse(grants).unwrap(), host: host.clone(), ..Setup::default() };
    let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
    let columns = enricher.enrich(&batch(2)).unwrap();
    let answers = columns[0].as_string::<i32>();
    [answers.value(0).into(), answers.value(1).into()]
}

fn host() -> Host {
    Host { tables: Arc::new(Processes), maps: Arc::new(Maps::default()), clock: Arc::new(Noon) }
}

#[test]
fn a_table_answers_for_every_key() {
    let grants = ["tables:process", "maps:a", "clock"];
    let ask =
        |column: &str| answers(&host(), &grants, &format!(r#"{{"ask": "table", "name": "process", "column": "{column}"}}"#));
    assert_eq!(ask("executable.path"), ["/bin/0", "/bin/1"]);
    assert_eq!(ask("parent_pid"), ["100", "101"]);
    assert!(ask("shoe.size")[0].contains("NoSuchColumn"), "{:?}", ask("shoe.size"));
}

#[test]
fn a_table_that_is_not_granted_says_which_words_would_grant_it() {
    let grants = ["tables:process:executable.path", "maps:a", "clock"];
    let ask = |name: &str, column: &str| {
        answers(&host(), &grants, &format!(r#"{{"ask": "table", "name": "{name}", "column": "{column}"}}"#))[0].clone()
    };
    assert!(ask("process", "parent_pid").contains("tables:process:parent_pid"));
    assert!(ask("dns", "name").contains("tables:dns"));
}

#[test]
fn a_lookup_that_would_hold_up_the_path_is_not_made() {
    let config = r#"{"ask": "too-much", "name": "process", "column": "executable.path"}"#;
    assert!(answers(&host(), &["tables", "maps:a", "clock"], config)[0].contains("at most 262144 values"));
}

#[test]
fn a_table_is_given_half_of_the_time_of_the_call_and_all_that_the_host_waits_counts_against_it() {
    let slow = Arc::new(Slow::default());
    let host = Host { tables: Arc::clone(&slow) as Arc<dyn Tables>, ..host() };
    let config = r#"{"ask": "table", "name": "process", "column": "executable.path"}"#;
    let setup = Setup {
        config: config.into(),
        grants: Grants::parse(&["tables", "maps:a", "clock"]).unwrap(),
        host,
        ..Setup::default()
    };
    let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
    let began = Instant::now();
    let fault = enricher.enrich(&batch(2)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault}");
    let within = slow.0.lock().unwrap()[0];
    assert!(within <= Duration::from_millis(125) && within >= Duration::from_millis(50), "{within:?}");
    assert_eq!(enricher.stats().lookups_left_out.load(Relaxed), 2);
    // The table has used its reading time of a quarter of a second, and gets no more before that has passed.
    let _ = enricher.enrich(&batch(2));
    let again = slow.0.lock().unwrap()[1];
    assert!(again < within || began.elapsed() > Duration::from_millis(500), "{again:?}");
}

#[test]
fn a_map_is_read_and_written_within_its_grant() {
    let host = host();
    let rows = ["maps:rates:rw:00", "tables", "clock"];
    let ask = |way: &str, grants: &[&str]| answers(&host, grants, &format!(r#"{{"ask": "{way}", "name": "rates"}}"#));
    let written = ask("write", &rows);
    assert_eq!(written[0], "Ok(())");
    assert!(written[1].contains("NotGranted"), "its key does not begin with 00: {written:?}");
    assert!(ask("map", &["maps:other", "tables", "clock"])[0].contains("`maps:rates` in `grants`"));
    let read = ask("map", &["maps:rates", "tables", "clock"]);
    assert_eq!(read[0], format!("Ok(Some({:?}))", b"v"));
    assert_eq!(read[1], "Ok(None)");
    assert!(ask("write", &["maps:rates", "tables", "clock"])[0].contains("maps:rates:rw"));
    assert_eq!(ask("delete", &rows)[0], "Ok(())");
    assert!(ask("delete", &rows)[0].contains("Kernel(2)"));
}

#[test]
fn a_map_is_written_no_more_often_than_granted_and_what_is_refused_is_counted() {
    let setup = Setup {
        config: r#"{"ask": "write", "name": "rates"}"#.into(),
        grants: Grants::parse(&["maps:rates:rw::3/s", "tables", "clock"]).unwrap(),
        host: host(),
        ..Setup::default()
    };
    let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
    let columns = enricher.enrich(&batch(5)).unwrap();
    let answers: Vec<&str> = columns[0].as_string::<i32>().iter().flatten().collect();
    assert_eq!(answers[..3], ["Ok(())"; 3]);
    assert!(answers[4].contains("3 updates a second"), "{answers:?}");
    assert!((1..=2).contains(&enricher.stats().updates_left_out.load(Relaxed)));
}

#[test]
fn random_numbers_are_granted_by_name_and_differ() {
    let component = Component::compile(&ENGINE, build::lucky(), "lucky").unwrap();
    let bind = |grants: &[&str], config: &str| {
        let setup = Setup { config: config.into(), grants: Grants::parse(grants).unwrap(), ..Setup::default() };
        component.enricher(component.inspection().id("enricher.lucky", 1), &schema(), setup)
    };
    let refused = bind(&["clock"], "{}").err().unwrap();
    assert!(refused.cure.contains("`random`"), "{refused:?}");
    let columns = bind(&["random"], r#"{"count": 1000}"#).unwrap().enrich(&batch(2)).unwrap();
    let answers = columns[0].as_string::<i32>();
    assert_ne!(answers.value(0), answers.value(1));
    assert!(answers.value(0).contains(" 1000 "), "{answers:?}");
    let mut greedy = bind(&["random"], r#"{"count": 70000}"#).unwrap();
    assert!(greedy.enrich(&batch(1)).unwrap_err().detail.contains("65536"));
}

/// Log lines in the format of a subscriber.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Returns the log of an action.
    pub(crate) fn of(act: impl FnOnce()) -> String {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_of_a_guest_carry_its_name_cannot_move_the_cursor_and_are_limited() {
    let text = Lines::of(|| {
        let mut sampler = sampler(told("noisy")).unwrap();
        sampler.decide(&batch(1)).unwrap();
    });
    assert!(!text.contains('\x1b'), "{text}");
    let written = text.lines().filter(|line| line.contains("[2Jline ")).count();
    assert!((20..=40).contains(&written), "{written}");
    assert!(text.contains("faulty@1.2.3 (sampler, generation 1)"), "{text}");
    let suppressed: usize =
        text.split("suppressed=").skip(1).map(|rest| rest.split_whitespace().next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(written + suppressed, 1000);
}

/// A clock that runs.
#[derive(Default)]
struct Running(AtomicU64);

impl Clock for Running {
    fn monotonic(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    fn realtime(&self) -> u64 {
        0
    }
}

#[test]
fn an_instance_that_binds_differently_when_it_is_built_again_is_not_called() {
    let setup = Setup {
        config: r#"{"ask": "nothing", "drift": true}"#.into(),
        grants: Grants::parse(&["maps:a", "tables", "clock"]).unwrap(),
        host: Host { clock: Arc::new(Running::default()), ..Host::default() },
        ..Setup::default()
    };
    let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
    assert_eq!(enricher.added()[0].name, "guest.answer0");
    assert_eq!(enricher.enrich(&batch(1)).unwrap_err().kind, FaultKind::Trap);
    let fault = enricher.enrich(&batch(1)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Contract);
    assert!(fault.detail.contains("answered `bind` differently"), "{fault}");
}

#[test]
fn clocks_are_those_that_the_host_was_given() {
    assert_eq!(answers(&host(), &["maps:a", "tables", "clock"], r#"{"ask": "clock"}"#), ["12 1200", "12 1200"]);
    let host = Host::default();
    let [times, _] = answers(&host, &["maps:a", "tables", "clock"], r#"{"ask": "clock"}"#);
    let real: u64 = times.split_once(' ').unwrap().1.parse().unwrap();
    assert!(real > 1_700_000_000_000_000_000, "{times}");
}
