//! Sensitive values are not exported by any output unless the operator names their field.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_export::{ConsoleStyle, ExportSettings, Exporter, Output};
use host_model::{FieldUse, Kept, Sensitivity, Signal};

use crate::collector::Collector;
use crate::rows::Rows;

/// The text that must not appear anywhere.
const SECRET: &str = "hunter2";

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A failed row with a secret in every place that can hold text.
fn secrets(signal: Signal, sensitivity: Sensitivity) -> Kept {
    Rows::new(signal, 1)
        .u64("duration", FieldUse::Duration, vec![1_000])
        .text("said", FieldUse::Body, vec![SECRET])
        .sensitive(sensitivity)
        .text("called", FieldUse::Name, vec![SECRET])
        .sensitive(sensitivity)
        .text("db.query.text", FieldUse::Plain, vec![SECRET])
        .sensitive(sensitivity)
        .bytes("raw", vec![SECRET.as_bytes()])
        .sensitive(sensitivity)
        .text("traceparent", FieldUse::TraceParent, vec![SECRET])
        .sensitive(sensitivity)
        .text("error.type", FieldUse::Error, vec!["500"])
        .u64("correlation", FieldUse::Correlation, vec![7])
        .kept()
}

/// Returns everything that is exported, by every output: OTLP, objects, lines.
async fn all_that_leaves(kept: &Kept, sensitive: &[&str]) -> String {
    let mut seen = String::new();
    let collector = Collector::start().await;
    let named = |settings: ExportSettings| ExportSettings {
        sensitive: sensitive.iter().map(|name| (*name).to_owned()).collect(),
        ..settings
    };
    let exporter = Exporter::start(named(collector.settings()), Output::None, &tokio::runtime::Handle::current()).unwrap();
    let mut sink = exporter.sink("http", Arc::default());
    sink.write(kept);
    sink.flush();
    for received in collector.received(1).await {
        seen.push_str(&String::from_utf8_lossy(&received.body));
    }
    for console in [false, true] {
        let page = Page::default();
        let style = ConsoleStyle { colour: false, width: 1_000 };
        let output = match console {
            true => Output::Console(Box::new(page.clone()), style),
            false => Output::Jsonl(Box::new(page.clone())),
        };
        let exporter = Exporter::start(named(ExportSettings::default()), output, &tokio::runtime::Handle::current()).unwrap();
        exporter.sink("http", Arc::default()).write(kept);
        exporter.drain(Duration::from_secs(10)).await;
        seen.push_str(&String::from_utf8_lossy(&page.0.lock().unwrap()));
    }
    seen
}

#[tokio::test]
async fn payload_and_identity_leave_by_no_way() {
    for signal in [Signal::Span, Signal::Log] {
        for sensitivity in [Sensitivity::Payload, Sensitivity::Identity] {
            let seen = all_that_leaves(&secrets(signal, sensitivity), &[]).await;
            assert!(seen.contains("file.open") && seen.contains("500"), "{seen}");
            let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!seen.contains(SECRET) && !seen.contains(&hex), "{signal:?} {sensitivity:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn what_is_named_leaves_by_every_way_and_nothing_beside_it() {
    let seen = all_that_leaves(&secrets(Signal::Span, Sensitivity::Payload), &["db.query.text"]).await;
    assert_eq!(seen.matches(SECRET).count(), 3, "{seen}");
    assert!(!seen.contains("said") && !seen.contains("raw"), "{seen}");
}
