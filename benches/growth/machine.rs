//! The machine, in a sentence.

use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

use super::texts::time;

/// Writes of which the median is taken.
const WRITES: usize = 200;

/// Describe the machine. To be called before anything is measured, since it tells the load by others.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor of unknown model", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = read("/proc/meminfo");
    let memory: u64 = memory.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default();
    let load = read("/proc/loadavg");
    format!(
        "{model}, {cores} cores, {} GB of memory, Linux {}, load average {} at the start; writing 4 kB and `fdatasync` takes {}",
        memory / 1_000_000,
        read("/proc/sys/kernel/osrelease").trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
        time(synchronised_write()),
    )
}

/// The median time of a write to the disk of the systems.
fn synchronised_write() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = File::create(folder.path().join("file")).expect("a file");
    let mut times: Vec<Duration> = (0..WRITES)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("written");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[WRITES / 2]
}
