//! `host run`: starts the daemon, shows its activity until it ends, and prints the ledger.

mod settings;
pub(crate) mod log;
mod replay;
mod rates;
mod screen;
mod traffic;
mod canvas;
mod terminal;
mod feed;
mod lines;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use host_api::{Cause, FinalReport, Origin, Status, Step};
use host_daemon::config::{OutputName, THREADS};
use host_daemon::privilege;
use host_daemon::settings::{LastWord, View};
use host_daemon::{Daemon, Input, Settings};
use host_model::{Ledger, ProbeState};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::args::{Format, RunArgs};
use crate::exit::{Code, Done, Failure};
use crate::ledger;
use crate::output::{self, grouped};
use crate::printable::{clipped, printable};
use crate::style;
use canvas::Canvas;
use feed::Feed;
use rates::History;
pub(crate) use replay::replay;
use terminal::Terminal;
use traffic::Traffic;

/// Interval of the frames of the live table.
const FRAME: Duration = Duration::from_millis(500);

/// The final ledger, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    balanced: bool,
    mode: Origin,
    cause: Cause,
    uptime_ms: u64,
    paths: Vec<PathReport<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    hung: &'a [String],
}

#[derive(Debug, Serialize)]
struct PathReport<'a> {
    probe: &'a str,
    ledger: &'a Ledger,
}

/// `host run`
pub(crate) fn run(args: RunArgs) -> Done {
    let mut settings = settings::settings(&args)?;
    let feed = settings::live(&args, &settings).then(Feed::default);
    let place = feed.clone().map_or(log::Place::Stderr, log::Place::Feed);
    log::start(settings.config.telemetry.log.as_deref(), args.log_format, place)?;
    if feed.is_some() {
        settings::show(&args, &mut settings);
    }
    settings.view = feed.clone().map(|feed| View::new(move || Box::new(feed.clone())));
    let replay = settings.input != Input::Kernel;
    let to_stdout = feed.is_some() || settings.output == Some(OutputName::None);
    // Before there is a second thread, because capabilities are per thread.
    privilege::confine(&settings)?;
    let format = args.format.format;
    settings.last_word = Some(last_word(replay, to_stdout, format));
    let report = on_threads(settings.config.threads, watch(settings, feed))?;
    tell(&report, replay, to_stdout, format)
}

/// Runs a future to its end on this many threads.
fn on_threads<T>(threads: Option<u32>, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let threads = usize::try_from(threads.unwrap_or(THREADS).max(1)).unwrap_or(1);
    crate::on(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all(), future)
}

/// Returns the last words for a forced end, the same as at every other end.
fn last_word(replay: bool, to_stdout: bool, format: Format) -> LastWord {
    LastWord::new(move |report| {
        terminal::restore();
        if let Some(report) = report
            && let Err(failure) = tell(report, replay, to_stdout, format)
        {
            failure.report();
        }
    })
}

/// Runs the daemon from the start to the end of the drain.
async fn watch(settings: Settings, feed: Option<Feed>) -> Result<FinalReport, Failure> {
    let daemon = match Daemon::start(settings).await {
        Ok(daemon) => daemon,
        Err(error) if error.step() == Step::Signal => {
            tracing::info!("{error}");
            return Ok(FinalReport::of_nothing(Vec::new()));
        }
        Err(refusal) => {
            feed.iter().flat_map(|feed| feed.last(usize::MAX)).for_each(|line| style::plain(&line));
            return Err(refusal.into());
        }
    };
    announce(&daemon.status().await);
    match feed {
        Some(feed) => on_screen(&daemon, &feed).await?,
        None => in_lines(&daemon).await,
    }
    // The screen is restored by now: a second signal, which ends the process at once, leaves the terminal intact.
    Ok(daemon.stop().await)
}

/// Logs the probes and plugins that run.
fn announce(status: &Status) {
    for probe in &status.probes {
        match &probe.state {
            ProbeState::Attached => tracing::info!("probe {} reads {}", probe.name, probe.hooks.join(", ")),
            ProbeState::Failed(reason) => tracing::warn!("probe {} failed, the others go on: {reason}", probe.name),
            ProbeState::Detached => {}
        }
    }
    for path in &status.paths {
        let plugins: Vec<String> = path.plugins.iter().map(|plugin| format!("{}@{}", plugin.name, plugin.version)).collect();
        tracing::info!("path {}: {}", path.probe, plugins.join(" -> "));
    }
    let replay = if status.mode == Origin::Replay { ", replaying a capture: these events are not of this machine" } else { "" };
    tracing::info!("ready{replay}");
}

/// Shows the live table until it is time to stop.
async fn on_screen(daemon: &Daemon, feed: &Feed) -> Result<(), Failure> {
    let mut terminal = Terminal::enter()?;
    let coloured = style::coloured(&io::stderr());
    let (mut history, mut traffic) = (History::default(), Traffic::default());
    let mut draw = |(status, requests)| {
        history.push(Instant::now(), status);
        traffic.push(Instant::now(), requests);
        let (width, height) = terminal.size();
        let canvas = Canvas { width, height, coloured };
        terminal.draw(&screen::frame(&history, &traffic, &feed.last(height), canvas))
    };
    // The status already shows a path that does not answer.
    let look = async || (daemon.status().await, daemon.requests().await.unwrap_or_default());
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = std::pin::pin!(daemon.wait());
    frames.tick().await;
    // One frame is drawn however short the run, unless a path hangs.
    if let Ok(first) = tokio::time::timeout(FRAME, look()).await {
        draw(first)?;
    }
    loop {
        let next = async {
            frames.tick().await;
            look().await
        };
        // The end must not wait for paths to answer.
        tokio::select! {
            _ = &mut ending => return Ok(()),
            next = next => draw(next)?,
        }
    }
}

/// Logs a summary at intervals, until it is time to stop.
async fn in_lines(daemon: &Daemon) {
    let mut history = History::default();
    let mut summaries = tokio::time::interval(lines::EVERY);
    summaries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = std::pin::pin!(daemon.wait());
    loop {
        let look = async {
            summaries.tick().await;
            daemon.status().await
        };
        tokio::select! {
            _ = &mut ending => return,
            status = look => {
                let first = history.last().is_none();
                history.push(Instant::now(), status);
                if !first {
                    history.rates().iter().for_each(|rate| tracing::info!("{}", lines::summary(rate)));
                }
            }
        }
    }
}

/// Prints the ledger: on standard output if that carries no events, otherwise on standard error.
fn tell(report: &FinalReport, replay: bool, to_stdout: bool, format: Format) -> Done {
    let text = match format {
        Format::Table => {
            let origin = if replay { "REPLAY of a capture, not of this machine\n" } else { "" };
            origin.to_owned() + &ledger::table(report.paths.iter().map(|(name, ledger)| (name.as_str(), ledger)))
        }
        Format::Json => {
            let paths = report.paths.iter().map(|(probe, ledger)| PathReport { probe, ledger }).collect();
            let mode = if replay { Origin::Replay } else { Origin::Live };
            let FinalReport { balanced, cause, uptime_ms, ref hung, .. } = *report;
            output::json(&Report { balanced, mode, cause, uptime_ms, paths, hung })?
        }
    };
    if to_stdout {
        output::print(&text)?;
    } else {
        // A failed write to standard error must not fail the run.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
    verdict(report)
}

/// Fails a run that could not end, whose ledger does not balance, or that kept rows which were not delivered. Rows left when the reader of
/// standard output has gone do not fail it.
fn verdict(report: &FinalReport) -> Done {
    if !report.hung.is_empty() {
        let lost = lost(report);
        let lost = if lost.is_empty() { "nothing that was counted is lost".to_owned() } else { format!("lost: {lost}") };
        let message = format!("it did not end in time: {}; {lost}", report.hung.join(", "));
        let hint = "`export.drain` is the time for the collector; all else gets a second more";
        return Err(Failure::new(Code::Failed, message).cured_by(hint));
    }
    if !report.balanced {
        let failure = Failure::new(Code::Failed, "the ledger is UNBALANCED: records were lost and not counted");
        return Err(failure.cured_by("please report this with the ledger and the log"));
    }
    let undelivered = report.undelivered();
    if undelivered.is_empty() || report.cause == Cause::Closed {
        return Ok(());
    }
    let of = |(path, rows): &(&str, u64)| format!("{} of `{}`", grouped(*rows), clipped(path, 40));
    let rows = undelivered.iter().map(of).collect::<Vec<_>>().join(", ");
    let failure = Failure::new(Code::Failed, format!("rows were not delivered before the end and are lost: {rows}"));
    Err(failure.cured_by("look at the collector; `drain` under [export] is how long the end waits for it"))
}

/// Lists the records and rows lost at the end, by path and by place.
fn lost(report: &FinalReport) -> String {
    let of_path = |(path, ledger): &(String, Ledger)| {
        let places = [
            (ledger.in_ring, "records in the ring"),
            (ledger.held, "records held back"),
            (ledger.in_flight + ledger.dropped_at_shutdown, "rows on the way out"),
        ];
        let left: Vec<String> =
            places.iter().filter(|(count, _)| *count > 0).map(|(count, of)| format!("{count} {of}")).collect();
        (!left.is_empty()).then(|| format!("{} of path {}", left.join(", "), printable(path)))
    };
    report.paths.iter().filter_map(of_path).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_sums_do_not_hold_has_failed() {
        assert!(verdict(&ended(true, 0, Cause::Stop)).is_ok());
        assert!(matches!(verdict(&ended(false, 0, Cause::Stop)), Err(Failure::Error { code: Code::Failed, .. })));
    }

    #[test]
    fn a_run_that_could_not_deliver_has_failed_unless_its_reader_went_away() {
        let Err(Failure::Error { code, message, .. }) = verdict(&ended(true, 1044, Cause::Stop)) else { panic!() };
        assert_eq!(code, Code::Failed);
        assert!(message.contains("1,044 of `file`"), "{message}");
        assert!(verdict(&ended(true, 1044, Cause::Closed)).is_ok());
    }

    fn ended(balanced: bool, dropped_at_shutdown: u64, cause: Cause) -> FinalReport {
        let ledger = Ledger { dropped_at_shutdown, ..Ledger::default() };
        FinalReport { balanced, cause, paths: vec![("file".into(), ledger)], ..FinalReport::of_nothing(Vec::new()) }
    }

    #[test]
    fn what_hung_and_what_is_lost_by_it_are_named() {
        let ledger = Ledger { in_ring: 3, dropped_at_shutdown: 1_044, ..Ledger::default() };
        let paths = vec![("file".into(), Ledger::default()), ("http".into(), ledger)];
        let report = FinalReport { paths, ..FinalReport::of_nothing(vec!["path http".into()]) };
        let Err(Failure::Error { code: Code::Failed, message, .. }) = verdict(&report) else { panic!("it has failed") };
        assert_eq!(
            message,
            "it did not end in time: path http; lost: 3 records in the ring, 1044 rows on the way out of path http"
        );
    }
}
