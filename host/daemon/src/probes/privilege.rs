//! The kernel privileges of a run: which part needs which capability and why; and dropping the rest.

use std::fmt;

use host_api::Step;
use host_kernel::Hooks;
use host_kernel::capabilities::{self, BASE, Capability, CapabilitySet};
use host_kernel::privileged;
use serde::{Serialize, Serializer};

use crate::config::{AfterAttach, Config, ProcessesName};
use crate::error::DaemonError;
use crate::plugins::rules::ENRICHER;
use crate::probes::selection::{self, Wanted};
use crate::settings::{Input, Settings};

/// A capability that one part of a run needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The capability.
    #[serde(serialize_with = "name")]
    pub capability: Capability,
    /// Whether the start fails without it. Otherwise the part does without it, and reports that.
    pub required: bool,
    /// Whether it is still needed once every probe is attached.
    pub lasting: bool,
    /// The probe or slot that needs it.
    pub who: String,
    /// The purpose.
    pub why: String,
}

/// Returns the capabilities that a run with these settings can use on this kernel. Loads nothing and takes no privilege.
///
/// # Errors
/// The settings name a probe that does not exist, or an object that cannot be read.
pub fn needs(settings: &Settings) -> Result<Vec<Need>, DaemonError> {
    if settings.input != Input::Kernel {
        return Ok(Vec::new());
    }
    let config = &settings.config;
    let all = config.privilege.processes == Some(ProcessesName::All);
    let mut needs = Vec::new();
    for wanted in selection::wanted(settings)? {
        of_probe(&wanted, all, &mut needs)?;
    }
    for slot in readers(config) {
        let why = "paths of programs that other users run";
        needs.push(Need::new(Capability::SysPtrace, &slot, why).required(all).lasting());
    }
    let why = "plugins and objects that are named to it, where they lie in folders that are closed to its user";
    needs.push(Need::new(Capability::DacReadSearch, "files", why).lasting());
    if config.privilege.after_attach == Some(AfterAttach::None) {
        needs.iter_mut().for_each(|need| need.lasting = false);
    }
    Ok(needs)
}

/// Refuses a start that lacks a required capability; then drops all that this run does not need, in every future thread except the two that
/// load and look. Call it before there is a second thread, and not for a daemon embedded in another program.
///
/// # Errors
/// The missing capability with its purpose; or the kernel's refusal.
pub fn confine(settings: &Settings) -> Result<(), DaemonError> {
    let needs = needs(settings)?;
    check(&needs, CapabilitySet::held())?;
    let lasting: Vec<Capability> = needs.iter().filter(|need| need.lasting).map(|need| need.capability).collect();
    privileged::confine(&lasting).map_err(refused)
}

/// Drops the capabilities that only the start needed.
pub(crate) fn settle() -> Result<(), DaemonError> {
    privileged::settle().map_err(refused)
}

fn refused(error: std::io::Error) -> DaemonError {
    DaemonError::new(Step::Start, format!("privileges cannot be given up: {error}"), "see the limits on threads, and seccomp")
}

/// Needs that only show when tried, such as a hook of a user's own object, are refused at that point.
fn check(needs: &[Need], held: CapabilitySet) -> Result<(), DaemonError> {
    let certain = |capability| BASE.contains(&capability) || LOOKING.contains(&capability);
    let lacks = |need: &&Need| need.required && certain(need.capability) && !held.allows(need.capability);
    let missing: Vec<&Need> = needs.iter().filter(lacks).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message: Vec<String> = Capability::ALL
        .iter()
        .filter_map(|capability| {
            let of_it: Vec<String> =
                missing.iter().filter(|need| need.capability == *capability).map(|need| need.reason()).collect();
            (!of_it.is_empty()).then(|| format!("{capability} missing, for {}", of_it.join("; ")))
        })
        .collect();
    let mut cure = "run as root, or grant it: `host doctor --caps` prints how".to_owned();
    if missing.iter().all(|need| LOOKING.contains(&need.capability)) {
        cure.push_str("; or take `processes = \"all\"` out of [privilege]");
    }
    Err(DaemonError::new(Step::Privilege, message.join("\n"), cure))
}

/// The capabilities needed to look into the processes and folders of other users.
const LOOKING: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

fn of_probe(wanted: &Wanted, all: bool, needs: &mut Vec<Need>) -> Result<(), DaemonError> {
    let Wanted { name, object, must, .. } = wanted;
    let hooks = match object.read() {
        // Loading it later gives a better error.
        Ok(object) => host_kernel::hooks(name, &object).unwrap_or_default(),
        Err(refusal) if *must => return Err(refusal),
        Err(_) => Hooks::default(),
    };
    needs.push(Need::new(Capability::Bpf, name, "loading its programs, making its maps").required(true).lasting());
    needs.push(
        Need::new(Capability::Perfmon, name, "programs that trace, and that read kernel memory").required(true).lasting(),
    );
    let takes = |set: &Vec<String>| -> Vec<Need> {
        let of_hook = |hook: &String| {
            let (capability, why) = capabilities::of_hook_here(hook)?;
            let kind = hook.split_once('/').map_or(hook.as_str(), |(kind, _)| kind);
            Some(Need::new(capability, name, &format!("hooks of the kind {kind}: {why}")))
        };
        let mut needs: Vec<Need> = set.iter().filter_map(of_hook).collect();
        needs.dedup();
        needs
    };
    let sets: Vec<Vec<Need>> = hooks.sets.iter().map(takes).collect();
    // A set of hooks that needs no further capability is almost certain to attach; a better one is desirable, not required.
    let must = *must && !sets.iter().any(Vec::is_empty);
    for need in sets.into_iter().next().unwrap_or_default() {
        needs.push(need.required(must));
    }
    if hooks.in_libraries {
        let why = "which TLS libraries the processes of other users have loaded";
        needs.push(Need::new(Capability::SysPtrace, name, why).required(all).lasting());
        let why = "TLS libraries and programs in folders that are closed to its user";
        needs.push(Need::new(Capability::DacReadSearch, name, why).required(all).lasting());
        if capabilities::breakpoints_take_sys_admin() {
            let why = "breakpoints in TLS libraries, which before Linux 6.6 are set one by one";
            needs.push(Need::new(Capability::SysAdmin, name, why).lasting());
        }
    }
    Ok(())
}

/// Returns the slots whose plugins may ask for the executable of a process.
fn readers(config: &Config) -> Vec<String> {
    let asks = |words: &[String]| {
        words.iter().any(|word| ["tables", "tables:process"].contains(&word.as_str()) || word.contains("executable.path"))
    };
    let named = config.plugins.iter().filter(|(_, plugin)| plugin.enabled != Some(false));
    let mut readers: Vec<String> = named
        .filter(|(slot, plugin)| plugin.grants.as_deref().map_or_else(|| slot.to_string() == ENRICHER, asks))
        .map(|(slot, _)| slot.to_string())
        .collect();
    if config.plugins.iter().all(|(slot, _)| slot.to_string() != ENRICHER) {
        readers.push(ENRICHER.to_owned());
    }
    if config.grants.iter().any(|grant| asks(&grant.allow)) {
        readers.push("[[grants]]".to_owned());
    }
    readers
}

fn name<S: Serializer>(capability: &Capability, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(capability.name())
}

// === impl Need ===

impl Need {
    fn new(capability: Capability, who: &str, why: &str) -> Self {
        Self { capability, required: false, lasting: false, who: who.to_owned(), why: why.to_owned() }
    }

    fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Returns its owner and purpose.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("{}: {}", self.who, self.why)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, for {}", self.capability, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn settings(text: &str) -> Settings {
        Settings { config: Config::parse(Path::new("host.toml"), text).unwrap(), ..Settings::default() }
    }

    fn required(settings: &Settings) -> Vec<&'static str> {
        let needs = needs(settings).unwrap();
        let is_required = |capability: &Capability| needs.iter().any(|need| need.required && need.capability == *capability);
        Capability::ALL.into_iter().filter(is_required).map(Capability::name).collect()
    }

    fn packaged(file: &str) -> String {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
        std::fs::read_to_string(packaging.join(file)).unwrap()
    }

    #[test]
    fn a_run_insists_on_what_loads_probes_and_on_what_its_configuration_insists_on() {
        assert_eq!(required(&settings("")), ["CAP_BPF", "CAP_PERFMON"]);
        let all = "[privilege]\nprocesses = \"all\"\n";
        assert_eq!(required(&settings(all)), ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
        let mut exec = settings(all);
        exec.probes = vec!["exec".into()];
        assert_eq!(required(&exec), ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"], "it traces no TLS library");
        let mut exec = settings(&format!("{all}[plugins.\"enricher.process\"]\nenabled = false\n"));
        exec.probes = vec!["exec".into()];
        assert_eq!(required(&exec), ["CAP_BPF", "CAP_PERFMON"], "nobody asks what a process executes");
    }

    #[test]
    fn what_is_missing_is_named_with_what_it_is_for() {
        let needs = needs(&settings("[privilege]\nprocesses = \"all\"\n")).unwrap();
        let held: Vec<Capability> =
            Capability::ALL.into_iter().filter(|capability| *capability != Capability::SysAdmin).collect();
        assert!(check(&needs, held.iter().copied().collect()).is_ok());
        for missing in [Capability::Bpf, Capability::Perfmon, Capability::SysPtrace, Capability::DacReadSearch] {
            let others = held.iter().copied().filter(|capability| *capability != missing).collect();
            let refusal = check(&needs, others).unwrap_err();
            assert!(refusal.step() == Step::Privilege && refusal.to_string().starts_with(missing.name()), "{refusal:?}");
            assert!(refusal.to_string().contains("l7: "), "{refusal:?}");
            assert_eq!(refusal.cure().contains("[privilege]"), LOOKING.contains(&missing), "{refusal:?}");
        }
    }

    #[test]
    fn the_service_and_the_containers_have_what_their_configuration_takes_and_no_more() {
        let taken = required(&settings(&packaged("host.toml")));
        for setting in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
            let unit = packaged("host.service");
            let lines: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(setting)).collect();
            assert_eq!(lines, [taken.join(" ")], "{setting}");
        }
        let short: Vec<String> = taken.iter().map(|name| name.trim_start_matches("CAP_").to_owned()).collect();
        for (file, before) in [("container/daemonset.yaml", "add: ["), ("container/compose.yaml", "cap_add: [")] {
            let text = packaged(file);
            let lists: Vec<&str> =
                text.lines().filter_map(|line| line.trim().strip_prefix(before)?.strip_suffix(']')).collect();
            assert_eq!(lists, [short.join(", ")], "{file}");
        }
    }

    #[test]
    fn a_probe_of_the_users_own_takes_what_its_hooks_take() {
        let folder = tempfile::tempdir().unwrap();
        let object: PathBuf = folder.path().join("mine.bpf.o");
        std::fs::write(&object, host_kernel::catalog::find("exec").unwrap().object).unwrap();
        let mut mine = settings(&format!("[probes.mine]\nobject = {object:?}\n"));
        mine.probes = vec!["mine".into()];
        assert_eq!(required(&mine), ["CAP_BPF", "CAP_PERFMON"]);
        let needs = needs(&mine).unwrap();
        assert!(needs.iter().all(|need| need.who != "l7"), "{needs:?}");
    }
}
