//! Text that is mostly short.

use std::fmt;
use std::ops::Deref;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is stored inline up to 30 bytes, and on the heap above: methods, commands, names. As large as four words.
///
/// ```
/// let method = plugin_sdk::conversation::Short::new("PROPFIND");
/// assert_eq!((&*method, method.len()), ("PROPFIND", 8));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Short(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Here { len: u8, bytes: [u8; HERE] },
    Heap(Box<str>),
}

/// Maximum length of a text without heap.
const HERE: usize = 30;

// === impl Short ===

impl Short {
    /// Returns this text.
    #[must_use]
    #[inline]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; HERE];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self(Place::Here { len: text.len() as u8, bytes })
            }
            None => Self(Place::Heap(text.into())),
        }
    }

    /// Returns the text of these bytes, with U+FFFD for invalid UTF-8.
    #[must_use]
    #[inline]
    pub fn lossy(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(_) => Self::new(&String::from_utf8_lossy(bytes)),
        }
    }

    /// As [`lossy`](Self::lossy), with at most this many of the bytes: a peer's text has no bound of its own.
    #[must_use]
    pub fn cut(bytes: &[u8], most: usize) -> Self {
        Self::lossy(bytes.get(..most).unwrap_or(bytes))
    }

    /// Returns the text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Place::Here { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Place::Heap(text) => text,
        }
    }

    /// Returns the bytes of the text, at less cost than the text itself, which is checked each time.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Place::Heap(text) => text.as_bytes(),
        }
    }
}

impl Default for Short {
    fn default() -> Self {
        Self(Place::Here { len: 0, bytes: [0; HERE] })
    }
}

impl Deref for Short {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Short {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Short, E> {
                Ok(Short::new(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::Short;

    #[test]
    fn text_of_any_length_comes_back_as_it_was() {
        for length in [0, 1, 29, 30, 31, 200] {
            let text = "x".repeat(length);
            let short = Short::new(&text);
            assert_eq!(short.as_str(), text);
            let state = postcard::to_allocvec(&short).unwrap();
            assert_eq!(postcard::from_bytes::<Short>(&state).unwrap(), short);
        }
        assert_eq!(size_of::<Short>(), 32);
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_what_is_too_long_is_cut() {
        assert_eq!(&*Short::lossy(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(&*Short::cut("größer".as_bytes(), 3), "gr\u{fffd}");
        assert_eq!(&*Short::cut(b"abc", 9), "abc");
    }
}
