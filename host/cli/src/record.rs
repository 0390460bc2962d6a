//! `host record`: writes the records of probes to a capture.

use std::path::Path;

use host_daemon::config::{Config, FilterConfig};
use host_daemon::privilege;
use host_daemon::{Recorded, Recording, Settings};
use host_model::ProbeState;

use crate::args::{Format, RecordArgs};
use crate::exit::{Done, Failure};
use crate::output::{self, Align, bytes, columns, grouped};
use crate::printable::clipped;
use crate::run::log;

/// The probe that sees connections.
const L7: &str = "l7";

/// `host record`
pub(crate) fn record(args: RecordArgs) -> Done {
    let settings = settings(&args)?;
    log::to_stderr(settings.config.telemetry.log.as_deref(), args.log_format)?;
    // Before there is a second thread, because capabilities are per thread.
    privilege::confine(&settings)?;
    crate::wait(wait(settings, args))
}

async fn wait(settings: Settings, args: RecordArgs) -> Done {
    let mut recording = Recording::start(settings, &args.output).await?;
    for probe in recording.probes() {
        if probe.state == ProbeState::Attached {
            tracing::info!("probe {} reads {}", probe.name, probe.hooks.join(", "));
        }
    }
    tracing::info!("recording to {}", args.output.display());
    recording.wait().await;
    let recorded = recording.stop().await?;
    match args.format.format {
        Format::Json => output::print_json(&recorded),
        Format::Table => output::print(&table(&recorded, &args.output)),
    }
}

fn settings(args: &RecordArgs) -> Result<Settings, Failure> {
    let mut config = args.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    if !args.ports.is_empty() {
        let mut probe = config.probes.get(L7).cloned().unwrap_or_default();
        probe.ports.clone_from(&args.ports);
        config.probes.set(L7.to_owned(), probe);
    }
    if args.capture_bytes.is_some() {
        config.protocols.capture_bytes = args.capture_bytes;
    }
    Ok(Settings {
        config,
        probes: args.probes.clone(),
        filter: FilterConfig { pid: args.pid, comm: args.comm.clone(), cgroup: args.cgroup.clone() },
        duration: args.duration,
        ..Settings::default()
    })
}

/// Formats the totals of the capture.
fn table(recorded: &[Recorded], file: &Path) -> String {
    let headings = [("PROBE", Align::Left), ("RECORDS", Align::Right), ("BYTES", Align::Right), ("LOST", Align::Right)];
    let row = |of: &Recorded| vec![clipped(&of.probe, 32), grouped(of.records), bytes(of.bytes), grouped(of.lost)];
    let size = std::fs::metadata(file).map_or(0, |file| file.len());
    format!("{}{}: {}\n", columns(&headings, recorded.iter().map(row)), file.display(), bytes(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_says_what_is_in_it_and_what_is_not() {
        let recorded = [Recorded { probe: "l7".into(), records: 12_345, bytes: 1_572_864, lost: 7 }];
        let expected = "\
PROBE  RECORDS    BYTES  LOST
l7      12,345  1.5 MiB     7
nothing.capture: 0 B
";
        assert_eq!(table(&recorded, Path::new("nothing.capture")), expected);
    }
}
