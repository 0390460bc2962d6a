//! `host replay`: plays a capture through the paths of a run, with the same result each time.

use host_api::{FinalReport, PathStatus, Slot, Status, Step};
use host_daemon::config::{Config, OutputName};
use host_daemon::privilege;
use host_daemon::settings::{Input, Settings};
use host_daemon::{Daemon, Pace};

use super::{log, settings, tell};
use crate::args::{Format, ReplayArgs, Replayed, Speed};
use crate::exit::{Code, Done, Failure};
use crate::output;
use crate::printable::printable;
use crate::requests;

/// Grants of every plugin on the command line: harmless in a replay, where tables are empty and the time is that of the records.
const GRANTS: [&str; 2] = ["clock", "tables"];
/// Columns of the table of requests.
const WIDTH: usize = 80;

/// `host replay`
pub(crate) fn replay(args: ReplayArgs) -> Done {
    let mut settings = settings_of(&args)?;
    log::to_stderr(settings.config.telemetry.log.as_deref(), args.log_format)?;
    privilege::confine(&settings)?;
    let quiet = settings.output == Some(OutputName::None);
    let shows_requests = args.output == Some(Replayed::Requests);
    let format = args.format.format;
    settings.last_word = Some(super::last_word(true, quiet && !shows_requests, format));
    let mut faults = None;
    let (report, table) = super::on_threads(None, async {
        let daemon = match Daemon::start(settings).await {
            Err(error) if error.step() == Step::Signal => return Ok((FinalReport::of_nothing(Vec::new()), None)),
            started => started?,
        };
        let status = daemon.status().await;
        super::announce(&status);
        if let Err(failure) = all_work(&args.plugins, &status) {
            daemon.stop().await;
            return Err(failure);
        }
        super::in_lines(&daemon).await;
        let requests = if shows_requests { Some(daemon.requests().await?) } else { None };
        faults = Some(daemon.status().await);
        Ok::<_, Failure>((daemon.stop().await, requests))
    })?;
    if let Some(requests) = &table {
        match format {
            Format::Json => output::print_json(requests)?,
            Format::Table => output::print(&requests::table(requests, WIDTH))?,
        }
    }
    tell(&report, true, quiet && !shows_requests, format)?;
    faults.as_ref().map_or(Ok(()), without_faults)
}

/// Checks that every plugin requested by name works on a path of this capture.
fn all_work(asked: &[(Slot, String)], status: &Status) -> Done {
    let works = |slot: &Slot| {
        let plugins = status.paths.iter().flat_map(|path| &path.plugins);
        plugins.into_iter().any(|plugin| plugin.slot == slot.to_string())
    };
    let Some((slot, component)) = asked.iter().find(|(slot, _)| !works(slot)) else { return Ok(()) };
    let paths: Vec<&str> = status.paths.iter().map(|path| path.probe.as_str()).collect();
    let message = format!("nothing in this capture goes to {} in slot {slot}", printable(component));
    Err(Failure::new(Code::Usage, message).cured_by(format!("its paths are {}", printable(&paths.join(", ")))))
}

/// Fails a replay in which a plugin failed, even if its batches fell back.
fn without_faults(status: &Status) -> Done {
    let of_path = |path: &PathStatus| {
        let failed = path.plugins.iter().filter(|plugin| !plugin.faults.is_empty()).map(|plugin| {
            let kinds: Vec<String> = plugin.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            format!("{}@{} in slot {} on path {}: {}", plugin.name, plugin.version, plugin.slot, path.probe, kinds.join(", "))
        });
        failed.collect::<Vec<_>>()
    };
    let failed: Vec<String> = status.paths.iter().flat_map(of_path).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!("plugins failed, by kind of failure: {}", printable(&failed.join("; ")));
    Err(Failure::new(Code::Failed, message).cured_by("the log above has their words; `host plugin repro list` the calls"))
}

fn settings_of(args: &ReplayArgs) -> Result<Settings, Failure> {
    let mut config = args.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    for (slot, component) in &args.plugins {
        let mut plugin = config.plugins.get(slot).cloned().unwrap_or_default();
        plugin.component = Some(component.clone());
        plugin.enabled = Some(true);
        plugin.grants.get_or_insert_with(|| GRANTS.map(str::to_owned).to_vec());
        config.plugins.set(slot.clone(), plugin);
    }
    config.export.protocol = args.otlp_protocol.map(settings::protocol).or(config.export.protocol);
    let collector = settings::has_collector(args.otlp_endpoint.as_ref(), &config);
    let output = match args.output {
        Some(Replayed::Jsonl) => OutputName::Jsonl,
        Some(Replayed::Console) => OutputName::Console,
        Some(Replayed::Requests | Replayed::None) => OutputName::None,
        None => config.export.output.unwrap_or(if collector { OutputName::None } else { OutputName::Console }),
    };
    // A running host owns the default socket.
    let own = || std::env::temp_dir().join(format!("host-replay-{}.sock", std::process::id()));
    Ok(Settings {
        input: Input::Capture { file: args.file.clone(), looping: false },
        pace: match args.speed {
            Speed::Max => Pace::Fast,
            Speed::Real => Pace::Real,
        },
        probes: args.probes.clone(),
        output: Some(output),
        otlp_endpoint: args.otlp_endpoint.clone(),
        socket: Some(args.socket.socket.clone().unwrap_or_else(own)),
        state_dir: args.state_dir.clone(),
        config,
        compiles_apart: true,
        ..Settings::default()
    })
}
