//! Programs that see the same in different ways: which of them this kernel can have.
//!
//! Those without a prefix are the first choice, then those called `fallback_...`, then `fallback2_...`; each set is whole by itself.
//! Programs whose section names no target (`uprobe.multi`) belong to all of them and are attached by whoever knows a target.

use libbpf_rs::OpenObject;
use libbpf_rs::btf::{Btf, types};

/// Prefixes of names, in the order in which their sets are tried after the first.
const FALLBACKS: [&str; 2] = ["fallback_", "fallback2_"];

/// The sets of an object that are worth loading, best first, and why others are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) sets: Vec<usize>,
    pub(crate) passed_over: Vec<String>,
}

/// The set of a program: 0, or one more than the place of its prefix.
pub(crate) fn set_of(program: &str) -> usize {
    FALLBACKS.iter().position(|prefix| program.starts_with(prefix)).map_or(0, |place| place + 1)
}

/// Whether a section says where to attach its program.
pub(crate) fn has_target(section: &str) -> bool {
    section.contains('/')
}

/// What the running kernel's BTF says about the hooks of an object.
pub(crate) fn choose(object: &OpenObject) -> Choice {
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let programs: Vec<_> = object.progs().map(|program| (text(program.name()), text(program.section()))).collect();
    let several = programs.iter().any(|(name, _)| set_of(name) > 0);
    let kernel = if several { Btf::from_vmlinux().ok() } else { None };
    weigh(&programs, |section| kernel.as_ref().is_none_or(|kernel| exists(kernel, section)))
}

/// `programs`: names and sections.
fn weigh(programs: &[(String, String)], exists: impl Fn(&str) -> bool) -> Choice {
    let mut choice = Choice::default();
    for set in 0..=FALLBACKS.len() {
        let mut hooks = sections(programs, set).peekable();
        if hooks.peek().is_none() {
            continue;
        }
        if let Some(missing) = sections(programs, set).find(|section| !exists(section)) {
            choice.passed_over.push(format!("{missing}: this kernel has no such hook"));
            continue;
        }
        choice.sets.push(set);
        if hooks.all(cannot_fail) {
            break;
        }
    }
    if choice.sets.is_empty() {
        // The kernel is to say what it lacks.
        choice.sets.push(0);
    }
    choice
}

fn sections(programs: &[(String, String)], set: usize) -> impl Iterator<Item = &str> {
    let of_set = programs.iter().filter(move |(name, section)| set_of(name) == set && has_target(section));
    of_set.map(|(_, section)| section.as_str())
}

/// Whether a hook that the kernel has can always be attached to. Iterators are a bonus and never decide.
fn cannot_fail(section: &str) -> bool {
    ["tp_btf/", "raw_tp/", "iter"].iter().any(|kind| section.starts_with(kind))
}

fn exists(kernel: &Btf<'_>, section: &str) -> bool {
    match section.split_once('/') {
        Some(("tp_btf", name)) => kernel.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}")).is_some(),
        Some(("fentry" | "fexit" | "fmod_ret", name)) => kernel.type_by_name::<types::Func<'_>>(name).is_some(),
        _ => true,
    }
}

// === impl Choice ===

impl Choice {
    /// In which combinations to load: all at once, so that attaching can choose, or, where one of several sets is refused, each alone.
    pub(crate) fn attempts(&self) -> Vec<Vec<usize>> {
        let alone = if self.sets.len() > 1 { self.sets.as_slice() } else { &[] };
        std::iter::once(self.sets.clone()).chain(alone.iter().map(|set| vec![*set])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, section)| ((*name).to_owned(), (*section).to_owned())).collect()
    }

    #[test]
    fn what_always_attaches_ends_the_search_and_what_the_kernel_lacks_is_named() {
        let all =
            programs(&[("a", "tp_btf/new"), ("fallback_a", "fexit/f"), ("fallback2_a", "tp_btf/old"), ("tls", "uprobe.multi")]);
        assert_eq!(weigh(&all, |_| true).sets, [0]);
        let older = weigh(&all, |section| section != "tp_btf/new");
        assert_eq!(older.sets, [1, 2], "fexit may be refused");
        assert_eq!(older.passed_over, ["tp_btf/new: this kernel has no such hook"]);
        assert_eq!(older.attempts(), [vec![1, 2], vec![1], vec![2]]);
        assert_eq!(weigh(&all, |section| section == "tp_btf/old").sets, [2]);
        assert_eq!(weigh(&all, |_| false).sets, [0], "the kernel's own words are the error");
    }

    #[test]
    fn an_object_without_fallbacks_is_one_set() {
        let choice = weigh(&programs(&[("a", "tp/x/y"), ("b", "iter/task_file")]), |_| true);
        assert_eq!((choice.attempts(), choice.passed_over.len()), (vec![vec![0]], 0));
    }
}
