//! Recorded conversations of real programs, from files.

use std::path::{Path, PathBuf};

use super::Talk;

/// A conversation that was recorded between a client and a server.
///
/// Its file, `NAME.talk`, has one call behind the other: `C` or `S` for the sender, the number of bytes that it sent and the number of them
/// that the file has (each a u32, little-endian), and those bytes.
#[derive(Debug, Clone)]
pub struct Recording {
    file: PathBuf,
    /// Whether the client sent it, and all its bytes; NUL for those that are not in the file.
    calls: Vec<(bool, Vec<u8>)>,
}

// === impl Recording ===

impl Recording {
    /// Returns all recordings in this directory, by name.
    ///
    /// # Errors
    /// The directory or a file in it cannot be read, or is cut.
    pub fn all(folder: &Path) -> Result<Vec<Self>, String> {
        let problem = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut recordings = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(problem)? {
            let file = entry.map_err(problem)?.path();
            if file.extension().is_some_and(|extension| extension == "talk") {
                recordings.push(Self::read(&file)?);
            }
        }
        recordings.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(recordings)
    }

    /// Returns the recording in this file.
    ///
    /// # Errors
    /// The file cannot be read, or is cut.
    pub fn read(file: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let calls = calls(&bytes).ok_or_else(|| format!("{} is cut", file.display()))?;
        Ok(Self { file: file.to_owned(), calls })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.file.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Returns the path of the file beside it with another extension, which holds the expected result.
    #[must_use]
    pub fn beside(&self, extension: &str) -> PathBuf {
        self.file.with_extension(extension)
    }

    /// Returns its calls: whether the client sent it, and its bytes.
    #[must_use]
    pub fn calls(&self) -> &[(bool, Vec<u8>)] {
        &self.calls
    }

    /// Adds its calls to a conversation.
    #[must_use]
    pub fn said(&self, talk: Talk) -> Talk {
        self.said_without(talk, usize::MAX)
    }

    /// As [`said`](Self::said), with this call lost.
    #[must_use]
    pub fn said_without(&self, talk: Talk, lost: usize) -> Talk {
        self.calls.iter().enumerate().fold(talk, |talk, (number, (is_client, bytes))| match (lost == number, is_client) {
            (false, true) => talk.client(bytes),
            (false, false) => talk.server(bytes),
            (true, true) => talk.lost_client(bytes.len() as u32),
            (true, false) => talk.lost_server(bytes.len() as u32),
        })
    }
}

fn calls(mut rest: &[u8]) -> Option<Vec<(bool, Vec<u8>)>> {
    let mut calls = Vec::new();
    while !rest.is_empty() {
        let (&[side, a, b, c, d, e, f, g, h], behind) = rest.split_first_chunk()?;
        let (total, there) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (there, behind) = behind.split_at_checked(there as usize)?;
        let mut bytes = there.to_vec();
        bytes.resize(total as usize, 0);
        calls.push((side == b'C', bytes));
        rest = behind;
    }
    Some(calls)
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn a_call_has_as_many_bytes_as_were_sent_and_a_cut_file_is_none() {
        let file = b"C\x03\0\0\0\x03\0\0\0abcS\x04\0\0\0\x02\0\0\0de";
        assert_eq!(calls(file), Some(vec![(true, b"abc".to_vec()), (false, b"de\0\0".to_vec())]));
        for cut in (1..file.len()).filter(|cut| *cut != 12) {
            assert_eq!(calls(&file[..cut]), None, "{cut}");
        }
    }
}
