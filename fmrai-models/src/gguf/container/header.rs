//! Numbers and strings of a header, read in turn from a file whose length is known.
//!
//! A header does not say how long it is. So that no memory is asked for on the word of the file, every count and every
//! length is compared with the bytes that are left before anything of it is read.

use std::fmt::Display;
use std::io::Read;

use super::fault::Fault;

/// Longest header that is read. Those of models have at most some tens of megabytes, nearly all of it the vocabulary.
const MAX_HEADER: u64 = 1 << 27;

/// The part of a header that was not read yet.
pub(super) struct Header<R> {
    reader: R,
    position: u64,
    /// The length of the file.
    length: u64,
    /// Where the header ends at the latest.
    end: u64,
}

impl<R: Read> Header<R> {
    /// The header of a file of `length` bytes, which `reader` reads from its start.
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader, position: 0, length, end: length.min(MAX_HEADER) }
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes, which are `what`.
    pub(super) fn take<const LENGTH: usize>(&mut self, what: impl Display) -> Result<[u8; LENGTH], Fault> {
        self.need(1, LENGTH as u64, what)?;
        let mut bytes = [0; LENGTH];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next number, which is `what`.
    pub(super) fn u32(&mut self, what: impl Display) -> Result<u32, Fault> {
        self.take(what).map(u32::from_le_bytes)
    }

    /// The next number, which is `what`.
    pub(super) fn u64(&mut self, what: impl Display) -> Result<u64, Fault> {
        self.take(what).map(u64::from_le_bytes)
    }

    /// The next string, which is `what`.
    pub(super) fn string(&mut self, what: impl Display) -> Result<String, Fault> {
        let length = self.u64(format_args!("the length of {what}"))?;
        let mut bytes = vec![0; self.need(length, 1, &what)?];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            Fault::from(format!("{what} is no UTF-8, as every string has to be, from its byte {valid} on"))
        })
    }

    /// `count` as a number of things in memory, if the bytes that are left could hold as many of `least` bytes each.
    pub(super) fn need(&self, count: u64, least: u64, what: impl Display) -> Result<usize, Fault> {
        let left = self.end.saturating_sub(self.position);
        let bytes = u128::from(count) * u128::from(least);
        if bytes <= u128::from(left)
            && let Ok(count) = usize::try_from(count)
        {
            return Ok(count);
        }
        let needed = format!("at least {bytes} bytes are needed for {what}");
        Err(Fault::Content(if self.end < self.length {
            format!("{needed}, {left} are left of the {MAX_HEADER} that a header may have")
        } else {
            let missing = bytes.saturating_sub(u128::from(left));
            format!("{needed}, {left} are left: truncated by at least {missing} bytes, or damaged")
        }))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.reader.read_exact(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        match result.unwrap_err() {
            Fault::Content(what) => what,
            Fault::Io(error) => panic!("{error}"),
        }
    }

    #[test]
    fn lengths_are_compared_with_what_is_left() {
        let bytes = [&3_u64.to_le_bytes()[..], b"abc", &4_u64.to_le_bytes(), b"abc"].concat();
        let mut header = Header::new(&bytes[..], bytes.len() as u64);
        assert_eq!(header.string("a name").unwrap(), "abc");
        assert_eq!(header.position(), 11);
        let expected =
            "at least 4 bytes are needed for a name, 3 are left: truncated by at least 1 bytes, or damaged";
        assert_eq!(what(header.string("a name")), expected);
        let expected = "at least 147573952589676412920 bytes are needed for numbers, 3 are left: \
                        truncated by at least 147573952589676412917 bytes, or damaged";
        assert_eq!(what(header.need(u64::MAX, 8, "numbers")), expected);
    }

    /// The file may be as long as a disk, and all of it could be one array.
    #[test]
    fn a_header_has_a_largest_length() {
        let header = Header::new(std::io::empty(), 1 << 40);
        assert_eq!(header.need(MAX_HEADER, 1, "bytes").unwrap() as u64, MAX_HEADER);
        let expected = "at least 134217729 bytes are needed for bytes, 134217728 are left of the 134217728 that a \
                        header may have";
        assert_eq!(what(header.need(MAX_HEADER + 1, 1, "bytes")), expected);
    }

    #[test]
    fn strings_are_utf8() {
        let bytes = [&4_u64.to_le_bytes()[..], b"ab\xffc"].concat();
        let mut header = Header::new(&bytes[..], bytes.len() as u64);
        let expected = "the key is no UTF-8, as every string has to be, from its byte 2 on";
        assert_eq!(what(header.string("the key")), expected);
    }
}
