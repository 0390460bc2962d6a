//! One component per behaviour: those of `tests/guests/conformance`, and those that the build script makes byte by byte.
//!
//! Each is a type of its name, and [`each_conformance_guest`](crate::each_conformance_guest) hands all names to a macro, so that a guest
//! without a test is a compile error.

#![allow(non_camel_case_types, missing_docs, reason = "a guest is named after its file, which says what it does")]

use std::borrow::Cow;

/// A conformance guest.
pub trait Guest {
    /// Its name.
    const NAME: &'static str;

    /// Its bytes.
    fn bytes() -> Cow<'static, [u8]> {
        bytes(Self::NAME)
    }
}

include!(concat!(env!("OUT_DIR"), "/conformance.rs"));

/// Returns the names of all guests, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEPT.iter().map(|(name, _)| *name)
}

/// Returns the bytes of a guest.
///
/// # Panics
/// There is no guest of this name.
#[must_use]
pub fn bytes(name: &str) -> Cow<'static, [u8]> {
    match name {
        "a_hundred_megabytes" => inflated(behaves::bytes().into_owned(), 100 << 20),
        _ => {
            KEPT.iter().find(|(known, _)| *known == name).map(|(_, bytes)| Cow::Borrowed(*bytes)).expect("it is a guest's name")
        }
    }
}

/// Returns a component with this many zero bytes in an unused section.
fn inflated(mut component: Vec<u8>, by: usize) -> Cow<'static, [u8]> {
    component.push(0);
    // The length as LEB128 of five bytes, then a name of no bytes.
    let length = by + 1;
    component.extend((0..4).map(|place| (length >> (7 * place)) as u8 & 0x7f | 0x80));
    component.push((length >> 28) as u8);
    component.resize(component.len() + length, 0);
    Cow::Owned(component)
}
