//! Signs and verifies components: Ed25519, with the signature in the component's last section.
//!
//! ```text
//! the component | custom section "probe:signature": 1 | 32 bytes public key | 64 bytes signature
//! ```
//!
//! The signed message is [`CONTEXT`] and the SHA-256 of all bytes before the section. Tools that read components skip the section; the
//! component's digest covers all bytes, signature included.

mod key;

use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

pub use key::{KeyError, PrivateKey, PublicKey};

use crate::refusal::Refusal;
use crate::sections::{damaged, recognise};

/// Name of the custom section with the signature.
pub const SECTION: &str = "probe:signature";

/// Prefix of the signed message, so that signatures of anything else made with the key are not valid for a component.
pub const CONTEXT: &[u8] = b"probe:plugin component, SHA-256\0";

/// Version of the section's format.
const VERSION: u8 = 1;
/// Size of the section's content: version, key, signature.
const CONTENT: usize = 1 + 32 + 64;
/// Head of the section: id 0 for a custom section, its length, the length of its name; each below 128, so each is one byte.
const HEAD: [u8; 3] = [0, (1 + SECTION.len() + CONTENT) as u8, SECTION.len() as u8];
/// Size of the whole section, in bytes.
const WHOLE: usize = HEAD.len() + SECTION.len() + CONTENT;

/// Returns the component with a signature at its end, which replaces an existing one.
///
/// # Errors
/// The bytes are not a component, or something follows their existing signature.
pub fn sign(component: &[u8], key: &PrivateKey) -> Result<Vec<u8>, Refusal> {
    let unsigned = match split(component)? {
        Some((unsigned, _)) => unsigned,
        None => component,
    };
    let mut signed = Vec::with_capacity(unsigned.len() + WHOLE);
    signed.extend_from_slice(unsigned);
    signed.extend_from_slice(&HEAD);
    signed.extend_from_slice(SECTION.as_bytes());
    signed.push(VERSION);
    signed.extend_from_slice(&key.public().0);
    signed.extend_from_slice(&key.sign(&message(unsigned)));
    Ok(signed)
}

/// Returns the key that signed a component; None if it is unsigned.
///
/// # Errors
/// The bytes are damaged, or the signature is not valid for them.
pub fn verify(component: &[u8]) -> Result<Option<PublicKey>, Refusal> {
    let Some((unsigned, content)) = split(component)? else { return Ok(None) };
    let (version, rest) = content.split_first().ok_or_else(|| refused("is empty"))?;
    if *version != VERSION {
        return Err(refused(&format!("is of version {version}; this host reads version {VERSION}")));
    }
    let (key, signature) = rest.split_first_chunk::<32>().ok_or_else(|| refused("has no key"))?;
    let public = PublicKey(*key);
    UnparsedPublicKey::new(&ED25519, key).verify(&message(unsigned), signature).map_err(|_| {
        refused(&format!("names the key {public}, which has not signed these bytes: they were changed after signing"))
    })?;
    Ok(Some(public))
}

fn message(unsigned: &[u8]) -> Vec<u8> {
    [CONTEXT, &Sha256::digest(unsigned)].concat()
}

/// A signed component: the bytes before the section with the signature, and the section's content.
type Signed<'a> = (&'a [u8], &'a [u8]);

/// Splits off the signature; None if the component is not signed.
fn split(component: &[u8]) -> Result<Option<Signed<'_>>, Refusal> {
    recognise(component)?;
    let (mut depth, mut sections) = (0_usize, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(Refusal::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // Sections of nested modules and components do not sign the whole.
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => sections += 1,
            _ => {}
        }
    }
    if sections == 0 {
        return Ok(None);
    }
    let last = component.len().checked_sub(WHOLE).and_then(|start| component.split_at_checked(start));
    let content =
        last.and_then(|(unsigned, section)| Some((unsigned, section.strip_prefix(&HEAD)?.strip_prefix(SECTION.as_bytes())?)));
    match content {
        Some(content) if sections == 1 => Ok(Some(content)),
        Some(_) => Err(refused("is there more than once")),
        None => Err(refused("is not the last section: something was added after signing")),
    }
}

fn refused(what: &str) -> Refusal {
    Refusal::Signature(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn signed() -> (Vec<u8>, PublicKey) {
        let key = PrivateKey::generate().unwrap();
        (sign(EMPTY, &key).unwrap(), key.public())
    }

    #[test]
    fn what_was_signed_names_its_signer_and_stays_a_component() {
        let (component, public) = signed();
        assert_eq!(verify(&component), Ok(Some(public)));
        assert_eq!(verify(EMPTY), Ok(None));
        assert_eq!(component.len(), EMPTY.len() + WHOLE);
        wasmparser::Validator::new().validate_all(&component).unwrap();
    }

    #[test]
    fn signing_again_replaces_the_signature() {
        let (component, _) = signed();
        let other = PrivateKey::generate().unwrap();
        let again = sign(&component, &other).unwrap();
        assert_eq!(again.len(), component.len());
        assert_eq!(verify(&again), Ok(Some(other.public())));
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let (component, _) = signed();
        for place in 0..component.len() {
            let mut tampered = component.clone();
            tampered[place] ^= 1;
            // Under another name the section is not a signature, and the component has no signer.
            assert!(verify(&tampered).is_err() || verify(&tampered) == Ok(None), "byte {place}");
        }
    }

    #[test]
    fn what_is_added_after_a_signature_and_a_second_one_are_refused() {
        let (component, _) = signed();
        let appended = [&component[..], &[0, 2, 1, b'x']].concat();
        assert!(verify(&appended).unwrap_err().to_string().contains("not the last section"));
        let twice = [&component[..], &component[EMPTY.len()..]].concat();
        assert!(verify(&twice).unwrap_err().to_string().contains("more than once"));
        assert!(sign(&twice, &PrivateKey::generate().unwrap()).is_err());
    }

    #[test]
    fn the_key_of_another_does_not_make_a_signature() {
        let (component, _) = signed();
        let mut stolen = component.clone();
        let start = EMPTY.len() + HEAD.len() + SECTION.len() + 1;
        stolen[start..start + 32].copy_from_slice(&PrivateKey::generate().unwrap().public().0);
        let refusal = verify(&stolen).unwrap_err();
        assert!(refusal.to_string().contains("has not signed these bytes"), "{refusal}");
        assert!(refusal.cure().contains("sign"), "{}", refusal.cure());
    }
}
