//! The seal: the first line of the checklist file, a YAML comment. It has the event after which the file was written, and shows
//! whether the file was edited since.

use sha2::{Digest, Sha256};

use nowcast_core::Number;

/// The content of the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The last event that the file includes.
    pub event: Number,
    /// Whether the rest of the file is unchanged.
    pub is_whole: bool,
}

impl Seal {
    /// Return the text of a checklist with the line in front.
    #[must_use]
    pub fn put(event: Number, text: &str) -> String {
        format!("# event {} sha256 {}\n{text}", event.0, digest(text.as_bytes()))
    }

    /// Read the line; `None` if it is missing, as in a file of NEMO_Nowcast.
    #[must_use]
    pub fn read(file: &[u8]) -> Option<Self> {
        let end = file.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&file[..end]).ok()?;
        let (event, hash) = line.strip_prefix("# event ")?.split_once(" sha256 ")?;
        let event = Number(event.parse().ok()?);
        Some(Self { event, is_whole: hash.trim_end() == digest(&file[end + 1..]) })
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Return bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_read_back_and_shows_changes() {
        let file = Seal::put(Number(17), "a: 1\n");
        assert_eq!(Seal::read(file.as_bytes()), Some(Seal { event: Number(17), is_whole: true }));
        let edited = file.replace("a: 1", "a: 2");
        assert_eq!(Seal::read(edited.as_bytes()), Some(Seal { event: Number(17), is_whole: false }));
    }

    #[test]
    fn a_file_of_nemo_nowcast_has_none() {
        for file in ["", "a: 1\n", "# a comment\na: 1\n", "# event x sha256 y\n"] {
            assert_eq!(Seal::read(file.as_bytes()), None, "{file}");
        }
    }
}
