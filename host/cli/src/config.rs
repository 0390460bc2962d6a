//! `host config`: the configuration without a running host.

use std::path::Path;

use host_api::Refusal;
use host_daemon::Settings;
use host_daemon::config::{Config, ConfigError, Held, Profile, Sayer, json_schema};
use serde::Serialize;

use crate::args::{ConfigCommand, Format, ProfileArg};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, Align};
use crate::printable::printable;
use crate::style;

/// The effective sizes, as `--format json` prints them.
#[derive(Debug, Serialize)]
struct Shown {
    profile: Profile,
    sizes: Vec<Held>,
}

/// `host config`
pub(crate) fn config(command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Check { file } => {
            let config = Config::load(&file)?;
            crate::run::log::filter(config.telemetry.log.as_deref())?;
            let settings = Settings { config, ..Settings::default() };
            let notes = crate::on(tokio::runtime::Builder::new_current_thread().enable_all(), async {
                // Every error here is one of the configuration, whatever its step.
                let checked = host_daemon::check(&settings, &tokio::runtime::Handle::current()).map_err(Refusal::from);
                checked.map_err(|refusal| Failure::new(Code::Usage, refusal.to_string()).cured_by(refusal.cure))
            })?;
            notes.iter().for_each(|note| style::note(&printable(note)));
            output::print(&format!("{} is sound\n", printable(&file.to_string_lossy())))
        }
        ConfigCommand::Show { file, profile, format } => show(file.as_deref(), profile, format.format),
        ConfigCommand::Schema => output::print_json(&json_schema()),
    }
}

fn show(file: Option<&Path>, profile: Option<ProfileArg>, format: Format) -> Done {
    let mut config = file.map(Config::load).transpose()?.unwrap_or_default();
    config.profile = profile.map(Profile::from).or(config.profile);
    let shown = Shown { profile: config.profile(), sizes: config.held() };
    match format {
        Format::Json => output::print_json(&shown),
        Format::Table => output::print(&shown.table()),
    }
}

// === impl Shown ===

impl Shown {
    fn table(&self) -> String {
        let row = |held: &Held| {
            let from = match held.from {
                Sayer::Key => "the key".to_owned(),
                Sayer::Profile => format!("profile {}", self.profile),
            };
            vec![held.key.clone(), held.value.clone(), from]
        };
        output::columns(&[("KEY", Align::Left), ("VALUE", Align::Right), ("FROM", Align::Left)], self.sizes.iter().map(row))
    }
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Standard => Self::Standard,
            ProfileArg::Edge => Self::Edge,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Usage, error.to_string()).cured_by("`host config schema` prints all that a configuration may say")
    }
}
