//! A small disk for tests of what happens when it is full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk in memory. Mounting needs root.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(path: &Path, options: &str) -> Self {
        fs::create_dir(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a small disk");
        Self(path.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
