//! A small disk for tests of what happens when it is full.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::statvfs;

/// A small disk in memory. Mounting needs root.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(path: &Path, options: &str) -> Self {
        fs::create_dir(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a small disk");
        Self(path.to_owned())
    }

    /// Return the bytes in use.
    pub fn used(&self) -> u64 {
        let state = statvfs(&self.0).expect("the disk");
        (state.f_blocks - state.f_bfree) * state.f_frsize
    }

    /// Write a file until no room is left, and return its path. It grows in place, so another process that takes a page ends it
    /// no earlier.
    pub fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }

    /// Set the size in bytes; whether the system has accepted it. It refuses a size that is less than what is in use.
    pub fn resize(&self, size: u64) -> bool {
        let options = format!("remount,size={size}");
        let mounted =
            Command::new("mount").args(["-o", &options]).arg(&self.0).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
