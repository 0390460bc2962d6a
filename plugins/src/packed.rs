//! The plugins as code: of the target, and of the interpreter. Each of the two is packed as a whole, and stays unpacked while one of its
//! plugins is in use.

use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use ruzstd::decoding::StreamingDecoder;

/// One plugin.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The name of the plugin, of its folder and of its crate.
    pub name: &'static str,
    place: usize,
}

/// The code of a plugin. It holds all code that was unpacked with it.
#[derive(Debug, Clone)]
pub struct Code {
    all: Arc<Vec<u8>>,
    place: &'static Place,
}

/// The range of a plugin's code in the unpacked data, and its SHA-256.
#[derive(Debug)]
struct Place {
    name: &'static str,
    start: usize,
    end: usize,
    digest: [u8; 32],
}

/// The code of all plugins for one kind of machine.
struct Pack {
    packed: &'static [u8],
    /// In the order of the path.
    places: &'static [Place],
    unpacked: Mutex<Weak<Vec<u8>>>,
}

static NATIVE: Pack = Pack {
    packed: include_bytes!(concat!(env!("OUT_DIR"), "/native.zst")),
    places: &include!(concat!(env!("OUT_DIR"), "/native.rs")),
    unpacked: Mutex::new(Weak::new()),
};
static INTERPRETED: Pack = Pack {
    packed: include_bytes!(concat!(env!("OUT_DIR"), "/interpreted.zst")),
    places: &include!(concat!(env!("OUT_DIR"), "/interpreted.rs")),
    unpacked: Mutex::new(Weak::new()),
};

/// All plugins, in the order of the path.
pub static COMPONENTS: LazyLock<Vec<Component>> = LazyLock::new(|| {
    let named = NATIVE.places.iter().enumerate();
    named.map(|(place, Place { name, .. })| Component { name, place }).collect()
});

static DIGESTS: LazyLock<Vec<[u8; 32]>> =
    LazyLock::new(|| [&NATIVE, &INTERPRETED].iter().flat_map(|pack| pack.places).map(|place| place.digest).collect());

/// Returns the SHA-256 of all code in this binary: such code is as trustworthy as the binary itself.
#[must_use]
pub fn digests() -> &'static [[u8; 32]] {
    &DIGESTS
}

/// Returns the code with this SHA-256, if it is in this binary.
#[must_use]
pub fn code(digest: [u8; 32]) -> Option<Code> {
    [&NATIVE, &INTERPRETED].into_iter().find_map(|pack| pack.code(pack.places.iter().find(|place| place.digest == digest)?))
}

// === impl Component ===

impl Component {
    /// Returns the code of the target or of the interpreter; None if it cannot be unpacked, which is a fault of the build.
    #[must_use]
    pub fn code(&self, interpreted: bool) -> Option<Code> {
        let pack = if interpreted { &INTERPRETED } else { &NATIVE };
        pack.code(pack.places.get(self.place)?)
    }
}

// === impl Pack ===

impl Pack {
    fn code(&self, place: &'static Place) -> Option<Code> {
        Some(Code { all: self.unpacked()?, place })
    }

    fn unpacked(&self) -> Option<Arc<Vec<u8>>> {
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(all) = unpacked.upgrade() {
            return Some(all);
        }
        let mut all = Vec::new();
        StreamingDecoder::new(self.packed).ok()?.read_to_end(&mut all).ok()?;
        let all = Arc::new(all);
        *unpacked = Arc::downgrade(&all);
        Some(all)
    }
}

// === impl Code ===

impl AsRef<[u8]> for Code {
    fn as_ref(&self) -> &[u8] {
        self.all.get(self.place.start..self.place.end).unwrap_or_default()
    }
}
