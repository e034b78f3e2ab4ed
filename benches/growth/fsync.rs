//! Message cost against the time of an fsync.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use crate::support::system::system;

/// Milliseconds that each fsync takes longer.
const DELAYS: [u32; 3] = [0, 2, 8];

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let folder = tempfile::tempdir().expect("a folder");
    let library = library(folder.path());
    let subjects: Vec<Subject> =
        settings.of(&DELAYS).into_iter().map(|delay| subject(delay, &library)).collect();
    let curve = Curve {
        name: "fsync",
        title: "A slower disk",
        axis: "added to each fsync",
        many: "64 in flight",
        setup: "A preloaded library makes each `fsync` and `fdatasync` of the manager take longer.",
        reason: "Each commit waits for one fsync, and messages that wait together share a commit.",
        is_logarithmic: false,
    };
    vec![curve.measure(settings, &subjects)]
}

fn subject(delay: u32, library: &Path) -> Subject {
    let system = system()
        .env("LD_PRELOAD", &library.display().to_string())
        .env("SLOW_FSYNC_MILLISECONDS", &delay.to_string())
        .start();
    Subject::new(f64::from(delay), format!("{delay} ms"), system)
}

/// Compile the library that slows fsync down.
fn library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/growth/slow_fsync.c");
    let library = folder.join("slow_fsync.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let output = compiler.output().expect("cc runs, which has compiled the program");
    assert!(output.status.success(), "{output:?}");
    library
}
