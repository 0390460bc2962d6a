//! `host completions` and `host man`: the same tree as the command line, for shells and for `man`.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::exit::{Code, Done, Failure};
use crate::output;

/// `host completions`
pub(crate) fn completions(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "host", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// `host man`
pub(crate) fn man(args: &ManArgs) -> Done {
    let mut root = Cli::command();
    root.build();
    match &args.all {
        Some(folder) => all(&root, folder),
        None => output::print(&page(find(&root, &args.command)?)?),
    }
}

/// The command of these words.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Failure> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            Failure::new(Code::Usage, format!("there is no command `host {}`", words.join(" ")))
                .cured_by("`host --help` lists the commands")
        })
    })
}

/// Writes `host.1`, `host-run.1`, `host-plugin-load.1` and so on.
fn all(command: &Command, folder: &Path) -> Done {
    let cannot = |error: std::io::Error| Failure::new(Code::Failed, format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(cannot)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command)?).map_err(cannot)?;
    command.get_subcommands().try_for_each(|command| all(command, folder))
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
