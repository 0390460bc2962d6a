//! A decoder of a toy protocol over connections: clients send `PING`, servers `PONG`. `{"do": ...}` in the configuration asks for
//! misbehaviour, `{"name": ...}` is the name of the protocol.

mod decoder;
mod protocol;

use std::cell::RefCell;
use std::sync::OnceLock;

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    inline: "
        package guest:talker;
        world talker {
            import probe:plugin/config@0.1.0;
            export probe:plugin/decoder@0.1.0;
            export probe:plugin/protocol@0.1.0;
            export probe:plugin/handover@0.1.0;
        }
    ",
    world: "guest:talker/talker",
    generate_all,
});

export!(Talker);

struct Talker;

#[unsafe(link_section = "probe:plugin")]
#[used]
static IDENTITY: [u8; 18] = *b"decoder-talk\x001.0.0";

thread_local! {
    /// Conversations of another protocol: connection, whether it is plaintext of TLS, and from which record on.
    static FOREIGN: RefCell<Vec<(u64, u8, u32)>> = const { RefCell::new(Vec::new()) };
    /// Number of records so far: the state of the handover.
    static SEEN: RefCell<u64> = const { RefCell::new(0) };
}

/// Returns a text of the configuration.
fn text(key: &str) -> Option<String> {
    probe::plugin::config::get(key).map(|value| value.trim_matches('"').to_owned())
}

/// Whether the configuration asks for this behaviour.
fn told(way: &str) -> bool {
    static WAY: OnceLock<String> = OnceLock::new();
    WAY.get_or_init(|| text("do").unwrap_or_default()) == way
}

fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

impl exports::probe::plugin::handover::Guest for Talker {
    fn export_state() -> Result<exports::probe::plugin::handover::State, String> {
        let bytes = SEEN.with_borrow(|seen| seen.to_le_bytes().to_vec());
        Ok(exports::probe::plugin::handover::State { version: 1, bytes })
    }

    fn import_state(state: exports::probe::plugin::handover::State) -> Result<(), String> {
        let bytes = state.bytes.try_into().map_err(|_| "eight bytes are a state")?;
        SEEN.set(u64::from_le_bytes(bytes));
        Ok(())
    }
}
