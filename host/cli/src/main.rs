//! The binary `host`: arguments in, tables or JSON out. The levels below do the work; this one parses and prints.

#![forbid(unsafe_code)]

mod args;
mod run;
mod record;
mod requests;
mod status;
mod ledger;
mod plugin;
mod probe;
mod doctor;
mod config;
mod generate;
mod ask;
mod output;
mod redraw;
mod printable;
mod style;
mod exit;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Code, Done, Failure};

fn main() -> ExitCode {
    host_kernel::small_pages();
    host_kernel::one_heap();
    // A running host has started this process to compile a component.
    #[cfg(feature = "compiler")]
    if let Some(arguments) = host_plugin::apart::asked(std::env::args_os()) {
        return host_plugin::apart::answer(&arguments);
    }
    let cli = Cli::parse();
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn perform(command: Command) -> Done {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Record(args) => record::record(*args),
        Command::Replay(args) => run::replay(*args),
        Command::Requests(args) => wait(requests::requests(args)),
        Command::Status(args) => wait(status::status(args)),
        Command::Plugin(command) => wait(plugin::plugin(command)),
        Command::Probe(command) => wait(probe::probe(command)),
        Command::Doctor(args) => wait(doctor::doctor(args)),
        Command::Config(command) => config::config(command),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man(args) => generate::man(&args),
    }
}

/// Runs a command that waits for others; one thread is enough.
fn wait(command: impl Future<Output = Done>) -> Done {
    on(tokio::runtime::Builder::new_current_thread().enable_all(), command)
}

/// Runs a future to its end on a runtime of its own. Tasks of it that hang on other threads are left behind.
fn on<T>(runtime: &mut tokio::runtime::Builder, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime.build().map_err(|error| Failure::new(Code::Failed, format!("cannot start the runtime: {error}")))?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    done
}
