//! Reads the files of users. It never blocks, as a pipe or a device would.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Return the content of a regular file, also through a symbolic link.
///
/// # Errors
/// When the file cannot be read or is not a regular one: a pipe would block until a writer opens it.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    read_regular_up_to(path, u64::MAX)
}

/// Return the content of a regular file that has at most `most` bytes.
///
/// # Errors
/// As for [`read_regular`], and when the file is larger.
pub fn read_regular_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open_regular(path)?;
    let too_large = || io::Error::other(format!("it has more than {most} bytes"));
    if file.metadata()?.len() > most {
        return Err(too_large());
    }
    let mut content = Vec::new();
    // It may grow meanwhile.
    file.by_ref().take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(too_large());
    }
    Ok(content)
}

/// Copy a regular file with its mode.
///
/// # Errors
/// As for [`read_regular`], and when the copy cannot be written.
pub fn copy_regular(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = open_regular(from)?;
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).open(to)?;
    copy.set_permissions(source.metadata()?.permissions())?;
    io::copy(&mut source, &mut copy).map(|_| ())
}

/// Open a regular file for reading.
fn open_regular(path: &Path) -> io::Result<File> {
    // With this flag a pipe opens without blocking, and is then refused.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_would_block_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for other in [pipe.as_path(), folder.path(), Path::new("/dev/null")] {
            let error = read_regular(other).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
            let error = copy_regular(other, &folder.path().join("copy")).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(read_regular(&file).unwrap(), b"text");
        let copy = folder.path().join("copy");
        copy_regular(&file, &copy).unwrap();
        assert_eq!(read_regular(&copy).unwrap(), b"text");
    }
}
