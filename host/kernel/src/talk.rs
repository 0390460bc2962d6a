//! What libbpf says while it works: kept for the error message instead of standard error.

use std::cell::RefCell;
use std::sync::Once;

use libbpf_rs::{PrintLevel, set_print};

/// The most that is kept; a verifier log may have megabytes, and its end is what matters.
const KEPT: usize = 64 * 1024;
/// Lines of a verifier log that are shown.
const SHOWN_LINES: usize = 8;

thread_local! {
    static TALK: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work` and returns what libbpf said meanwhile on this thread.
pub(crate) fn listen<T>(work: impl FnOnce() -> T) -> (T, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_print(Some((PrintLevel::Warn, |_, line| {
            TALK.with_borrow_mut(|talk| {
                talk.push_str(&line);
                if talk.len() > 2 * KEPT {
                    let cut = talk.ceil_char_boundary(talk.len() - KEPT);
                    talk.drain(..cut);
                }
            });
        })));
    });
    TALK.with_borrow_mut(String::clear);
    let result = work();
    (result, TALK.take())
}

/// What matters of it: the end of the verifier's log if there is one, else libbpf's last words.
pub(crate) fn gist(talk: &str) -> String {
    const BEGIN: &str = "-- BEGIN PROG LOAD LOG --";
    const END: &str = "-- END PROG LOAD LOG --";
    let Some((before, log)) = talk.split_once(BEGIN) else {
        let lines: Vec<&str> =
            talk.lines().map(|line| line.trim_start_matches("libbpf: ")).filter(|line| !line.is_empty()).collect();
        return lines.get(lines.len().saturating_sub(2)..).unwrap_or_default().join("; ");
    };
    let program = before.lines().last().unwrap_or_default().trim_start_matches("libbpf: ").trim();
    let log = log.split(END).next().unwrap_or_default();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("processed ") && !line.starts_with("libbpf:"))
        .collect();
    let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    format!("the verifier rejects {}:\n  {}", program.trim_end_matches(':'), tail.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_verifier_log_is_what_is_shown() {
        let talk = "libbpf: prog 'p': BPF program load failed: -EACCES\nlibbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n0: (b7) r0 = 0\n\
                    R1 type=ctx expected=fp\nprocessed 2 insns (limit 1000000)\n-- END PROG LOAD LOG --\nlibbpf: failed to load object\n";
        let gist = gist(talk);
        assert!(gist.contains("prog 'p'") && gist.ends_with("R1 type=ctx expected=fp"), "{gist}");
    }

    #[test]
    fn without_a_verifier_log_the_last_words_are_shown() {
        assert_eq!(gist("libbpf: one\nlibbpf: two\nlibbpf: three\n"), "two; three");
    }
}
