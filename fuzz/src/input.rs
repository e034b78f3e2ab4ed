//! Takes an input apart.

/// An input that is read from its start. At its end there are zeros.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A length of one byte, and so many bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// The bytes up to the next line of `%%`, or all that are left.
    pub fn part(&mut self) -> &'a [u8] {
        const END: &[u8] = b"\n%%\n";
        let Some(at) = self.0.windows(END.len()).position(|bytes| bytes == END) else {
            return std::mem::take(&mut self.0);
        };
        let (part, rest) = self.0.split_at(at);
        self.0 = &rest[END.len()..];
        part
    }
}
