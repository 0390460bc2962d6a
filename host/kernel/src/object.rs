//! The states of an object: opened, configured, verified, then attached and read.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use host_model::{Filter, Layout, MapAccess, Source};
use libbpf_rs::btf::Btf;
use libbpf_rs::{ErrorKind, MapCore, MapHandle, MapType, Object, ObjectBuilder, OpenObject};

use crate::attach::{self, Attached};
use crate::btf::{self, Kernel};
use crate::choice::{self, Choice};
use crate::error::KernelError;
use crate::layout::{self, LayoutError};
use crate::maps::Maps;
use crate::plan::{self, Plan};
use crate::ring::{self, Account, Parts, Ring, page_size};
use crate::uprobe::Watch;
use crate::{capabilities, filter, payload, privileged, sound, talk};

/// Options of a load.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Events to keep; fixed once loaded. An object without filter.h is refused if there is any condition.
    pub filter: Filter,
    /// Size of the ring, rounded up to a power of two of pages; None for the size in the object.
    pub ring_bytes: Option<u32>,
    /// `max_entries` that replace those in the object, by map name.
    pub max_entries: Vec<(String, u32)>,
    /// Process whose events are dropped: the host itself, since exporting an event would otherwise cause another one.
    pub exclude_pid: Option<u32>,
    /// Ports of which a connection must have one, at either end; at most 64, empty for all. For objects with l7.bpf.h.
    pub ports: Vec<u16>,
    /// Number of bytes of each call to capture unless a verdict changes it, at most 4096. For objects with l7.bpf.h.
    pub capture_bytes: Option<u32>,
    /// BTF of the running kernel, raw or in a vmlinux, if the kernel has none of its own. It serves relocations; hooks that need the
    /// kernel's own (`tp_btf/`, `fentry/`, `iter/`) are unavailable.
    pub btf: Option<PathBuf>,
    /// Whether to load only `plain_` programs, as on a kernel without BTF and without storage in tasks and sockets.
    pub plain: bool,
}

/// The hooks of an object's programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Alternative sets of sections, such as `tp_btf/sched_process_exec`: the first set that this kernel supports is attached, as a whole.
    pub sets: Vec<Vec<String>>,
    /// Whether some programs are also attached in libraries of running processes.
    pub in_libraries: bool,
}

/// A probe loaded into the kernel. Dropping it detaches its programs.
pub struct LoadedProbe {
    name: String,
    // Declared before the object: its links are dropped first.
    watch: Option<Watch>,
    attached: Attached,
    object: Arc<Object>,
    passed_over: Vec<String>,
    layout: Layout,
    ring_bytes: u32,
    ring: Option<MapHandle>,
    maps: Arc<Maps>,
}

/// Loads an object without attaching it.
///
/// `name` is the probe's name: for a user's own object, its file name without `.bpf.o`.
///
/// # Errors
/// The object or the options are invalid, or the kernel refuses or denies permission; with the end of the verifier's log if the verifier
/// refused.
pub fn load(name: &str, object: &[u8], options: &LoadOptions) -> Result<LoadedProbe, KernelError> {
    let (name, object, options) = (name.to_owned(), object.to_vec(), options.clone());
    privileged::load(move || load_here(&name, &object, &options))
}

/// Returns the hooks of an object's programs. Nothing is loaded, the kernel is not queried, and it needs no privilege.
///
/// # Errors
/// It is not a BPF object.
pub fn hooks(name: &str, object: &[u8]) -> Result<Hooks, KernelError> {
    check_elf(name, object)?;
    let opened = open(name, object, &LoadOptions::default())?;
    let (mut sets, mut in_libraries) = (BTreeMap::<usize, Vec<String>>::new(), false);
    for program in opened.progs() {
        let hook = talk::name(program.section());
        if choice::has_target(&hook) {
            sets.entry(choice::set_of(&program.name().to_string_lossy())).or_default().push(hook);
        } else {
            in_libraries = true;
        }
    }
    Ok(Hooks { sets: sets.into_values().collect(), in_libraries })
}

/// Returns the record of an object, after the checks of a load with these options that need neither the kernel nor privilege.
///
/// # Errors
/// The object or the options are invalid.
pub fn examine(name: &str, object: &[u8], options: &LoadOptions) -> Result<Layout, KernelError> {
    check_elf(name, object)?;
    let layout = read_layout(name, object)?;
    configure(name, &mut open(name, object, options)?, options)?;
    Ok(layout)
}

fn load_here(name: &str, object: &[u8], options: &LoadOptions) -> Result<LoadedProbe, KernelError> {
    check_elf(name, object)?;
    let layout = read_layout(name, object)?;
    let (object, ring_bytes, passed_over) = chosen(name, object, options)?;
    let ring = object.maps().find(|map| map.map_type() == MapType::RingBuf).map(|map| MapHandle::try_from(&map));
    let failed = |reason: libbpf_rs::Error| KernelError::Ring { probe: name.into(), reason: format!("{reason:#}") };
    let ring = ring.transpose().map_err(failed)?;
    let maps = Arc::new(Maps::new(&object).map_err(failed)?);
    let name = name.into();
    let (attached, object) = (Attached::default(), Arc::new(object));
    Ok(LoadedProbe { name, watch: None, attached, object, passed_over, layout, ring_bytes, ring, maps })
}

// === impl LoadOptions ===

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            ring_bytes: None,
            max_entries: Vec::new(),
            exclude_pid: Some(std::process::id()),
            ports: Vec::new(),
            capture_bytes: None,
            btf: None,
            plain: false,
        }
    }
}

// === impl LoadedProbe ===

impl LoadedProbe {
    /// The probe's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layout of the record that it writes.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The size of its ring, in bytes.
    #[must_use]
    pub fn ring_bytes(&self) -> u32 {
        self.ring_bytes
    }

    /// The hooks at which its programs are attached, such as `tp_btf/sched_process_exec`; empty before [`Self::attach`]. Hooks in libraries
    /// (`uprobe.multi/PATH:FUNCTIONS`) come and go with the processes that use the libraries.
    #[must_use]
    pub fn hooks(&self) -> Vec<String> {
        let in_libraries = self.watch.as_ref().map(Watch::hooks).unwrap_or_default();
        self.attached.hooks.iter().cloned().chain(in_libraries).collect()
    }

    /// Better hooks that this kernel lacks or does not allow, and why: `tp_btf/sock_send_length: this kernel has no such hook`. Empty if
    /// the first choice is attached.
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The capabilities that loading and attaching it need.
    #[must_use]
    pub fn capabilities(&self) -> Vec<&'static str> {
        capabilities::needed(self.attached.hooks.iter().map(String::as_str))
    }

    /// Its maps, without those that only the host accesses.
    #[must_use]
    pub fn maps(&self) -> Arc<dyn MapAccess> {
        self.maps.clone()
    }

    /// Attaches its programs; on an error none stays attached.
    ///
    /// # Errors
    /// The first hook that this kernel refuses, and why.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        if self.attached.hooks.is_empty() {
            self.try_attach()?;
            for reason in &self.passed_over {
                tracing::info!(probe = self.name, reason, "a better hook cannot be had");
            }
            let (name, object) = (self.name.clone(), Arc::clone(&self.object));
            self.watch = privileged::load(move || {
                attach::run_iterators(&name, &object);
                Watch::start(&name, &object)
            });
        }
        Ok(())
    }

    /// Attaches its programs as [`Self::attach`] does, without those in libraries and without running iterators over what already exists: a
    /// test of what this kernel allows.
    ///
    /// # Errors
    /// Those of [`Self::attach`].
    pub fn try_attach(&mut self) -> Result<(), KernelError> {
        let (name, object) = (self.name.clone(), Arc::clone(&self.object));
        self.attached = privileged::load(move || attach::attach(&name, &object))?;
        self.passed_over.append(&mut self.attached.passed_over);
        Ok(())
    }

    /// Returns the reader of its ring. A ring has one reader, so this can be called once.
    ///
    /// # Errors
    /// It has been called before, or the ring cannot be mapped.
    pub fn source(&mut self) -> Result<Box<dyn Source>, KernelError> {
        let failed = |reason: String| KernelError::Ring { probe: self.name.clone(), reason };
        let ring = self.ring.take().ok_or_else(|| failed("it has a reader already".into()))?;
        let in_part = self.layout.members.iter().any(|member| member.name == "threshold");
        let (name, object, bytes) = (self.name.clone(), Arc::clone(&self.object), self.ring_bytes as usize);
        let opened = privileged::load(move || Ring::open(&ring, bytes, parts(name, &object, in_part)?));
        Ok(Box::new(opened.map_err(|error| failed(error.to_string()))?))
    }
}

/// The parts of the source of an object's ring. `in_part`: its records carry their sampling probability.
fn parts(probe: String, object: &Object, in_part: bool) -> std::io::Result<Parts> {
    let find = |name: &str| object.maps().find(|map| map.name() == name);
    let cpus = libbpf_rs::num_possible_cpus().map_err(std::io::Error::other)?;
    let account = find(ring::SECTION).map(|map| Account::open(map.as_fd(), cpus)).transpose()?;
    let plan = match (find(plan::SECTION), find(plan::RULES)) {
        (Some(map), Some(rules)) => {
            Some(Plan::open(map.as_fd(), MapHandle::try_from(&rules).map_err(std::io::Error::other)?, in_part)?)
        }
        _ => None,
    };
    let programs = object.progs_mut().filter(|program| program.autoload());
    let programs = programs.map(|program| program.as_fd().try_clone_to_owned()).collect::<Result<_, _>>()?;
    Ok(Parts { probe, account, plan, programs })
}

impl std::fmt::Debug for LoadedProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedProbe").field("name", &self.name).field("hooks", &self.attached.hooks).finish_non_exhaustive()
    }
}

fn check_elf(probe: &str, object: &[u8]) -> Result<(), KernelError> {
    const EM_BPF: u16 = 247;
    let reason = match object {
        [] => "the file is empty",
        [0x7f, b'E', b'L', b'F', ..] => match object.get(18..20).and_then(|machine| machine.try_into().ok()) {
            Some(machine) if u16::from_le_bytes(machine) == EM_BPF => match sound::check(object) {
                Ok(()) if !probe.contains('\0') => return Ok(()),
                Ok(()) => "its name has a NUL in it",
                Err(reason) => &reason.to_string(),
            },
            _ => "an ELF file, but not for the BPF machine",
        },
        [0, b'a', b's', b'm', ..] => "a WebAssembly file: plugins are loaded with `host plugin load`",
        _ => "not an ELF file",
    };
    Err(KernelError::NotAnObject { probe: probe.into(), reason: reason.into() })
}

fn read_layout(probe: &str, object: &[u8]) -> Result<Layout, KernelError> {
    let (btf, said) = talk::listen(|| Btf::from_raw(probe, object));
    let btf = btf.map_err(|error| KernelError::NotAnObject { probe: probe.into(), reason: attach::explain(&error, &said) })?;
    let layout = btf.as_ref().ok_or(LayoutError::NoBtf).and_then(|btf| layout::read(probe, btf));
    layout.map_err(|reason| KernelError::Layout { probe: probe.into(), reason })
}

/// Loads the best programs that this kernel accepts. Also returns the size of the ring, and which hooks were passed over and why.
fn chosen(probe: &str, object: &[u8], options: &LoadOptions) -> Result<(Object, u32, Vec<String>), KernelError> {
    let kernel = Kernel::read(probe, options.btf.as_deref())?;
    let programs: Vec<_> = open(probe, object, options)?
        .progs()
        .map(|program| (talk::name(program.name()), talk::name(program.section())))
        .collect();
    let choice = choice::choose(&programs, &kernel, options.plain);
    let attempt = Attempt { probe, object, options, kernel: &kernel, choice: &choice };
    let mut passed_over = choice.passed_over.clone();
    let mut refused = None;
    for sets in choice.attempts() {
        let loaded = match attempt.verified(&sets, true) {
            // Iterators and uprobes are optional: older kernels may lack them.
            Err(refusal @ KernelError::Load { .. }) => attempt.verified(&sets, false).inspect(|_| {
                passed_over.extend(choice::bonus(&programs, &sets).map(|hook| refusal.passes_over(hook)));
            }),
            first => first,
        };
        match loaded {
            Ok((object, ring_bytes)) => return Ok((object, ring_bytes, passed_over)),
            Err(error @ (KernelError::Load { .. } | KernelError::Permission { .. })) => {
                if sets.len() == 1 {
                    let first = sets.iter().find_map(|set| choice::sections(&programs, *set).next());
                    passed_over.push(error.passes_over(first.unwrap_or(probe)));
                }
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| KernelError::Load { probe: probe.into(), reason: "it has no programs".into() }))
}

fn open(probe: &str, object: &[u8], options: &LoadOptions) -> Result<OpenObject, KernelError> {
    let open = || {
        let mut builder = ObjectBuilder::default();
        builder.name(probe)?;
        if let Some(file) = &options.btf {
            builder.btf_custom_path(file)?;
        }
        builder.open_memory(object)
    };
    let (opened, said) = talk::listen(open);
    opened.map_err(|error| KernelError::NotAnObject { probe: probe.into(), reason: attach::explain(&error, &said) })
}

/// The inputs of a load, which is tried with several combinations of sets.
struct Attempt<'a> {
    probe: &'a str,
    object: &'a [u8],
    options: &'a LoadOptions,
    kernel: &'a Kernel,
    choice: &'a Choice,
}

// === impl Attempt ===

impl Attempt<'_> {
    /// Opens, configures and loads these sets of the object's programs; with or without its iterators and the programs that are attached to
    /// targets found later.
    fn verified(&self, sets: &[usize], bonuses: bool) -> Result<(Object, u32), KernelError> {
        let probe = self.probe;
        let mut opened = open(probe, self.object, self.options)?;
        let ring_bytes = configure(probe, &mut opened, self.options)?;
        self.leave_out(&mut opened, sets).map_err(|reason| KernelError::Load { probe: probe.into(), reason })?;
        let mut of_own_btf = None;
        for mut program in opened.progs_mut() {
            let section = talk::name(program.section());
            let set = choice::set_of(&talk::name(program.name()));
            let (has_target, iterates) = (choice::has_target(&section), section.starts_with("iter"));
            let wanted = if has_target { sets.contains(&set) } else { self.choice.storage };
            let bonus = iterates || !has_target;
            if !wanted || (bonus && !bonuses) || (iterates && !self.kernel.describes_itself()) {
                program.set_autoload(false);
            } else if btf::is_of_own_btf(&section) {
                of_own_btf.get_or_insert(section);
            }
        }
        if let Some(hook) = of_own_btf.filter(|_| self.options.btf.is_some() && !self.kernel.describes_itself()) {
            return Err(KernelError::OwnBtf { probe: probe.into(), hook });
        }
        let (loaded, said) = talk::listen(|| opened.load());
        match loaded {
            Ok(object) => Ok((object, ring_bytes)),
            Err(_) if !self.kernel.describes_itself() && self.options.btf.is_none() => {
                Err(KernelError::NoKernelBtf { probe: probe.into() })
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !said.contains("BEGIN PROG LOAD LOG") => {
                Err(KernelError::Permission { probe: probe.into(), step: "loading".into(), cure: capabilities::cure(None) })
            }
            Err(error) => Err(KernelError::Load { probe: probe.into(), reason: attach::explain(&error, &said) }),
        }
    }

    /// Leaves out maps that these sets do not use or that this kernel lacks, and flags of the others that it does not allow.
    fn leave_out(&self, object: &mut OpenObject, sets: &[usize]) -> Result<(), String> {
        let allocates = self.kernel.allocates_elements();
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let stored = matches!(map.map_type(), MapType::TaskStorage | MapType::SkStorage);
            let flags = map.map_flags();
            let changed = if (stored && !self.choice.storage) || !choice::is_used(&name, sets) {
                map.set_autocreate(false)
            } else if map.map_type() == MapType::Hash && flags & libbpf_sys::BPF_F_NO_PREALLOC != 0 && !allocates {
                map.set_map_flags(flags & !libbpf_sys::BPF_F_NO_PREALLOC)
            } else {
                Ok(())
            };
            changed.map_err(|error| format!("map `{}`: {error:#}", talk::name(map.name())))?;
        }
        Ok(())
    }
}

/// Sets sizes and the filter; returns the size of the ring.
fn configure(probe: &str, object: &mut OpenObject, options: &LoadOptions) -> Result<u32, KernelError> {
    let rings = object.maps().filter(|map| map.map_type() == MapType::RingBuf).count();
    if rings != 1 {
        return Err(KernelError::Rings { probe: probe.into(), found: rings });
    }
    let names: Vec<String> = object.maps().map(|map| map.name().to_string_lossy().into_owned()).collect();
    if let Some((map, _)) = options.max_entries.iter().find(|(map, _)| !names.contains(map)) {
        return Err(KernelError::NoMap {
            probe: probe.into(),
            map: map.clone(),
            have: talk::names(names.iter().map(String::as_str)),
        });
    }
    if options.filter != Filter::default() && !names.iter().any(|name| name == filter::SECTION) {
        return Err(KernelError::NoFilter { probe: probe.into() });
    }
    let options_of_payload = [
        ("ports", payload::PORTS, !options.ports.is_empty()),
        ("capture_bytes", payload::SETTINGS, options.capture_bytes.is_some()),
    ];
    for (option, section, _) in options_of_payload.into_iter().filter(|&(_, _, asked)| asked) {
        if !names.iter().any(|name| name == section) {
            let reason = format!("it captures no payload (there is no {section} in it)");
            return Err(KernelError::Option { probe: probe.into(), option, reason });
        }
    }
    let page = u32::try_from(page_size()).unwrap_or(4096);
    let mut ring_bytes = 0;
    let conditions = filter::conditions(&options.filter, options.exclude_pid)?;
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        let shown = talk::name(map.name());
        let refused =
            |error: libbpf_rs::Error| KernelError::Load { probe: probe.into(), reason: format!("map `{shown}`: {error:#}") };
        check_section(probe, &name, map.initial_value())?;
        if name == filter::SECTION {
            map.set_initial_value(&conditions).map_err(refused)?;
        } else if name == payload::PORTS {
            map.set_initial_value(&payload::ports(probe, &options.ports)?).map_err(refused)?;
        } else if let (payload::SETTINGS, Some(bytes)) = (name.as_str(), options.capture_bytes) {
            map.set_initial_value(&payload::settings(probe, bytes)?).map_err(refused)?;
        }
        let asked = options.max_entries.iter().find(|(map, _)| *map == name).map(|&(_, entries)| entries);
        if map.map_type() == MapType::RingBuf {
            let bytes = options.ring_bytes.or(asked).unwrap_or(map.max_entries());
            ring_bytes = bytes.clamp(page, 1 << 30).next_power_of_two();
            map.set_max_entries(ring_bytes).map_err(refused)?;
        } else if let Some(entries) = asked {
            map.set_max_entries(entries).map_err(refused)?;
        }
    }
    Ok(ring_bytes)
}

/// Checks that a section that our headers put into an object has the layout that this host knows.
fn check_section(probe: &str, name: &str, content: Option<&[u8]>) -> Result<(), KernelError> {
    let known = [(filter::SECTION, filter::SIZE), (plan::SECTION, plan::SIZE), (ring::SECTION, ring::ACCOUNT_SIZE)];
    let (Some((section, size)), Some(content)) = (known.into_iter().find(|(section, _)| *section == name), content) else {
        return Ok(());
    };
    let refused = |found: String, expected: String| KernelError::Headers { probe: probe.into(), section, found, expected };
    if content.len() != size {
        return Err(refused(format!("{} bytes", content.len()), size.to_string()));
    }
    let version = ring::version(content);
    if section == ring::SECTION && version != ring::VERSION {
        return Err(refused(format!("version {version}"), ring::VERSION.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_headers_of_another_version_is_refused() {
        let mut content = vec![0; ring::ACCOUNT_SIZE];
        content[16] = 1;
        assert!(check_section("x", ring::SECTION, Some(&content)).is_ok());
        content[16] = 2;
        let error = check_section("x", ring::SECTION, Some(&content)).unwrap_err().to_string();
        assert!(error.contains("version 2, this host expects 1"), "{error}");
        assert!(check_section("x", filter::SECTION, Some(&[0; 8])).is_err());
    }
}
