//! Checks a configuration as a start would, by the same functions, but without the kernel: nothing is attached, written or connected.

use std::sync::Arc;

use host_api::{Slot, Step};
use host_model::{Layout, NoMaps};
use host_plugin::SystemClock;
use tokio::runtime::Handle;

use crate::config::{Config, EngineConfig, LimitsConfig, OutputName, nearest};
use crate::error::DaemonError;
use crate::last_resort::Steps;
use crate::paths::lanes;
use crate::plugins::bind::{Binder, Place};
use crate::plugins::compiler::Compiler;
use crate::plugins::fill::slots;
use crate::plugins::known::Known;
use crate::plugins::load;
use crate::plugins::protocols;
use crate::plugins::rules::ENRICHER;
use crate::probes::selection;
use crate::report::export::exporter;
use crate::settings::Settings;
use crate::state_dir::StateDir;
use crate::tables::Node;

/// Returns the sentences a start would log about settings that are valid but perhaps not intended; an error if it would be refused. Reasons
/// that only the kernel or the collector can give are not checked. Blocks; call it within `runtime`.
///
/// # Errors
/// The same as those of a start.
pub fn check(settings: &Settings, runtime: &Handle) -> Result<Vec<String>, DaemonError> {
    let written = &settings.config;
    let settings = Settings { config: written.clone().sized(), output: Some(OutputName::None), ..settings.clone() };
    let config = &settings.config;
    config.check()?;
    check_files(&settings)?;
    let state_dir = StateDir::examine(&settings)?;
    let compiler = Compiler::start(&settings, &state_dir)?;
    drop(exporter(&settings, runtime)?);
    let mut places = Vec::new();
    for wanted in selection::wanted(&settings)? {
        let examined = wanted.object.read().and_then(|object| {
            let examined = host_kernel::examine(&wanted.name, &object, &wanted.options);
            examined.map_err(DaemonError::from)
        });
        places.push(place(&wanted.name, examined?));
    }
    let trunk = places.iter().position(|place| protocols::is_trunk(&place.layout)).map(|at| places.remove(at));
    let probes: Vec<&str> = places.iter().map(|place| &*place.probe).collect();
    if says_nothing_of_plugins(written) {
        protocols::choices(config, &probes, compiler.engine().execution())?;
        return Ok(Vec::new());
    }
    let slots = slots(&compiler, &settings, &probes, trunk.is_some(), &Steps::default())?;
    let binder = Binder { tables: Arc::new(Node::unknown()), known: Arc::new(Known::default()) };
    // All stages exist at once, as in a run: the engine may have too few instance slots.
    let lineups = places.iter().filter_map(|place| Some((place, slots.lineup(&place.probe)?)));
    let _stages = lineups.map(|(place, lineup)| binder.stages(place, &lineup)).collect::<Result<Vec<_>, _>>()?;
    let _lanes = trunk.as_ref().map(|trunk| lanes::examine(&binder, &slots, trunk)).transpose()?;
    let mut notes: Vec<String> = load::waiting(config).iter().map(|slot| empty(slot)).collect();
    let routed = trunk.iter().flat_map(|trunk| slots.protocols(&trunk.probe));
    let paths: Vec<String> = places.iter().map(|place| place.probe.to_string()).chain(routed).collect();
    let named = config.plugins.iter().filter(|(_, plugin)| plugin.enabled != Some(false)).map(|(slot, _)| slot);
    let unread = named.filter(|slot| match slot {
        Slot::Decoder(path) | Slot::SamplerOf(path) => !paths.contains(path),
        Slot::Sampler | Slot::Enricher(_) => false,
    });
    notes.extend(unread.map(unread_by_now));
    Ok(notes)
}

/// Whether all plugins are the built-in ones with their defaults, which fit.
fn says_nothing_of_plugins(config: &Config) -> bool {
    config.plugins.is_empty()
        && config.grants.is_empty()
        && config.limits == LimitsConfig::default()
        && config.engine == EngineConfig::default()
}

/// Checks the files and folders that a start opens before anything else.
fn check_files(settings: &Settings) -> Result<(), DaemonError> {
    let refused = |message: String, cure: &str| Err(DaemonError::new(Step::Configure, message, cure));
    let config = &settings.config;
    if let Some(socket) = settings.socket.as_ref().or(config.socket.as_ref()) {
        let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return refused(format!("socket: the folder of {} is not there", socket.display()), "make it, or name another");
        }
    }
    match &config.kernel.btf {
        Some(btf) if !btf.is_file() => {
            refused(format!("kernel.btf: there is no file {}", btf.display()), "name one, or leave it to /sys/kernel/btf")
        }
        _ => Ok(()),
    }
}

fn place(probe: &str, layout: Layout) -> Place {
    Place { probe: probe.into(), layout: Arc::new(layout), maps: Arc::new(NoMaps), clock: Arc::new(SystemClock) }
}

fn empty(slot: &Slot) -> String {
    let defaults = [Slot::Sampler.to_string(), ENRICHER.to_owned()];
    let meant = nearest(&slot.to_string(), defaults.iter().map(String::as_str), 0.9);
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    format!(
        "plugins.\"{slot}\" names no component, and none in the binary is made for it: the slot is empty until one is loaded, and then \
         these rules hold{meant}"
    )
}

fn unread_by_now(slot: &Slot) -> String {
    format!("plugins.\"{slot}\" is for a path that no probe has now: it waits for its probe")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn checked(text: &str) -> Result<Vec<String>, DaemonError> {
        let config = Config::parse(Path::new("host.toml"), text)?;
        let state = tempfile::tempdir().unwrap();
        let settings = Settings { config, state_dir: Some(state.path().to_owned()), ..Settings::default() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _within = runtime.enter();
        check(&settings, runtime.handle())
    }

    #[test]
    fn what_a_start_refuses_is_refused() {
        for (text, told) in [
            ("[export]\nendpoint = \"localhost:4317\"", "localhost:4317"),
            ("[export]\nendpoint = \"http://localhost:4317\"\nheaders = { \"a b\" = \"c\" }", "a b"),
            ("[limits]\nmemory_bytes = \"64GiB\"", "4GiB"),
            ("probe_dir = \"/nowhere\"", "/nowhere"),
            ("[probes.mine]\n", "mine"),
            ("[probes.mine]\nobject = \"/nowhere.bpf.o\"", "/nowhere.bpf.o"),
            ("[probes.file]\nmax_entries = { nothing = 4 }", "nothing"),
            ("[probes.file]\nports = [80]", "ports"),
            ("[probes.file]\nfilter = { comm = \"a-name-of-more-than-fifteen\" }", "15"),
            ("[probes.file]\nfilter = { cgroup = \"nowhere.slice\" }", "nowhere.slice"),
            ("[protocols]\nenabled = [\"htpp\"]", "htpp"),
            ("[protocols]\nports = { 1 = \"mine\" }", "mine"),
            ("[kernel]\nbtf = \"/nowhere\"", "/nowhere"),
            ("socket = \"/nowhere/host.sock\"", "/nowhere"),
        ] {
            let refusal = checked(text).unwrap_err();
            assert!(refusal.to_string().contains(told), "{text}: {refusal:?}");
        }
    }

    #[test]
    fn plugins_are_bound_as_at_a_start() {
        for (text, told) in [
            ("[plugins.sampler]\nconfig = { ratio = 7 }", "ratio"),
            ("[plugins.sampler]\ncomponent = \"enricher-process\"", "sampler"),
            ("[plugins.\"enricher.x\"]\ncomponent = \"enricher-process\"", "tables"),
            ("[plugins.\"enricher.x\"]\ncomponent = \"./nowhere.wasm\"", "nowhere.wasm"),
            ("[plugins.\"enricher.x\"]\nenabled = true", "enricher-x"),
            ("[engine]\ninstances = 3", "instances"),
        ] {
            let refusal = checked(text).unwrap_err();
            assert!(format!("{refusal} {}", refusal.cure()).contains(told), "{text}: {refusal:?}");
        }
    }

    #[test]
    fn rules_for_a_slot_that_is_filled_later_are_sound_and_told() {
        let notes = checked("[plugins.\"enricher.x\"]\ngrants = [\"tables\"]").unwrap();
        assert!(notes[0].contains("enricher.x") && notes[0].contains("empty until"), "{notes:?}");
        let notes = checked("[plugins.\"enricher.proces\"]\nfallback = \"drop\"").unwrap();
        assert!(notes[0].contains("did you mean `enricher.process`?"), "{notes:?}");
        let notes = checked("[plugins.\"sampler.nothing\"]\nconfig = { ratio = 0.5 }").unwrap();
        assert!(notes.iter().any(|note| note.contains("sampler.nothing")), "{notes:?}");
    }
}
