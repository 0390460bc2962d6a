//! The plugins as code: of the target, and of the interpreter. Each of the two is packed as a whole, and unpacked when one of its
//! plugins is asked for.

use std::io::Read;
use std::sync::LazyLock;

use ruzstd::decoding::StreamingDecoder;

/// One plugin.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The name of the plugin: its folder and its crate.
    pub name: &'static str,
    place: usize,
}

/// Name, start and end of each plugin in what is unpacked, in the order in which an event meets them.
type Places = &'static [(&'static str, usize, usize)];

static NATIVE: LazyLock<Vec<u8>> = LazyLock::new(|| unpack(include_bytes!(concat!(env!("OUT_DIR"), "/native.zst"))));
const NATIVE_PLACES: Places = include!(concat!(env!("OUT_DIR"), "/native.rs"));

static INTERPRETED: LazyLock<Vec<u8>> = LazyLock::new(|| unpack(include_bytes!(concat!(env!("OUT_DIR"), "/interpreted.zst"))));
const INTERPRETED_PLACES: Places = include!(concat!(env!("OUT_DIR"), "/interpreted.rs"));

/// All of them, in the order in which an event meets them.
pub static COMPONENTS: LazyLock<Vec<Component>> = LazyLock::new(|| {
    let named = NATIVE_PLACES.iter().enumerate();
    named.map(|(place, (name, _, _))| Component { name, place }).collect()
});

/// What cannot be unpacked is empty, and refused as such; the build packed it.
fn unpack(packed: &'static [u8]) -> Vec<u8> {
    let mut code = Vec::new();
    if let Ok(mut decoder) = StreamingDecoder::new(packed)
        && decoder.read_to_end(&mut code).is_err()
    {
        code.clear();
    }
    code
}

// === impl Component ===

impl Component {
    /// Its code, of the target or of the interpreter.
    #[must_use]
    pub fn code(&self, interpreted: bool) -> &'static [u8] {
        let (code, places) = if interpreted { (&*INTERPRETED, INTERPRETED_PLACES) } else { (&*NATIVE, NATIVE_PLACES) };
        places.get(self.place).and_then(|&(_, start, end)| code.get(start..end)).unwrap_or_default()
    }

    /// Looks only at what has been unpacked: nothing else can have been taken from here.
    pub(crate) fn own(&self, bytes: &[u8]) -> Option<&'static [u8]> {
        let unpacked = [(false, LazyLock::get(&NATIVE).is_some()), (true, LazyLock::get(&INTERPRETED).is_some())];
        let mut codes = unpacked.into_iter().filter(|(_, there)| *there).map(|(interpreted, _)| self.code(interpreted));
        codes.find(|own| *own == bytes)
    }
}
