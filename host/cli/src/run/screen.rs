//! The live table: one frame, as lines of text.

use host_api::{Origin, Status};

use super::canvas::Canvas;
use super::rates::{History, PathRate};
use super::traffic::Traffic;
use crate::output::{bytes, grouped, short, since};
use crate::printable::clipped;
use crate::status;
use crate::style::{Tone, paint};

/// Returns the lines of one frame, within the size of the canvas.
pub(super) fn frame(history: &History, traffic: &Traffic, events: &[String], canvas: Canvas) -> Vec<String> {
    let Some(now) = history.last() else {
        return vec!["starting".to_owned()];
    };
    let mut lines = head(now, history.cpu_percent(), canvas);
    lines.push(String::new());
    let headings = format!(
        "{:<12}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{:>7}",
        "PATH", "EVENTS/S", "KEPT/S", "OUT/S", "LOST", "DROPPED", "NS/ROW", "TRAPS"
    );
    lines.push(styled(&headings, Tone::Strong, canvas));
    lines.extend(history.rates().iter().map(|rate| row(rate, canvas)));
    for failure in now.probes.iter().filter_map(status::failure) {
        lines.push(styled(failure.trim_end(), Tone::Bad, canvas));
    }
    if let Some(last) = now.swaps.last() {
        lines.push(styled(&format!("swapped {}", status::line(last, "")), Tone::Faint, canvas));
    }
    lines.push(String::new());
    // Requests get most of the room; a few events remain visible.
    let room = canvas.height.saturating_sub(lines.len() + 1);
    let requests = traffic.lines(canvas, room - room / 4);
    if !requests.is_empty() {
        lines.extend(requests);
        lines.push(String::new());
    }
    let room = canvas.height.saturating_sub(lines.len());
    let newest = events.get(events.len().saturating_sub(room)..).unwrap_or_default();
    lines.extend(newest.iter().map(|event| clipped(event, canvas.width)));
    lines.truncate(canvas.height);
    lines
}

/// Formats the version of the host, its figures, and the destination of its data.
fn head(now: &Status, cpu_percent: f64, canvas: Canvas) -> Vec<String> {
    let who = format!(
        "host {}  up {}  memory {}  cpu {cpu_percent:.1} %  swaps {}  Ctrl-C ends",
        clipped(&now.version, 16),
        since(now.uptime_ms),
        bytes(now.process.rss_bytes),
        grouped(now.swaps.len() as u64),
    );
    let mut lines = vec![styled(&who, Tone::Strong, canvas)];
    if now.mode == Origin::Replay {
        lines.push(styled("REPLAY: these events were captured on another machine, not here", Tone::Attention, canvas));
    }
    if !now.balanced {
        lines.push(styled("UNBALANCED: `host status` says where; please report this", Tone::Bad, canvas));
    }
    lines.extend(status::export(&now.export).lines().map(|line| styled(line, Tone::Faint, canvas)));
    lines
}

fn row(rate: &PathRate, canvas: Canvas) -> String {
    let cost = rate.plugin_ns_per_row.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.0}"));
    let text = format!(
        "{:<12}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{:>7}",
        clipped(&rate.probe, 11),
        short(rate.produced),
        short(rate.kept),
        short(rate.exported),
        short(rate.lost as f64),
        short(rate.dropped as f64),
        cost,
        grouped(rate.traps)
    );
    let trouble = rate.lost > 0 || rate.dropped > 0 || rate.traps > 0;
    if trouble { styled(&text, Tone::Attention, canvas) } else { clipped(&text, canvas.width) }
}

fn styled(text: &str, tone: Tone, canvas: Canvas) -> String {
    paint(canvas.coloured, tone, &clipped(text, canvas.width))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::requests::tests::request;
    use crate::status::tests::status;

    const CANVAS: Canvas = Canvas { width: 80, height: 24, coloured: false };

    fn history() -> History {
        let mut history = History::default();
        let start = Instant::now();
        let mut before = status();
        before.paths[0].ledger.produced -= 48_200;
        before.paths[0].ledger.kept -= 2_410;
        before.paths[0].ledger.exported -= 2_410;
        before.process.cpu_ms -= 23;
        history.push(start, before);
        history.push(start + Duration::from_secs(1), status());
        history
    }

    #[test]
    fn a_frame_shows_rates_costs_and_the_last_events() {
        let expected = "\
host 0.1.0  up 3m12s  memory 41.0 MiB  cpu 2.3 %  swaps 1  Ctrl-C ends
collector http://localhost:4317  waiting 512 B of 32.0 MiB  retries 2
  last error: UNAVAILABLE: connection refused

PATH          EVENTS/S    KEPT/S     OUT/S     LOST  DROPPED   NS/ROW  TRAPS
file             48.2k     2.41k     2.41k        5        0        -      1
probe tcp FAILED: raw_tp/inet_sock_set_state needs BTF, this kernel has none
swapped sampler: sampler-ratio@0.1.0 (1) -> sampler-rate@0.3.0 (2), 41.3 us, co…

one
two\u{fffd}[2J";
        let events = ["one".to_owned(), "two\x1b[2J".to_owned()];
        assert_eq!(frame(&history(), &Traffic::default(), &events, CANVAS).join("\n"), expected);
    }

    fn busy() -> Traffic {
        let mut traffic = Traffic::default();
        let routes = (0..100).map(|route| request("nginx", "server", "GET", &format!("/{route}"), "200", 1));
        traffic.push(Instant::now(), routes.collect());
        traffic
    }

    #[test]
    fn requests_stand_between_the_paths_and_the_events() {
        let lines = frame(&history(), &busy(), &["an event".to_owned()], CANVAS);
        let place = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap();
        assert!(place("PATH") < place("  METHOD") && place("nginx:80") < place("an event"), "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  GET")).count(), 8);
        assert!(lines.len() <= 24);
    }

    #[test]
    fn a_frame_never_outgrows_its_canvas() {
        let events = vec!["e".repeat(500); 100];
        for (width, height) in [(20, 4), (80, 24), (200, 60)] {
            let lines = frame(&history(), &busy(), &events, Canvas { width, height, coloured: false });
            assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width));
        }
    }

    #[test]
    fn a_replay_says_that_it_is_one() {
        let mut history = History::default();
        history.push(Instant::now(), Status { mode: Origin::Replay, ..status() });
        assert!(frame(&history, &Traffic::default(), &[], CANVAS).iter().any(|line| line.starts_with("REPLAY")));
    }
}
