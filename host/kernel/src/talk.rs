//! Captures messages of libbpf for our error messages instead of standard error.
//!
//! libbpf calls back from C, through which a panic must not unwind, and its messages contain names from objects of others, which may be any
//! bytes. So messages are kept as bytes until libbpf has returned; the callback neither decodes nor panics.

use std::cell::RefCell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::Once;

use host_model::printable;

/// Maximum number of bytes kept of all messages; a verifier's log may have megabytes, and its end matters most.
const KEPT: usize = 64 * 1024;
/// Maximum number of bytes kept of one message: its beginning and its end.
const MESSAGE: usize = KEPT / 2;
const BEGINNING: usize = 1024;
/// Maximum number of bytes to which one message is formatted. The verifier's log ends at 16 MiB.
const WRITTEN: usize = 17 << 20;
/// Size of the stack buffer for a formatted message: most are shorter.
const SHORT: usize = 1024;
/// Maximum number of lines of a verifier's log that are shown.
const SHOWN_LINES: usize = 8;
/// Maximum length of a line, and of a name, that are shown.
const SHOWN_LINE: usize = 256;
const SHOWN_NAME: usize = 256;
/// Maximum number of names that a message lists.
const SHOWN_NAMES: usize = 16;

thread_local! {
    /// The messages so far; None if they are not captured.
    static TALK: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs `work` and returns its result with the messages that libbpf wrote meanwhile on this thread.
pub(crate) fn listen<T>(work: impl FnOnce() -> T) -> (T, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // The list of arguments is a pointer in both ABIs, but the bindings of each name its type differently.
        let hear: unsafe extern "C" fn(u32, *const c_char, *mut c_void) -> c_int = hear;
        // SAFETY: the two types of functions differ in what the last pointer is said to point to.
        unsafe { libbpf_sys::libbpf_set_print(mem::transmute::<*const (), libbpf_sys::libbpf_print_fn_t>(hear as *const ())) };
    });
    TALK.set(Some(Vec::new()));
    let result = work();
    let said = TALK.take().unwrap_or_default();
    (result, String::from_utf8_lossy(&said).into_owned())
}

/// Returns the relevant part: the end of the verifier's log if there is one, else libbpf's last messages.
pub(crate) fn gist(talk: &str) -> String {
    const BEGIN: &str = "-- BEGIN PROG LOAD LOG --";
    const END: &str = "-- END PROG LOAD LOG --";
    let shown = |line: &&str| printable(line, SHOWN_LINE);
    let Some((before, log)) = talk.split_once(BEGIN) else {
        let lines: Vec<&str> =
            talk.lines().map(|line| line.trim_start_matches("libbpf: ")).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(2)..).unwrap_or_default();
        return last.iter().map(shown).collect::<Vec<_>>().join("; ");
    };
    let program = before.lines().last().unwrap_or_default().trim_start_matches("libbpf: ").trim();
    let log = log.split(END).next().unwrap_or_default();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("processed ") && !line.starts_with("libbpf:"))
        .collect();
    let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    let tail = tail.iter().map(shown).collect::<Vec<_>>().join("\n  ");
    format!("the verifier rejects {}:\n  {tail}", printable(program.trim_end_matches(':'), SHOWN_LINE))
}

/// Makes a name from an object fit for a message; names that C compilers produce stay unchanged.
pub(crate) fn name(name: &OsStr) -> String {
    printable(&name.to_string_lossy(), SHOWN_NAME)
}

/// Lists names from an object, of which there may be any number.
pub(crate) fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(SHOWN_NAMES);
    let shown: Vec<String> = names.take(SHOWN_NAMES).map(|name| printable(name, SHOWN_NAME)).collect();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

// === the callback ===

/// Size in words of a list of variable arguments, which is a struct.
const LIST: usize = if cfg!(target_arch = "x86_64") { 3 } else { 4 };

unsafe extern "C" {
    fn vsnprintf(to: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// The callback of libbpf for every message. Nothing in it panics: no indexing, no borrow that may fail, no allocation that must succeed.
///
/// # Safety
/// `format` is a C string, and `arguments` the argument list that belongs to it.
unsafe extern "C" fn hear(level: u32, format: *const c_char, arguments: *mut c_void) -> c_int {
    if level != libbpf_sys::LIBBPF_WARN || format.is_null() || arguments.is_null() {
        return 0;
    }
    let _ = TALK.try_with(|talk| {
        if let Ok(mut talk) = talk.try_borrow_mut()
            && let Some(talk) = talk.as_mut()
        {
            // SAFETY: as the caller says.
            unsafe { written_out(format, arguments, |message| keep(talk, message)) };
        }
    });
    0
}

/// Formats a message and passes it on; if memory is short, only its beginning.
///
/// # Safety
/// As [`hear`].
unsafe fn written_out(format: *const c_char, arguments: *mut c_void, mut take: impl FnMut(&[u8])) {
    // SAFETY: a list of variable arguments is a struct of so many words in both ABIs, and copying it is what va_copy does.
    let mut again: [u64; LIST] = unsafe { ptr::read_unaligned(arguments.cast()) };
    let mut short = [0_u8; SHORT];
    // SAFETY: at most so many bytes are written, the last of them 0; format and arguments belong together.
    let length = unsafe { vsnprintf(short.as_mut_ptr().cast(), SHORT, format, arguments) };
    let Ok(length) = usize::try_from(length) else { return };
    if length < SHORT {
        take(until_nul(&short));
        return;
    }
    let size = length.saturating_add(1).min(WRITTEN);
    let mut long: Vec<u8> = Vec::new();
    if long.try_reserve_exact(size).is_err() {
        take(until_nul(&short));
        return;
    }
    long.resize(size, 0);
    // SAFETY: as above, with a list that nobody has read from.
    unsafe { vsnprintf(long.as_mut_ptr().cast(), size, format, again.as_mut_ptr().cast()) };
    take(until_nul(&long));
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    CStr::from_bytes_until_nul(bytes).map(CStr::to_bytes).unwrap_or_default()
}

/// Appends a message, without its middle if it is long; the oldest text is dropped if the total exceeds its maximum.
fn keep(talk: &mut Vec<u8>, message: &[u8]) {
    let (beginning, end) = match (message.get(..BEGINNING), message.len().checked_sub(MESSAGE - BEGINNING)) {
        (Some(beginning), Some(from)) if message.len() > MESSAGE => (beginning, message.get(from..).unwrap_or_default()),
        _ => (message, &[][..]),
    };
    let more = beginning.len() + 1 + end.len();
    let too_much = (talk.len() + more).saturating_sub(KEPT).min(talk.len());
    talk.drain(..too_much);
    if talk.try_reserve(more).is_ok() {
        talk.extend_from_slice(beginning);
        if !end.is_empty() {
            talk.push(b'\n');
            talk.extend_from_slice(end);
        }
    }
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

    #[test]
    fn what_is_shown_has_neither_control_characters_nor_endless_lines() {
        assert_eq!(gist("libbpf: a\u{1b}[2Jb\u{202e}c\n"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(gist(&"x".repeat(9999)).len(), SHOWN_LINE);
        assert_eq!(names(["a\u{7}", "b"].into_iter()), "a\u{fffd}, b");
        let many = vec!["name"; 1000];
        assert!(names(many.iter().copied()).ends_with(", name and 984 more"));
    }

    /// Logs `text` as libbpf does: from C, with a format and arguments.
    fn say(text: &CStr) {
        // SAFETY: a path that ends in NUL, and no options. There is no such file, so libbpf names it and refuses.
        let opened = unsafe { libbpf_sys::bpf_object__open_file(text.as_ptr(), ptr::null()) };
        assert!(opened.is_null());
    }

    #[test]
    fn what_is_no_text_is_heard_as_bytes_and_shown_as_what_can_be_shown() {
        let ((), said) = listen(|| say(c"/nowhere/\xff\xfe\x80-\xc3(.o"));
        assert!(said.contains("/nowhere/") && said.contains('\u{fffd}'), "{said}");
    }

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        let path = [b"/begin".as_slice(), &[b'\xff'; 3 * KEPT], b"/end\0"].concat();
        let ((), said) = listen(|| say(CStr::from_bytes_with_nul(&path).unwrap()));
        assert!(said.contains("/begin") && said.contains("/end"), "{} bytes", said.len());
        let mut talk = Vec::new();
        for round in 0..100 {
            keep(&mut talk, &vec![b'0' + round % 10; 1 + 700 * usize::from(round)]);
            assert!(talk.len() <= KEPT + 1);
        }
        assert_eq!(talk.last(), Some(&b'9'));
    }

    #[test]
    fn where_nobody_listens_nothing_is_kept() {
        let _ = listen(|| ());
        say(c"/nowhere/either");
        assert!(TALK.with_borrow(Option::is_none));
    }
}
