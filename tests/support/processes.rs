//! The processes of a system's runs: runners, workers, and what workers start.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A process of a run.
pub struct RunProcess {
    pub number: u32,
    pub arguments: Vec<String>,
    pub is_runner: bool,
}

/// Return the processes that are runners of the system in a folder, or have one of its runs in their environment.
pub fn processes_of_runs(folder: &Path) -> Vec<RunProcess> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| process_of_run(number, folder)).collect()
}

/// Return a process if it belongs to one of the runs of the system in a folder.
pub fn process_of_run(number: u32, folder: &Path) -> Option<RunProcess> {
    let folder = folder.as_os_str().as_bytes();
    let of_process = |name: &str| fs::read(format!("/proc/{number}/{name}")).unwrap_or_default();
    let arguments = of_process("cmdline");
    let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
    let is_runner = arguments.get(1).is_some_and(|word| *word == b"runner")
        && arguments.get(3).is_some_and(|path| path.starts_with(folder));
    let has_run =
        |line: &[u8]| line.strip_prefix(b"NOWCAST_RUN_FOLDER=").is_some_and(|path| path.starts_with(folder));
    let is_of_run = is_runner || of_process("environ").split(|byte| *byte == 0).any(has_run);
    let arguments = || arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    is_of_run.then(|| RunProcess { number, arguments: arguments(), is_runner })
}
