//! The format of an entry's file: the identity of the code, the code, and a tag over both.
//!
//! ```text
//! 16 bytes MAGIC | 32 digest of the component | 32 fingerprint of the engine | machine code (an ELF file) | 32 HMAC-SHA256
//! ```

use host_model::Digest;
use ring::hmac;

use super::Fingerprint;

/// Identifies the format; another format has another magic.
const MAGIC: &[u8; 16] = b"host-code-cache1";
const TAG: usize = 32;
const HEAD: usize = MAGIC.len() + 32 + 32;

/// Suffix of every entry.
pub(super) const SUFFIX: &str = ".code";

/// Code whose tag was made with the key of this host. Only the check of the tag creates it.
pub(crate) struct Verified {
    file: Vec<u8>,
}

/// Returns the file name of an entry.
pub(super) fn name(digest: Digest, fingerprint: &Fingerprint) -> String {
    let digest: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}-{fingerprint}{SUFFIX}")
}

/// Returns the bytes of an entry.
pub(super) fn seal(key: &hmac::Key, digest: Digest, fingerprint: &Fingerprint, code: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEAD + code.len() + TAG);
    file.extend_from_slice(&head(digest, fingerprint));
    file.extend_from_slice(code);
    let tag = hmac::sign(key, &file);
    file.extend_from_slice(tag.as_ref());
    file
}

fn head(digest: Digest, fingerprint: &Fingerprint) -> Vec<u8> {
    [&MAGIC[..], &digest.0, &fingerprint.0].concat()
}

// === impl Verified ===

impl Verified {
    /// Returns None unless the tag is valid and the entry is of this component and this engine: a file under another's name is not
    /// accepted.
    pub(super) fn open(key: &hmac::Key, digest: Digest, fingerprint: &Fingerprint, mut file: Vec<u8>) -> Option<Self> {
        let (sealed, tag) = file.split_last_chunk::<TAG>()?;
        hmac::verify(key, sealed, tag).ok()?;
        if !sealed.starts_with(&head(digest, fingerprint)) {
            return None;
        }
        file.truncate(sealed.len());
        Some(Self { file })
    }

    pub(crate) fn code(&self) -> &[u8] {
        self.file.get(HEAD..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: Digest = Digest([1; 32]);
    const FINGERPRINT: Fingerprint = Fingerprint([2; 32]);

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn what_was_sealed_opens() {
        let file = seal(&key(7), DIGEST, &FINGERPRINT, b"code");
        assert_eq!(Verified::open(&key(7), DIGEST, &FINGERPRINT, file).unwrap().code(), b"code");
    }

    #[test]
    fn one_bit_anywhere_or_one_byte_less_and_it_does_not() {
        let file = seal(&key(7), DIGEST, &FINGERPRINT, b"code");
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;
            assert!(Verified::open(&key(7), DIGEST, &FINGERPRINT, damaged).is_none(), "byte {place}");
            assert!(Verified::open(&key(7), DIGEST, &FINGERPRINT, file[..place].to_vec()).is_none(), "cut at {place}");
        }
    }

    #[test]
    fn another_key_another_component_and_another_engine_do_not_open_it() {
        let file = seal(&key(7), DIGEST, &FINGERPRINT, b"code");
        assert!(Verified::open(&key(8), DIGEST, &FINGERPRINT, file.clone()).is_none());
        assert!(Verified::open(&key(7), Digest([3; 32]), &FINGERPRINT, file.clone()).is_none());
        assert!(Verified::open(&key(7), DIGEST, &Fingerprint([3; 32]), file).is_none());
    }
}
