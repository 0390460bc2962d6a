//! The probes of a run, and the options that each is loaded with.

use std::path::{Path, PathBuf};

use host_api::{LARGEST_OBJECT, Step, is_name};
use host_kernel::{LoadOptions, catalog, cgroup, file, privileged};
use host_model::{Description, Filter, Probe, ProbeState};

use crate::config::{FilterConfig, ProbeConfig};
use crate::error::DaemonError;
use crate::settings::Settings;

/// One probe to run.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) object: Object,
    /// Whether it was requested by name: then it is an error if it cannot run.
    pub(crate) must: bool,
    pub(crate) options: LoadOptions,
}

/// The location of its object.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    /// The binary.
    BuiltIn(&'static [u8]),
    /// A file.
    File(PathBuf),
    /// The bytes themselves, from a request.
    Given(Vec<u8>),
}

/// The probe whose records carry payload.
const PAYLOAD: &str = "l7";

/// Returns the probes of a run in the order of the catalog, then those of the configuration, then those of the folder.
pub(crate) fn wanted(settings: &Settings) -> Result<Vec<Wanted>, DaemonError> {
    let config = &settings.config;
    let mut candidates: Vec<(String, Option<Object>)> =
        catalog::catalog().iter().map(|probe| (probe.name.to_owned(), Some(Object::BuiltIn(probe.object)))).collect();
    for (name, probe) in config.probes.iter() {
        let object = probe.object.clone().map(Object::File);
        match candidates.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) if object.is_some() => *place = object,
            Some(_) => {}
            None => candidates.push((name.clone(), object)),
        }
    }
    for file in config.probe_dir.iter().flat_map(|folder| objects(folder)) {
        let file = file?;
        let name = name_of(&file)?;
        if candidates.iter().any(|(known, _)| *known == name) {
            let message = format!("{} has the name of a probe that is there already", file.display());
            return Err(DaemonError::new(Step::Configure, message, "rename the file: its name before `.bpf.o` is the probe's"));
        }
        candidates.push((name, Some(Object::File(file))));
    }
    if let Some(unknown) = settings.probes.iter().find(|name| !candidates.iter().any(|(known, _)| known == *name)) {
        let known: Vec<&str> = candidates.iter().map(|(name, _)| name.as_str()).collect();
        return Err(DaemonError::new(
            Step::Configure,
            format!("there is no probe `{unknown}`"),
            format!("probes are {}", known.join(", ")),
        ));
    }
    let defaults = ProbeConfig::default();
    let mut wanted = Vec::new();
    for (name, object) in candidates {
        let probe = config.probes.get(name.as_str()).unwrap_or(&defaults);
        let by_name = settings.probes.contains(&name);
        let runs = if settings.probes.is_empty() { probe.enabled.unwrap_or(true) } else { by_name };
        if !runs {
            continue;
        }
        if !is_name(&name) {
            let cure = "use letters, digits, `-` and `_`, at most 64";
            return Err(DaemonError::new(Step::Configure, format!("{name:?} cannot be the name of a probe"), cure));
        }
        let Some(object) = object else {
            let message = format!("probe `{name}` is not in the binary and has no object");
            return Err(DaemonError::new(
                Step::Configure,
                message,
                format!("add `object = \"{name}.bpf.o\"` to [probes.{name}]"),
            ));
        };
        let must = by_name || probe.enabled == Some(true);
        wanted.push(Wanted { options: options(settings, &name, probe)?, name, object, must });
    }
    Ok(wanted)
}

/// Returns the options of a probe with this configuration.
pub(crate) fn options(settings: &Settings, name: &str, probe: &ProbeConfig) -> Result<LoadOptions, DaemonError> {
    let mut options = LoadOptions { filter: filter(&settings.filter, &probe.filter)?, ..LoadOptions::default() };
    options.ring_bytes = probe.ring_bytes.map(|size| u32::try_from(size.0).unwrap_or(u32::MAX));
    options.ports.clone_from(&probe.ports);
    options.btf = settings.config.kernel.btf.clone();
    if name == PAYLOAD {
        // The start of a connection identifies its protocol, and fills tables that its decoder needs to the end: all of it is captured
        // until the router has set a limit for the protocol.
        options.capture_bytes = Some(Description::CAPTURE);
    }
    options.max_entries = probe.max_entries.iter().map(|(map, entries)| (map.clone(), *entries)).collect();
    Ok(options)
}

/// Returns the built-in probes that a run leaves out, for the list.
pub(crate) fn detached(wanted: &[Wanted]) -> Vec<Probe> {
    let missing = |name: &str| wanted.iter().all(|wanted| wanted.name != name);
    let catalog = catalog::catalog();
    catalog.iter().filter(|probe| missing(probe.name)).map(|probe| idle(probe.name, true, ProbeState::Detached)).collect()
}

/// Returns a probe that is not in the kernel.
pub(crate) fn idle(name: &str, built_in: bool, state: ProbeState) -> Probe {
    let capabilities = host_kernel::capabilities::needed([]).into_iter().map(str::to_owned).collect();
    let (hooks, passed_over) = (Vec::new(), Vec::new());
    Probe { name: name.to_owned(), built_in, state, hooks, passed_over, layout: None, ring_bytes: 0, capabilities }
}

/// Returns the name of the probe in an object file: the part before `.bpf.o`.
pub(crate) fn name_of(file: &Path) -> Result<String, DaemonError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".bpf.o").or_else(|| name.strip_suffix(".o")).unwrap_or(&name);
    if is_name(name) {
        return Ok(name.to_owned());
    }
    let message = format!("{} gives no name to a probe", file.display());
    Err(DaemonError::new(Step::Configure, message, "name the file NAME.bpf.o, with letters, digits, `-` and `_`"))
}

// === impl Object ===

impl Object {
    pub(crate) const fn built_in(&self) -> bool {
        matches!(self, Self::BuiltIn(_))
    }

    /// Returns the bytes of the object.
    pub(crate) fn read(&self) -> Result<Vec<u8>, DaemonError> {
        let file = match self {
            Self::BuiltIn(bytes) => return Ok(bytes.to_vec()),
            Self::Given(bytes) => return Ok(bytes.clone()),
            Self::File(file) => file,
        };
        file::read_privileged(file, LARGEST_OBJECT as u64).map_err(|error| DaemonError::Object { file: file.clone(), error })
    }
}

/// Returns the filter: the flags' conditions override those of the configuration.
fn filter(flags: &FilterConfig, config: &FilterConfig) -> Result<Filter, DaemonError> {
    let cgroup = flags.cgroup.as_ref().or(config.cgroup.as_ref());
    let cgroup = cgroup.map(|path| cgroup::id(path)).transpose();
    Ok(Filter {
        pid: flags.pid.or(config.pid),
        comm: flags.comm.clone().or_else(|| config.comm.clone()),
        cgroup: cgroup
            .map_err(|error| DaemonError::new(Step::Configure, error.to_string(), "name a directory below /sys/fs/cgroup"))?,
    })
}

/// Returns the objects in a folder, by name.
fn objects(folder: &Path) -> Vec<Result<PathBuf, DaemonError>> {
    let failed = |error: std::io::Error| {
        DaemonError::new(
            Step::Configure,
            format!("probe_dir {}: {error}", folder.display()),
            "name a folder that this user may read",
        )
    };
    let named = folder.to_owned();
    let entries = privileged::read(file::PATIENCE, move || {
        std::fs::read_dir(named).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>())
    });
    let entries = match entries.unwrap_or_else(|late| Err(std::io::Error::other(late))) {
        Ok(entries) => entries,
        Err(error) => return vec![Err(failed(error))],
    };
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|path| path.to_string_lossy().ends_with(".bpf.o")).collect();
    files.sort();
    files.into_iter().map(Ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(text: &str) -> Settings {
        Settings { config: Config::parse(Path::new("host.toml"), text).unwrap(), ..Settings::default() }
    }

    fn names(settings: &Settings) -> Vec<(String, bool)> {
        wanted(settings).unwrap().into_iter().map(|wanted| (wanted.name, wanted.must)).collect()
    }

    #[test]
    fn without_a_word_every_probe_runs_that_can() {
        let all: Vec<_> = catalog::catalog().iter().map(|probe| (probe.name.to_owned(), false)).collect();
        assert_eq!(names(&settings("")), all);
    }

    #[test]
    fn what_is_asked_for_by_name_must_run_and_runs_alone() {
        let mut settings = settings("[probes.exec]\nenabled = true\n[probes.tcp]\nenabled = false\n");
        assert_eq!(names(&settings), [("exec".into(), true), ("file".into(), false), ("l7".into(), false)]);
        settings.probes = vec!["tcp".into()];
        assert_eq!(names(&settings), [("tcp".into(), true)]);
        settings.probes = vec!["tpc".into()];
        let error = wanted(&settings).unwrap_err();
        assert!(error.to_string().contains("`tpc`") && error.cure().contains("tcp"), "{error:?}");
    }

    #[test]
    fn every_object_in_the_folder_is_a_probe_and_no_other_file_is() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b.bpf.o", "a.bpf.o", "notes.txt"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let settings = settings(&format!("probe_dir = {:?}", folder.path()));
        let names: Vec<_> = names(&settings).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["exec", "file", "l7", "tcp", "a", "b"]);
        std::fs::write(folder.path().join("file.bpf.o"), "").unwrap();
        assert!(wanted(&settings).unwrap_err().to_string().contains("file.bpf.o"));
    }

    #[test]
    fn a_probe_without_an_object_is_told_the_line_to_add() {
        assert_eq!(wanted(&settings("[probes.mine]\n")).unwrap_err().cure(), "add `object = \"mine.bpf.o\"` to [probes.mine]");
    }

    #[test]
    fn flags_go_before_the_configuration() {
        let mut settings = settings("[probes.file]\nfilter = { comm = \"nginx\", pid = 1 }\n");
        settings.filter.pid = Some(2);
        let file = wanted(&settings).unwrap().into_iter().find(|wanted| wanted.name == "file").unwrap();
        assert_eq!(file.options.filter, Filter { pid: Some(2), comm: Some("nginx".into()), cgroup: None });
    }
}
