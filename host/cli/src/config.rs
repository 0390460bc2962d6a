//! `host config`: the configuration without a running host.

use host_daemon::config::{Config, ConfigError, json_schema};

use crate::args::ConfigCommand;
use crate::exit::{Code, Done, Failure};
use crate::output;
use crate::printable::printable;

/// `host config`
pub(crate) fn config(command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Check { file } => {
            Config::load(&file)?;
            output::print(&format!("{} is sound\n", printable(&file.to_string_lossy())))
        }
        ConfigCommand::Schema => output::print_json(&json_schema()),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Usage, error.to_string()).cured_by("`host config schema` prints all that a configuration may say")
    }
}
