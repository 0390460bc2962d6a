//! A good decoder, sampler and enricher, unless `{"do": ...}` in the configuration asks for misbehaviour.

mod decoder;
mod enricher;
mod handover;
mod sampler;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    inline: "
        package guest:faulty;
        world faulty {
            include probe:plugin/imports@0.1.0;
            export probe:plugin/decoder@0.1.0;
            export probe:plugin/sampler@0.1.0;
            export probe:plugin/enricher@0.1.0;
            export probe:plugin/handover@0.1.0;
        }
    ",
    world: "guest:faulty/faulty",
    generate_all,
});

use probe::plugin::log::{Level, write};

export!(Faulty);

struct Faulty;

#[unsafe(link_section = "probe:plugin")]
#[used]
static IDENTITY: [u8; 12] = *b"faulty\x001.2.3";

static WAY: OnceLock<String> = OnceLock::new();

/// Number of calls of the hot functions so far.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Whether the configuration asks for this behaviour; it may ask for several, separated by spaces.
fn told(way: &str) -> bool {
    let ways = WAY.get_or_init(|| probe::plugin::config::get("do").unwrap_or_default().trim_matches('"').to_owned());
    ways.split(' ').any(|told| told == way)
}

/// Counts a call and misbehaves as the configuration asks of any hot function.
fn misbehave() -> Result<(), String> {
    let call = CALLS.fetch_add(1, Relaxed) + 1;
    if told("trap") || (told("trap-on-second-call") && call == 2) {
        trap();
    } else if told("loop") {
        forever();
    } else if told("hoard") {
        hoard();
    } else if told("recurse") {
        return Err(deep(0).to_string());
    } else if told("error") {
        return Err("\x1b[31mnot today".into());
    } else if told("spike") {
        spike();
    } else if told("ask-without-end") {
        while probe::plugin::config::get("do").is_some() {}
    } else if told("ask-a-hundred-times") {
        (0..100).for_each(|_| drop(std::hint::black_box(probe::plugin::config::get("do"))));
    } else if told("say-why-and-trap") {
        write(Level::Error, "not this");
        write(Level::Error, "\x1b[31mthe ring\nis square");
        write(Level::Info, "nor this");
        trap();
    } else if told("noisy") {
        (0..1000).for_each(|line| write(Level::Info, &format!("\x1b[2Jline {line}")));
    }
    Ok(())
}

fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

fn forever() {
    loop {
        std::hint::black_box(());
    }
}

/// Allocates 20 MiB and frees them, which leaves the memory as large.
fn spike() {
    drop(std::hint::black_box(vec![1u8; 20 << 20]));
}

/// Allocates memory until there is none.
fn hoard() {
    loop {
        std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

#[allow(unconditional_recursion)]
fn deep(level: u64) -> u64 {
    std::hint::black_box(deep(std::hint::black_box(level + 1))) + 1
}
