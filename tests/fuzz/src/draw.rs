//! Values out of bytes, for targets whose input is not bytes: the same bytes always give the same values.

/// What is left of the input. Where nothing is left everything is 0.
pub(crate) struct Draw<'a> {
    rest: &'a [u8],
}

// === impl Draw ===

impl<'a> Draw<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Small numbers, most of the time; 255 introduces any.
    pub(crate) fn word(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// As [`Draw::word`].
    pub(crate) fn long(&mut self) -> u64 {
        match self.byte() {
            255 => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// At most `most` bytes; the length comes first.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = (self.word() as usize).min(most).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Text, whatever the bytes are.
    pub(crate) fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    /// As many values as the first byte says.
    pub(crate) fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte()).map(|_| value(self)).collect()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
