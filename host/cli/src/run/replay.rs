//! `host replay`: a capture through the paths of a run, the same each time.

use host_daemon::config::{Config, OutputName};
use host_daemon::privilege;
use host_daemon::settings::{Input, Settings};
use host_daemon::{Daemon, Pace};

use super::{log, settings, tell};
use crate::args::{Format, ReplayArgs, Replayed, Speed};
use crate::exit::{Done, Failure};
use crate::output;
use crate::requests;

/// What a plugin of the command line may import: there is nothing behind it in a replay, where tables are empty and the time is
/// that of the records.
const GRANTS: [&str; 2] = ["clock", "tables"];
/// Columns of the table of requests.
const WIDTH: usize = 80;

/// `host replay`
pub(crate) fn replay(args: ReplayArgs) -> Done {
    let settings = settings_of(&args)?;
    log::to_stderr(settings.config.telemetry.log.as_deref(), args.log_format)?;
    privilege::confine(&settings)?;
    let quiet = settings.output == Some(OutputName::None);
    let shows_requests = args.output == Some(Replayed::Requests);
    let format = args.format.format;
    let (report, table) = super::runtime(None)?.block_on(async {
        let daemon = Daemon::start(settings).await?;
        super::announce(&daemon.status().await);
        super::in_lines(&daemon).await;
        let requests = if shows_requests { Some(daemon.requests().await?) } else { None };
        Ok::<_, Failure>((daemon.stop().await, requests))
    })?;
    if let Some(requests) = &table {
        match format {
            Format::Json => output::print_json(requests)?,
            Format::Table => output::print(&requests::table(requests, WIDTH))?,
        }
    }
    tell(&report, true, quiet && !shows_requests, format)
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
    // A host that runs has the usual socket.
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
        ..Settings::default()
    })
}
