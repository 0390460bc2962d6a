//! Values from bytes, for targets whose input is not bytes: the same bytes always give the same values.

/// The rest of the input. After its end everything is 0.
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

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Returns small numbers, most of the time; 255 introduces any number.
    pub(crate) fn word(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// The same with 64 bits as [`Draw::word`].
    pub(crate) fn long(&mut self) -> u64 {
        match self.byte() {
            255 => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    /// Returns at most `most` bytes; their length comes first.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = (self.word() as usize).min(most).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Returns text for any bytes.
    pub(crate) fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    /// Returns as many values as the first byte says.
    pub(crate) fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte()).map(|_| value(self)).collect()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
