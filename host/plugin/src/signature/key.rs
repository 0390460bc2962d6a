//! Keys that sign components, and their text format.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

/// A public key: `ed25519:` and 44 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub(super) [u8; 32]);

/// A private key: `ed25519-private:` and 44 characters of base64, the seed.
pub struct PrivateKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// Why a text is not a key, or a key cannot be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not a public key.
    #[error("this is not a public key; a public key is `{PUBLIC}` and 44 characters of base64")]
    Public,
    /// The text is a private key where a public one is required.
    #[error("this is a private key: give the public one, and keep this one to yourself")]
    Exposed,
    /// The text is not a private key.
    #[error("this is not a private key; a private key is `{PRIVATE}` and 44 characters of base64")]
    Private,
    /// The kernel returned no random numbers.
    #[error("the kernel has no random numbers to make a key of")]
    Random,
}

const PUBLIC: &str = "ed25519:";
const PRIVATE: &str = "ed25519-private:";

fn decode(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

// === impl PublicKey ===

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.starts_with(PRIVATE) {
            return Err(KeyError::Exposed);
        }
        text.strip_prefix(PUBLIC).and_then(decode).map(Self).ok_or(KeyError::Public)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

// === impl PrivateKey ===

impl PrivateKey {
    /// Generates a key from the kernel's random numbers.
    ///
    /// # Errors
    /// The kernel returns none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        Self::of(seed).ok_or(KeyError::Random)
    }

    /// Returns the public key that verifies its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        for (byte, of_key) in public.iter_mut().zip(self.pair.public_key().as_ref()) {
            *byte = *of_key;
        }
        PublicKey(public)
    }

    /// Returns its text, which is secret.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PRIVATE}{}", STANDARD.encode(self.seed))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn of(seed: [u8; 32]) -> Option<Self> {
        Some(Self { pair: Ed25519KeyPair::from_seed_unchecked(&seed).ok()?, seed })
    }
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.trim().strip_prefix(PRIVATE).and_then(decode).and_then(Self::of).ok_or(KeyError::Private)
    }
}

/// Prints no secret.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_it_was_written_and_read() {
        let key = PrivateKey::generate().unwrap();
        let read: PrivateKey = format!("{}\n", key.reveal()).parse().unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert_eq!(serde_json::from_str::<PublicKey>(&serde_json::to_string(&key.public()).unwrap()).unwrap(), key.public());
    }

    #[test]
    fn a_key_of_known_bytes_is_the_one_that_others_compute() {
        // RFC 8032, 7.1, test 1.
        let seed = "ed25519-private:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let public = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(seed.parse::<PrivateKey>().unwrap().public().to_string(), public);
    }

    #[test]
    fn a_private_key_is_not_taken_for_a_public_one_and_is_not_printed() {
        let key = PrivateKey::generate().unwrap();
        assert_eq!(key.reveal().parse::<PublicKey>(), Err(KeyError::Exposed));
        assert!(!format!("{key:?}").contains(key.reveal().trim_start_matches(PRIVATE)));
        assert_eq!("ed25519:abc".parse::<PublicKey>(), Err(KeyError::Public));
        assert_eq!(key.public().to_string().parse::<PrivateKey>().err(), Some(KeyError::Private));
    }
}
