//! [`OutputFile`]: keeps the file with the output of a detached `nowcast up` and its daemons short. It never loses a line of a log file.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The size in bytes from which on the file is moved, as that of log files.
const MAX_BYTES: u64 = 10_000_000;

/// The interval between two looks at the file.
const INTERVAL: Duration = Duration::from_secs(60);

/// The file. Processes have it open that outlive this one, so that it stays in its place.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    checked_at: Instant,
}

impl OutputFile {
    /// The file at a path, which is made by the process that detaches.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, checked_at: Instant::now() }
    }

    /// Once a minute, copy a file that is too long to `.1` and empty it. A line that is written in that instant is lost here.
    ///
    /// # Errors
    /// The file cannot be copied or emptied; the text names it.
    pub fn maintain(&mut self) -> io::Result<()> {
        if self.checked_at.elapsed() < INTERVAL {
            return Ok(());
        }
        self.checked_at = Instant::now();
        self.shorten().map_err(|error| {
            io::Error::new(error.kind(), format!("{} cannot be shortened: {error}", self.path.display()))
        })
    }

    fn shorten(&self) -> io::Result<()> {
        if fs::metadata(&self.path)?.len() < MAX_BYTES {
            return Ok(());
        }
        let old = self.path.with_extension("out.1");
        let new = self.path.with_extension("out.new");
        fs::copy(&self.path, &new)?;
        fs::rename(new, old)?;
        OpenOptions::new().write(true).truncate(true).open(&self.path).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_long_file_is_emptied_under_its_writers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("up.out");
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut output = OutputFile::new(path.clone());
        let before = Instant::now().checked_sub(INTERVAL).unwrap();
        for (text, left) in [("short\n".to_owned(), "short\n"), ("x".repeat(10_000_000), "")] {
            writer.write_all(text.as_bytes()).unwrap();
            output.checked_at = before;
            output.maintain().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left);
        }
        writer.write_all(b"more\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "more\n");
        assert_eq!(fs::metadata(folder.path().join("up.out.1")).unwrap().len(), 10_000_006);
    }
}
