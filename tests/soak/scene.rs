//! The system of the soak: four kinds of worker, and rules that launch what a message names.

use std::fs;

use crate::support::python;
use crate::support::system::{Builder, System, system};

/// The rules without an error.
pub const RULES: &str = include_str!("files/next_workers.lua");

/// The workers that have messages in the ledger. Each has a checklist key of its own name.
pub const SOURCES: [&str; 8] = ["client", "feeder", "told", "operator", "shell", "plain", "teller", "flaky"];

/// The workers that are launched. Each writes a line when it starts.
pub const LAUNCHED: [&str; 8] = ["tick", "tock", "shell", "plain", "teller", "sleep", "flaky", "stuck"];

/// Seconds between the times of the scheduled worker.
pub const SCHEDULED_EVERY: u64 = 5;

/// Seconds after which a plain worker no longer waits for a reply: one whose broker was killed never gets it.
pub const PLAIN_TIMEOUT: u64 = 30;

/// Seconds after which a plain worker is stopped. On a machine with a load of 20 a run can take half a minute to start, and its timeout counts
/// from its launch.
const PLAIN_RUN_TIMEOUT: u64 = 4 * PLAIN_TIMEOUT;

const FILES: [(&str, &str); 9] = [
    ("tick.sh", include_str!("files/tick.sh")),
    ("tock.sh", include_str!("files/tock.sh")),
    ("shell.sh", include_str!("files/shell.sh")),
    ("flaky.sh", include_str!("files/flaky.sh")),
    ("tell.sh", include_str!("files/tell.sh")),
    ("sleep.sh", include_str!("files/sleep.sh")),
    ("stuck.sh", include_str!("files/stuck.sh")),
    ("feeder.py", include_str!("files/feeder.py")),
    ("workers/plain.py", include_str!("files/workers/plain.py")),
];

/// Describe the system. The journal is in `disk/journal`.
fn described() -> Builder {
    let mut builder = system();
    for source in SOURCES {
        builder = builder.worker(&format!(
            "{source}: {{checklist key: {source}, success: it went well, failure: it failed, crash: it crashed, need: asks}}"
        ));
    }
    for source in ["tick", "tock", "stuck", "never"] {
        builder = builder.worker(&format!("{source}: {{success: it went well, crash: it crashed}}"));
    }
    for (name, content) in FILES {
        builder = builder.file(name, content);
    }
    let workers = format!(
        "workers:
  tick: {{command: [sh, '{{folder}}/tick.sh'], max running: 8}}
  tock: {{command: [sh, '{{folder}}/tock.sh']}}
  shell: {{exec: [sh, '{{folder}}/shell.sh'], max running: 4}}
  flaky: {{exec: [sh, '{{folder}}/flaky.sh'], failure status: [3]}}
  teller: {{command: [sh, '{{folder}}/tell.sh'], max running: 4}}
  sleep: {{command: [sh, '{{folder}}/sleep.sh', '{{config}}']}}
  stuck: {{command: [sh, '{{folder}}/stuck.sh'], max running: 8}}
  plain: {{timeout: {PLAIN_RUN_TIMEOUT}s, max running: 2}}"
    );
    let schedule = format!(
        "scheduled workers:
- tock: {{cron: '*/{SCHEDULED_EVERY} * * * * *', catch up: all, cmd line opts: '--debug'}}
- rotate_logs: {{cron: '30 * * * * *'}}"
    );
    builder
        .section("journal: {folder: disk/journal}")
        .section(&workers)
        .section(&schedule)
        .python(&python::venv())
        .only_rules(RULES)
        .file("workers/__init__.py", "")
        .file("ledger", "")
}

/// Write the files of the system and start nothing.
pub fn prepare() -> System {
    let mut system = described().prepare();
    fs::create_dir(system.path("attempts")).expect("a folder");
    let folder = system.path("").display().to_string();
    system.set_env("PYTHONPATH", &folder);
    system
}
