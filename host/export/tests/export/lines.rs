//! Outputs without a collector.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_export::{ConsoleStyle, ExportSettings, Exporter, Output};
use host_model::{DeliveryCounters, FieldUse, Kept, Sensitivity, Signal};
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::rows::{Rows, extremes, spans};

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

impl Page {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

fn start(settings: ExportSettings, output: Output) -> Exporter {
    Exporter::start(settings, output, &tokio::runtime::Handle::current()).unwrap()
}

async fn write(output: Output, kept: &Kept) -> Arc<DeliveryCounters> {
    let exporter = start(ExportSettings::default(), output);
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(kept);
    exporter.drain(Duration::from_secs(10)).await;
    counters
}

fn row() -> Rows {
    Rows::new(Signal::Span, 1)
        .u64("duration", FieldUse::Duration, vec![1_500])
        .text("error.type", FieldUse::Error, vec!["ENOENT"])
        .text("file.path", FieldUse::Plain, vec!["/tmp/\"\x1b[2J\u{202e}x"])
        .u64("process.pid", FieldUse::Plain, vec![u64::MAX])
        .f64("ratio", vec![f64::NAN])
        .boolean("ok", vec![1])
        .bytes("raw", vec![b"\x00\xff"])
        .text("secret", FieldUse::Plain, vec!["s3cret"])
        .sensitive(Sensitivity::Payload)
}

#[tokio::test]
async fn a_row_is_one_json_object_with_the_names_of_opentelemetry() {
    let page = Page::default();
    let mut rows = row();
    rows.thresholds = vec![0x80_0000_0000_0000];
    let counters = write(Output::Jsonl(Box::new(page.clone())), &rows.kept()).await;
    let lines = page.lines();
    let mut object: Value = serde_json::from_str(&lines[0]).unwrap();
    let (trace, span) = (object["trace_id"].take(), object["span_id"].take());
    assert_eq!((trace.as_str().unwrap().len(), span.as_str().unwrap().len()), (32, 16));
    assert!(trace.as_str().unwrap().ends_with("ff000000000000"));
    let expected = json!({
        "time": "2023-11-14T22:13:21.000000000Z", "probe": "file", "signal": "span", "name": "file.open", "duration_ns": 1500,
        "kind": "internal", "status": "error", "trace_id": null, "span_id": null, "threshold": "8", "withheld": 1,
        "attributes": {
            "error.type": "ENOENT", "file.path": "/tmp/\"\u{1b}[2J\u{202e}x", "process.pid": u64::MAX, "ratio": null, "ok": true,
            "raw": "00ff",
        },
    });
    assert_eq!(object, expected);
    assert!(!lines[0].contains('\x1b'), "a control character is escaped");
    assert_eq!((lines.len(), counters.exported.load(Relaxed), counters.dropped()), (1, 1, 0));
}

#[tokio::test]
async fn a_log_row_has_body_severity_and_its_callers_ids() {
    let page = Page::default();
    let parent = "00-4bf92f3577b34da6a3ff000000000000-00f067aa0ba902b7-01";
    let kept = Rows::new(Signal::Log, 1)
        .text("body", FieldUse::Body, vec!["it ran"])
        .text("traceparent", FieldUse::TraceParent, vec![parent])
        .kept();
    write(Output::Jsonl(Box::new(page.clone())), &kept).await;
    let object: Value = serde_json::from_str(&page.lines()[0]).unwrap();
    let expected = json!({
        "time": "2023-11-14T22:13:21.000000000Z", "probe": "file", "signal": "log", "name": "file.open", "severity": "INFO",
        "body": "it ran", "trace_id": "4bf92f3577b34da6a3ff000000000000", "span_id": "00f067aa0ba902b7", "threshold": "0",
        "attributes": {},
    });
    assert_eq!(object, expected);
}

#[tokio::test]
async fn numbers_at_their_ends_are_shown_and_hurt_nobody() {
    let page = Page::default();
    write(Output::Jsonl(Box::new(page.clone())), &extremes()).await;
    let object: Value = serde_json::from_str(&page.lines().remove(0)).unwrap();
    assert_eq!((&object["time"], &object["duration_ns"]), (&json!("1970-01-01T00:00:00.999999999Z"), &json!(u64::MAX)));
    assert_eq!(object["attributes"], json!({ "least": i64::MIN, "not.a.number": null, "infinite": null }));
    let page = Page::default();
    write(Output::Console(Box::new(page.clone()), ConsoleStyle { colour: false, width: 200 }), &extremes()).await;
    assert!(page.lines().remove(0).ends_with("18446744073.71s least=-9223372036854775808 not.a.number=NaN infinite=-inf"));
}

#[tokio::test]
async fn a_console_line_is_readable_cut_and_cannot_steer_the_terminal() {
    let page = Page::default();
    let style = ConsoleStyle { colour: false, width: 80 };
    write(Output::Console(Box::new(page.clone()), style), &row().kept()).await;
    let line = page.lines().remove(0);
    assert_eq!(line, "22:13:21.000 file.open       1.5us ENOENT file.path=/tmp/\"\u{fffd}[2J\u{fffd}x process.pid=18…");
    assert_eq!(line.chars().count(), 80);
}

#[tokio::test]
async fn colours_do_not_count_as_columns() {
    let page = Page::default();
    let style = ConsoleStyle { colour: true, width: 80 };
    write(Output::Console(Box::new(page.clone()), style), &row().kept()).await;
    let line = page.lines().remove(0);
    let plain = line.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
    assert_eq!((plain.chars().count(), line.ends_with("\x1b[0m") || plain.ends_with('…')), (80, true));
}

/// An output that blocks until the test releases it, or whose reader has gone.
struct Pipe {
    go: Receiver<()>,
    broken: Arc<AtomicBool>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.go.recv();
        if self.broken.load(Relaxed) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pipe() -> (Pipe, Sender<()>, Arc<AtomicBool>) {
    let (send, go) = channel();
    let broken = Arc::<AtomicBool>::default();
    (Pipe { go, broken: Arc::clone(&broken) }, send, broken)
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_the_output_and_the_rows_are_accounted_for() {
    let (pipe, go, broken) = pipe();
    broken.store(true, Relaxed);
    drop(go);
    let exporter = start(ExportSettings::default(), Output::Jsonl(Box::new(pipe)));
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(5));
    tokio::time::timeout(Duration::from_secs(10), exporter.output_closed()).await.unwrap();
    assert!(exporter.status().output_closed);
    sink.write(&spans(2));
    assert_eq!((counters.exported.load(Relaxed), counters.dropped_at_shutdown.load(Relaxed)), (0, 7));
    exporter.drain(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn an_output_that_does_not_move_holds_up_neither_the_path_nor_the_end() {
    let (pipe, go, _) = pipe();
    let settings = ExportSettings { queue_bytes: 100_000, ..ExportSettings::default() };
    let exporter = start(settings, Output::Jsonl(Box::new(pipe)));
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    for _ in 0..100 {
        sink.write(&spans(100));
    }
    let full = counters.dropped_queue_full.load(Relaxed);
    assert!(full > 5_000, "{full}");
    exporter.drain(Duration::from_millis(20)).await;
    assert_eq!(counters.exported.load(Relaxed) + counters.dropped(), 10_000);
    assert!(counters.dropped_at_shutdown.load(Relaxed) > 0);
    drop(go);
}

#[tokio::test]
async fn beside_a_collector_an_output_is_a_view_and_counts_nothing() {
    let collector = Collector::start().await;
    let page = Page::default();
    let exporter = start(collector.settings(), Output::Jsonl(Box::new(page.clone())));
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(5));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((counters.exported.load(Relaxed), counters.dropped()), (5, 0));
    let object: Value = serde_json::from_str(&page.lines()[0]).unwrap();
    let body = collector.received(1).await.remove(0).body;
    let trace = u128::from_str_radix(object["trace_id"].as_str().unwrap(), 16).unwrap().to_be_bytes();
    assert_eq!(page.lines().len(), 5);
    assert!(body.windows(16).any(|window| window == trace), "a row has the same ids in both");
}

#[tokio::test]
async fn a_view_that_does_not_move_does_not_hold_up_the_collector() {
    let collector = Collector::start().await;
    let (pipe, go, _) = pipe();
    let settings = ExportSettings { queue_bytes: 400_000, ..collector.settings() };
    let exporter = start(settings, Output::Jsonl(Box::new(pipe)));
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    for _ in 0..10 {
        sink.write(&spans(100));
    }
    crate::collector::until("all rows are exported", || counters.exported.load(Relaxed) == 1000).await;
    assert!(exporter.status().unseen_rows > 0);
    drop(go);
}
