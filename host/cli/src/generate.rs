//! `host completions` and `host man`, generated from the tree of the command line.

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

/// Returns the command with these words.
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

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    const HEAD: &str = "\
# Commands

What `--help` prints, command by command. Made of the command line's own tree; do not edit. `host man` prints the same as
manual pages, `host completions` completes it in a shell.
";

    /// `HOST_EXPECT=write` writes it anew, for a person to read the difference.
    #[test]
    fn the_commands_in_docs_are_those_of_the_tree() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
        let mut root = Cli::command().term_width(100);
        root.build();
        let mut text = HEAD.to_owned();
        describe(&mut root, &mut text);
        if std::env::var_os("HOST_EXPECT").is_some_and(|value| value == "write") {
            fs::write(&file, &text).unwrap();
        }
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert!(written == text, "docs/commands.md is not what the tree says; write it with HOST_EXPECT=write");
    }

    fn describe(command: &mut Command, text: &mut String) {
        let name = command.get_bin_name().unwrap_or("host").to_owned();
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        *text += &format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
        command.get_subcommands_mut().for_each(|command| describe(command, text));
    }
}
