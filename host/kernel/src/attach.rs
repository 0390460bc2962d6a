//! Attaches each program to its hook, on its own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libbpf_rs::{ErrorKind, Iter, Link, Object, ProgramMut};

use crate::choice::{has_target, set_of};
use crate::error::KernelError;
use crate::{capabilities, regular, talk, tracepoint};

/// Text of ENOTSUPP, an errno of the kernel's own: BPF trampolines do not exist on this architecture.
const NO_TRAMPOLINES: &str = "os error 524";

/// Attached programs. Dropping it detaches them.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    links: Vec<Link>,
    /// Sections of the attached programs, such as `tp_btf/sched_process_exec`.
    pub(crate) hooks: Vec<String>,
    /// Why better sets were passed over.
    pub(crate) passed_over: Vec<String>,
}

/// Attaches the best set of an object's programs that can be attached as a whole, without iterators (`iter/...`).
pub(crate) fn attach(probe: &str, object: &Object) -> Result<Attached, KernelError> {
    let targeted = object.progs_mut().filter(|program| program.autoload() && has_target(&talk::name(program.section())));
    let sets: BTreeSet<usize> = targeted.map(|program| set_of(&talk::name(program.name()))).collect();
    let mut passed_over = Vec::new();
    let mut attached = Ok(Attached::default());
    for set in sets {
        attached = attach_set(probe, object, set);
        match &attached {
            Ok(_) => break,
            Err(reason) => passed_over.push(reason.passes_over(&first_of(object, set))),
        }
    }
    let mut attached = attached?;
    attached.passed_over = passed_over;
    Ok(attached)
}

/// Runs an object's iterators once; their failure is not an error.
pub(crate) fn run_iterators(probe: &str, object: &Object) {
    for program in object.progs_mut().filter(|program| program.autoload() && is_iterator(program)) {
        if let Err(reason) = run(&program) {
            tracing::warn!(probe, program = %talk::name(program.name()), %reason, "what is older than the probe stays unknown");
        }
    }
}

/// Returns the first hook of a set.
fn first_of(object: &Object, set: usize) -> String {
    let first = object.progs().find(|program| {
        let hook = talk::name(program.section());
        has_target(&hook) && !hook.starts_with("iter") && set_of(&talk::name(program.name())) == set
    });
    first.map(|program| talk::name(program.section())).unwrap_or_default()
}

fn attach_set(probe: &str, object: &Object, set: usize) -> Result<Attached, KernelError> {
    let mut attached = Attached::default();
    for program in object.progs_mut() {
        let hook = talk::name(program.section());
        let ours = has_target(&hook) && set_of(&talk::name(program.name())) == set;
        if !program.autoload() || is_iterator(&program) || !ours {
            continue;
        }
        attached.links.push(attach_one(probe, &program, &hook)?);
        attached.hooks.push(hook);
    }
    Ok(attached)
}

fn attach_one(probe: &str, program: &ProgramMut<'_>, hook: &str) -> Result<Link, KernelError> {
    let failed = |reason: String| KernelError::Attach { probe: probe.into(), hook: hook.into(), reason };
    let denied = || KernelError::Permission {
        probe: probe.into(),
        step: format!("attaching to {hook}"),
        cure: capabilities::cure(Some(hook)),
    };
    let Some((category, name)) = tracepoint_of(hook) else {
        if let Some(file) = file_of(program.section()) {
            // libbpf opens the path as it is, and would block on a pipe until it has a writer.
            regular::open(file).map_err(|error| failed(format!("{}: {error}", talk::name(file.as_os_str()))))?;
        }
        let (link, said) = talk::listen(|| program.attach());
        return link.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => denied(),
            ErrorKind::NotFound => failed("this kernel has no such hook".into()),
            _ if format!("{error:#}").contains(NO_TRAMPOLINES) => failed(
                "this kernel attaches no programs to functions (no direct calls by ftrace: arm64 before Linux 6.4)".into(),
            ),
            _ => failed(explain(&error, &said)),
        });
    };
    let event = tracepoint::open(category, name).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => denied(),
        std::io::ErrorKind::NotFound => failed("this kernel has no such tracepoint".into()),
        _ => failed(error.to_string()),
    })?;
    let (link, said) = talk::listen(|| program.attach_perf_event(event.as_raw_fd()));
    if link.is_ok() {
        // libbpf takes ownership of the descriptor only on success.
        let _ = event.into_raw_fd();
    }
    link.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => denied(),
        _ => failed(explain(&error, &said)),
    })
}

/// Runs an iterator to its end and discards its output.
fn run(program: &ProgramMut<'_>) -> Result<(), String> {
    let (link, said) = talk::listen(|| program.attach());
    let link = link.map_err(|error| explain(&error, &said))?;
    let mut iterator = Iter::new(&link).map_err(|error| error.to_string())?;
    std::io::copy(&mut iterator.by_ref(), &mut std::io::sink()).map_err(|error| error.to_string())?;
    Ok(())
}

/// Returns category and name of `tp/CATEGORY/NAME`.
fn tracepoint_of(section: &str) -> Option<(&str, &str)> {
    section.strip_prefix("tp/").or_else(|| section.strip_prefix("tracepoint/"))?.split_once('/')
}

/// Returns the file of a section such as `uprobe/FILE:FUNCTION`, if the section gives it by its path.
fn file_of(section: &OsStr) -> Option<&Path> {
    let section = section.as_bytes();
    let slash = section.iter().position(|byte| *byte == b'/')?;
    let (kind, target) = section.split_at_checked(slash)?;
    let kind = kind.split(|byte| *byte == b'.').next()?;
    let file = target.get(1..)?.split(|byte| *byte == b':').next()?;
    let by_path = [b"uprobe".as_slice(), b"uretprobe", b"usdt"].contains(&kind) && file.contains(&b'/');
    by_path.then(|| Path::new(OsStr::from_bytes(file)))
}

pub(crate) fn is_iterator(program: &ProgramMut<'_>) -> bool {
    let section = talk::name(program.section());
    section.starts_with("iter/") || section.starts_with("iter.s/")
}

/// Returns the text of a libbpf error, with the messages that libbpf wrote meanwhile.
pub(crate) fn explain(error: &libbpf_rs::Error, said: &str) -> String {
    let mut reason = format!("{error:#}");
    let gist = talk::gist(said);
    if !gist.is_empty() {
        let _ = write!(reason, " ({gist})");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_tracepoints_go_through_tracefs() {
        assert_eq!(tracepoint_of("tp/sched/sched_switch"), Some(("sched", "sched_switch")));
        assert_eq!(tracepoint_of("tracepoint/sched/sched_switch"), Some(("sched", "sched_switch")));
        assert_eq!(tracepoint_of("tp_btf/sched_switch"), None);
    }

    #[test]
    fn files_that_libbpf_would_open_are_known_by_their_path() {
        let file = |section| file_of(OsStr::new(section)).map(Path::to_path_buf);
        for section in ["uprobe//tmp/x:f", "uretprobe.s//tmp/x:f+3", "usdt//tmp/x:a:b", "uprobe.multi//tmp/x:f*"] {
            assert_eq!(file(section), Some("/tmp/x".into()), "{section}");
        }
        assert_eq!(file("uprobe/libc.so.6:malloc"), None, "it is looked for");
        assert!(["uprobe", "tp/a/b", "kprobe/f", "fentry/f", ""].into_iter().all(|section| file(section).is_none()));
    }
}
