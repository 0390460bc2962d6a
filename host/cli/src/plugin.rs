//! `host plugin`: the slots of a running host.

mod list;
mod inspect;
mod slot;
mod history;
mod shadow;
mod compare;
mod candidate;
mod repro;
mod sign;
#[cfg(feature = "compiler")]
mod compile;
mod adapter;

use std::path::{Path, PathBuf};

use host_api::{Client, GetPlugins, GetShadows, Live, LoadPlugin, RollbackPlugin, Slot, UnloadPlugin, base64};
use host_daemon::config::is_file;
use host_kernel::file;
use host_plugin::limits::LARGEST_COMPONENT;

use crate::args::{DataArgs, Format, LoadArgs, PluginCommand, RollbackArgs, UnloadArgs};
use crate::ask;
use crate::exit::{Code, Done, Failure};
use crate::output::{self, grouped, nanos};
use crate::printable::{clipped, printable};

/// `host plugin`
pub(crate) async fn plugin(command: PluginCommand) -> Done {
    match command {
        PluginCommand::Load(args) => load(args).await,
        PluginCommand::Unload(args) => unload(args).await,
        PluginCommand::List(args) => show(args).await,
        PluginCommand::Inspect(args) => inspect::inspect(args).await,
        PluginCommand::History(args) => history::history(args).await,
        PluginCommand::Rollback(args) => rollback(args).await,
        PluginCommand::Shadow(args) => shadow::shadow(args).await,
        PluginCommand::Compare(args) => compare::compare(args).await,
        PluginCommand::Promote(args) => shadow::promote(args).await,
        PluginCommand::Discard(args) => shadow::discard(args).await,
        PluginCommand::Repro(command) => repro::repro(command).await,
        #[cfg(feature = "compiler")]
        PluginCommand::Compile(args) => compile::compile(&args),
        #[cfg(not(feature = "compiler"))]
        PluginCommand::Compile(_) => {
            let failure = Failure::new(Code::Failed, "this build has no compiler");
            Err(failure.cured_by("run it with a `host` of the same version that has one; the other commands are here"))
        }
        PluginCommand::Keygen(args) => sign::keygen(&args),
        PluginCommand::Sign(args) => sign::sign(&args),
        PluginCommand::Verify(args) => sign::verify(&args),
        PluginCommand::Adapter(args) => adapter::adapter(&args),
    }
}

async fn load(args: LoadArgs) -> Done {
    let (path, bytes_base64) = sent(&args.file, LARGEST_COMPONENT)?;
    let load = LoadPlugin {
        path: Some(path),
        bytes_base64,
        slot: args.slot.as_deref().map(slot_named).transpose()?,
        config: args.config.and_then(object),
        pin: args.pin,
    };
    let (client, format) = parts(args.data);
    went_live(format, &ask::answer(client.call(&load)).await?)
}

async fn rollback(args: RollbackArgs) -> Done {
    let rollback = RollbackPlugin { slot: slot_named(&args.slot)?, generation: args.to };
    let (client, format) = parts(args.data);
    went_live(format, &ask::answer(client.call(&rollback)).await?)
}

async fn unload(args: UnloadArgs) -> Done {
    let unload = UnloadPlugin { slot: slot_named(&args.slot)? };
    let (client, format) = parts(args.data);
    let answer: serde_json::Value = ask::answer(client.call_as(&unload)).await?;
    match format {
        Format::Json => output::print_json(&answer),
        Format::Table => output::print(&format!("{} is empty\n", unload.slot)),
    }
}

async fn show(args: DataArgs) -> Done {
    let (client, format) = parts(args);
    match format {
        Format::Json => ask::pass_through(&client, &GetPlugins).await,
        Format::Table => {
            let plugins = ask::answer(client.call(&GetPlugins)).await?;
            output::print(&list::table(&plugins, &ask::answer(client.call(&GetShadows)).await?))
        }
    }
}

/// Prints the live plugin, and the cost of the change.
fn went_live(format: Format, live: &Live) -> Done {
    match format {
        Format::Json => output::print_json(live),
        Format::Table => output::print(&sentence(live)),
    }
}

fn sentence(live: &Live) -> String {
    let who = format!("{}: {}@{}", live.slot, printable(&live.name), printable(&live.version));
    let notes: String = live.notes.iter().map(|note| format!("note: {}\n", clipped(note, 400))).collect();
    if live.unchanged {
        return format!("{who} was live already, as generation {}; nothing was done\n{notes}", live.generation);
    }
    format!(
        "{who} is live as generation {}; paused {}, {} rows passed meanwhile\n{}{}{}\n{notes}",
        live.generation,
        nanos(live.pause_ns),
        grouped(live.rows_during),
        works_on(live).map(|paths| format!("{paths}\n")).unwrap_or_default(),
        handed_over(&live.handover).map(|state| format!("{state}\n")).unwrap_or_default(),
        printable(&live.digest)
    )
}

/// Returns the paths that a change of a shared slot has affected; None where the slot's name already gives it.
fn works_on(live: &Live) -> Option<String> {
    let paths = clipped(&live.paths.join(", "), 400);
    match live.slot {
        _ if live.paths.is_empty() => None,
        Slot::Sampler => Some(format!("it samples every path without a sampler of its own: {paths}; sampler.PATH is for one")),
        Slot::Enricher(_) => Some(format!("it enriches every path: {paths}")),
        Slot::Decoder(_) | Slot::SamplerOf(_) => None,
    }
}

/// Describes the handover of the predecessor's state in a sentence; None if there was no predecessor.
fn handed_over(handover: &str) -> Option<String> {
    let why = |text: &str| clipped(text.trim_start_matches([':', ' ']), 400);
    match handover {
        "" => None,
        "warm" => Some("warm: it goes on with the state of its predecessor".to_owned()),
        "stateless" => Some("stateless: its predecessor had no state to hand over".to_owned()),
        other => Some(match other.strip_prefix("cold").map(why) {
            Some(why) if why.is_empty() => "cold: it began without the state of its predecessor".to_owned(),
            Some(why) => format!("cold: it began without the state of its predecessor: {why}"),
            None => clipped(other, 400),
        }),
    }
}

fn parts(args: DataArgs) -> (Client, Format) {
    (ask::client(args.socket), args.format.format)
}

/// Returns the configuration as an object; the parser of the flag accepts nothing else.
fn object(value: serde_json::Value) -> Option<serde_json::Map<String, serde_json::Value>> {
    match value {
        serde_json::Value::Object(config) => Some(config),
        _ => None,
    }
}

/// Formats `name@version` for a table.
fn label(name: &str, version: &str) -> String {
    format!("{}@{}", clipped(name, 64), clipped(version, 32))
}

/// Returns the prefix of a digest that is enough to distinguish plugins.
fn brief(digest: &str) -> String {
    const DIGITS: usize = 12;
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.chars().take(DIGITS).collect()
}

/// Reads the bytes of a file, or of a component in this binary.
fn read(subject: &Path) -> Result<Vec<u8>, Failure> {
    match plugins::component(&subject.to_string_lossy()) {
        Some(component) if !subject.exists() => {
            let broken = || Failure::new(Code::Refused, format!("`{}` in this binary is broken", component.name));
            component.code(false).map(|code| AsRef::<[u8]>::as_ref(&code).to_vec()).ok_or_else(broken)
        }
        _ => bytes_of(subject, LARGEST_COMPONENT).map_err(|failure| {
            let meant = host_daemon::meant(&subject.to_string_lossy()).filter(|_| !subject.exists());
            let cure = meant.map(|meant| format!("did you mean `{meant}`, which is in this binary?"));
            failure.cured_by(cure.unwrap_or_default())
        }),
    }
}

fn bytes_of(subject: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    file::read(subject, most as u64).map_err(|error| {
        let message = format!("{}: read failed: {error}", printable(&subject.to_string_lossy()));
        Failure::new(Code::Refused, message).cured_by(error.cure())
    })
}

/// Returns the name and the bytes of a file for a request. This process reads it, because a slow file must not block the host. A bare name
/// without a file here is passed on: the host's binary may have a component of that name.
pub(crate) fn sent(subject: &Path, most: usize) -> Result<(PathBuf, Option<String>), Failure> {
    let name = subject.to_string_lossy();
    if !subject.exists() && !is_file(&name) && !name.ends_with(".o") {
        return Ok((subject.to_owned(), None));
    }
    let bytes = bytes_of(subject, most)?;
    let path = std::path::absolute(subject);
    let path = path.map_err(|error| Failure::new(Code::Usage, format!("{}: {error}", subject.display())))?;
    Ok((path, Some(base64(&bytes))))
}

/// Parses the name of a slot.
fn slot_named(name: &str) -> Result<Slot, Failure> {
    name.parse()
        .map_err(|error| Failure::new(Code::Usage, format!("{error}")).cured_by("`host plugin list` shows the slots there are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_binary_is_left_alone_and_the_bytes_of_a_file_go_along() {
        assert_eq!(sent(Path::new("sampler-ratio"), 9).unwrap(), (PathBuf::from("sampler-ratio"), None));
        let folder = tempfile::tempdir().unwrap();
        for name in ["mine.wasm", "mine.bpf.o", "mine"] {
            let file = folder.path().join(name);
            std::fs::write(&file, "abc").unwrap();
            assert_eq!(sent(&file, 3).unwrap(), (file.clone(), Some("YWJj".to_owned())), "{name}");
            assert!(matches!(sent(&file, 2), Err(Failure::Error { code: Code::Refused, .. })));
        }
        for absent in ["absent.wasm", "absent.bpf.o", "./absent"] {
            assert!(matches!(sent(Path::new(absent), 3), Err(Failure::Error { code: Code::Refused, .. })), "{absent}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_here_and_not_sent_to_the_host() {
        for path in ["/dev/null", "/dev/zero", "/"] {
            let Err(Failure::Error { code: Code::Refused, message, .. }) = sent(Path::new(path), 3) else {
                panic!("{path} was taken")
            };
            assert!(message.contains("not a file"), "{message}");
        }
    }

    #[test]
    fn what_went_live_is_said_with_what_it_cost() {
        let mut live = Live {
            slot: Slot::Sampler,
            name: "sampler-rate".into(),
            version: "0.3.0".into(),
            digest: "sha256:00".into(),
            generation: 2,
            pause_ns: 41_300,
            rows_during: 1_024,
            handover: "warm".into(),
            unchanged: false,
            paths: vec!["file".into(), "http".into()],
            notes: Vec::new(),
        };
        assert_eq!(
            sentence(&live),
            "sampler: sampler-rate@0.3.0 is live as generation 2; paused 41.3 us, 1,024 rows passed meanwhile\n\
             it samples every path without a sampler of its own: file, http; sampler.PATH is for one\n\
             warm: it goes on with the state of its predecessor\nsha256:00\n"
        );
        live.handover = String::new();
        live.slot = Slot::SamplerOf("http".into());
        live.notes = vec!["the same bytes were quarantined here before".into()];
        assert_eq!(
            sentence(&live),
            "sampler.http: sampler-rate@0.3.0 is live as generation 2; paused 41.3 us, 1,024 rows passed meanwhile\nsha256:00\n\
             note: the same bytes were quarantined here before\n"
        );
        (live.slot, live.notes) = (Slot::Sampler, Vec::new());
        live.unchanged = true;
        assert_eq!(sentence(&live), "sampler: sampler-rate@0.3.0 was live already, as generation 2; nothing was done\n");
    }

    #[test]
    fn a_state_that_did_not_go_over_is_said_with_its_reason() {
        let reason = "cold: import-state refused: version 2 is unknown\x1b[2J";
        let sentence =
            "cold: it began without the state of its predecessor: import-state refused: version 2 is unknown\u{fffd}[2J";
        assert_eq!(handed_over(reason).as_deref(), Some(sentence));
        assert!(handed_over("stateless").unwrap().starts_with("stateless: "));
        assert_eq!(handed_over("cold").as_deref(), Some("cold: it began without the state of its predecessor"));
        assert_eq!(handed_over(""), None);
    }
}
