//! Chooses, from alternative sets of programs that see the same, those that this kernel supports.
//!
//! Programs without a prefix are the first choice, then those called `fallback_...`, `fallback2_...`, `plain_...` and `plain2_...`; each
//! set is complete by itself. Plain sets need neither storage in tasks and sockets nor the kernel's own BTF: in an object that has any, the
//! other sets are assumed to need both. Programs whose section names no target (`uprobe.multi`) belong to all sets and are attached by the
//! code that finds their targets.

use crate::btf::{Kernel, is_of_own_btf};

/// Name prefixes of the fallback sets, in the order in which they are tried.
const FALLBACKS: [&str; 4] = ["fallback_", "fallback2_", "plain_", "plain2_"];
/// Index of the first plain set.
const FIRST_PLAIN: usize = 3;

/// The features of a kernel on which the choice of sets depends.
pub(crate) trait Offer {
    /// Whether the kernel has BTF of its own.
    fn own_btf(&self) -> bool;
    /// Whether the kernel has storage in tasks and sockets.
    fn storage(&self) -> bool;
    /// Whether the kernel has the hook of this section.
    fn hook(&self, section: &str) -> bool;
}

/// The sets of an object that are worth loading, best first, and why others are passed over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) sets: Vec<usize>,
    pub(crate) passed_over: Vec<String>,
    /// Whether maps and programs that need storage in tasks and sockets are loaded.
    pub(crate) storage: bool,
}

/// Returns the set of a program, or the first set that uses a map: 0, or one more than the index of its prefix.
pub(crate) fn set_of(name: &str) -> usize {
    FALLBACKS.iter().position(|prefix| name.starts_with(prefix)).map_or(0, |place| place + 1)
}

/// Whether a section names the target of its program.
pub(crate) fn has_target(section: &str) -> bool {
    section.contains('/')
}

/// Chooses among an object's programs, given by name and section, for a kernel. `plain`: as if it had neither BTF nor storage.
pub(crate) fn choose(programs: &[(String, String)], kernel: &impl Offer, plain: bool) -> Choice {
    let replaced = programs.iter().any(|(name, _)| set_of(name) >= FIRST_PLAIN);
    let (own_btf, storage) = (kernel.own_btf() && !plain, kernel.storage() && !plain);
    let mut choice = Choice { storage: !replaced || (own_btf && storage), ..Choice::default() };
    for set in 0..=FALLBACKS.len() {
        let Some(first) = sections(programs, set).next() else { continue };
        let lacking = if !own_btf && let Some(hook) = sections(programs, set).find(|hook| is_of_own_btf(hook)) {
            Some(format!("{hook}: it takes the kernel's own BTF"))
        } else if set < FIRST_PLAIN && !choice.storage {
            Some(format!("{first}: its programs take storage in tasks and sockets (Linux 5.13, with BTF)"))
        } else {
            let missing = sections(programs, set).find(|section| !kernel.hook(section));
            missing.map(|hook| format!("{hook}: this kernel has no such hook"))
        };
        if let Some(reason) = lacking {
            choice.passed_over.push(reason);
            continue;
        }
        choice.sets.push(set);
        if sections(programs, set).all(cannot_fail) {
            break;
        }
    }
    if choice.sets.is_empty() {
        // Loading it makes the kernel report what it lacks.
        choice.sets.push(0);
    }
    let iterates = |(name, section): &&(String, String)| section.starts_with("iter") && choice.sets.contains(&set_of(name));
    if let Some((_, section)) = programs.iter().find(iterates).filter(|_| !kernel.own_btf()) {
        choice.passed_over.push(format!("{section}: it takes the kernel's own BTF"));
    }
    if let Some((_, section)) = programs.iter().find(|(_, section)| !has_target(section)).filter(|_| !choice.storage) {
        choice.passed_over.push(format!("{section}: its programs take storage in tasks and sockets (Linux 5.13, with BTF)"));
    }
    choice
}

/// Iterators of these sets and programs without a target: optional programs, which do not decide which set is chosen.
pub(crate) fn bonus<'a>(programs: &'a [(String, String)], sets: &'a [usize]) -> impl Iterator<Item = &'a str> {
    let of_sets = programs.iter().filter(|(name, section)| !has_target(section) || sets.contains(&set_of(name)));
    let bonus =
        of_sets.map(|(_, section)| section.as_str()).filter(|section| !has_target(section) || section.starts_with("iter"));
    bonus.take(1)
}

/// Returns the hooks of a set, except iterators.
pub(crate) fn sections(programs: &[(String, String)], set: usize) -> impl Iterator<Item = &str> {
    let of_set = programs.iter().filter(move |(name, section)| set_of(name) == set && has_target(section));
    of_set.map(|(_, section)| section.as_str()).filter(|section| !section.starts_with("iter"))
}

/// Whether attaching to a hook always succeeds if the kernel has the hook.
fn cannot_fail(section: &str) -> bool {
    ["tp_btf/", "raw_tp/"].iter().any(|kind| section.starts_with(kind))
}

// === impl Choice ===

impl Choice {
    /// Combinations of sets to load, in order: all at once, so that attaching can choose; then, if one of several is refused, each alone.
    pub(crate) fn attempts(&self) -> Vec<Vec<usize>> {
        let alone = if self.sets.len() > 1 { self.sets.as_slice() } else { &[] };
        std::iter::once(self.sets.clone()).chain(alone.iter().map(|set| vec![*set])).collect()
    }
}

/// Whether any of these sets uses a map.
pub(crate) fn is_used(map: &str, sets: &[usize]) -> bool {
    let first = set_of(map);
    first == 0 || sets.iter().any(|set| *set >= first)
}

// === impl Kernel ===

impl Offer for Kernel {
    fn own_btf(&self) -> bool {
        self.describes_itself()
    }

    fn storage(&self) -> bool {
        self.has_storage()
    }

    fn hook(&self, section: &str) -> bool {
        self.has_hook(section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with all hooks but these.
    struct Has {
        own_btf: bool,
        storage: bool,
        lacks: &'static [&'static str],
    }

    const NEW: Has = Has { own_btf: true, storage: true, lacks: &[] };

    impl Offer for Has {
        fn own_btf(&self) -> bool {
            self.own_btf
        }

        fn storage(&self) -> bool {
            self.storage
        }

        fn hook(&self, section: &str) -> bool {
            !self.lacks.contains(&section)
        }
    }

    fn programs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, section)| ((*name).to_owned(), (*section).to_owned())).collect()
    }

    #[test]
    fn what_always_attaches_ends_the_search_and_what_the_kernel_lacks_is_named() {
        let all =
            programs(&[("a", "tp_btf/new"), ("fallback_a", "fexit/f"), ("fallback2_a", "tp_btf/old"), ("tls", "uprobe.multi")]);
        let choose = |lacks| choose(&all, &Has { lacks, ..NEW }, false);
        assert_eq!(choose(&[]).sets, [0]);
        let older = choose(&["tp_btf/new"]);
        assert_eq!(older.sets, [1, 2], "fexit may be refused");
        assert_eq!(older.passed_over, ["tp_btf/new: this kernel has no such hook"]);
        assert_eq!(older.attempts(), [vec![1, 2], vec![1], vec![2]]);
        assert_eq!(choose(&["tp_btf/new", "fexit/f"]).sets, [2]);
        assert_eq!(choose(&["tp_btf/new", "fexit/f", "tp_btf/old"]).sets, [0], "the kernel's own words are the error");
    }

    #[test]
    fn an_object_without_fallbacks_is_one_set() {
        let all = programs(&[("a", "tp/x/y"), ("b", "iter/task_file")]);
        let choice = choose(&all, &Has { storage: false, ..NEW }, false);
        assert_eq!((choice.attempts(), choice.passed_over.len(), choice.storage), (vec![vec![0]], 0, true));
    }

    #[test]
    fn plain_programs_run_where_there_is_no_storage_or_no_btf_of_the_kernels_own() {
        let all = programs(&[
            ("a", "tp_btf/x"),
            ("b", "iter/task_file"),
            ("plain_a", "raw_tp/x"),
            ("plain_b", "iter/task_file"),
            ("tls", "uprobe.multi"),
        ]);
        assert_eq!(choose(&all, &NEW, false).sets, [0]);
        let old = choose(&all, &Has { storage: false, ..NEW }, false);
        assert_eq!((old.sets.as_slice(), old.storage), ([3].as_slice(), false));
        let what = "its programs take storage in tasks and sockets (Linux 5.13, with BTF)";
        assert_eq!(old.passed_over, [format!("tp_btf/x: {what}"), format!("uprobe.multi: {what}")]);
        let mute = choose(&all, &Has { own_btf: false, ..NEW }, false);
        assert_eq!((mute.sets.as_slice(), mute.storage), ([3].as_slice(), false));
        let what = "it takes the kernel's own BTF";
        assert_eq!(mute.passed_over[..2], [format!("tp_btf/x: {what}"), format!("iter/task_file: {what}")]);
        assert_eq!(choose(&all, &NEW, true).sets, [3]);
    }

    #[test]
    fn a_map_is_made_for_its_set_and_those_behind_it() {
        assert!(is_used("calls", &[0]) && is_used("fallback2_calls", &[1, 2]) && is_used("fallback2_calls", &[3]));
        assert!(!is_used("plain_calls", &[0, 1, 2]) && is_used("plain_calls", &[4]));
    }
}
