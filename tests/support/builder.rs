//! Describes a nowcast system before it starts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::clock::WallClock;
use super::ports::free_ports;
use super::system::System;

/// The workers that a test system knows, unless a test says otherwise.
const WORKERS: &str = "
    sleep: {checklist key: sleepyhead, success: sleep worker slept well, failure: sleep worker slept badly, crash: sleep worker crashed, need: sleep worker needs}
    awaken: {checklist key: sleepyhead, success: awaken worker awoke, failure: awaken overslept, crash: awaken worker crashed}
    clear_checklist: {success: cleared, failure: not cleared, crash: clear_checklist worker crashed, clear checklist: clear nowcast checklist}
    rotate_logs: {checklist key: logs, success: log files rotated, failure: log file rotation failed, crash: rotate_logs worker crashed}
    keyless: {success: it went well, crash: it crashed}
";

/// The description of a system that is not yet running.
pub struct Builder {
    folder: TempDir,
    rules: String,
    workers: String,
    more: String,
    python: String,
    ports: Option<(u16, u16)>,
    environment: Vec<(String, String)>,
}

/// Describe a system whose rules launch nothing.
pub fn system() -> Builder {
    Builder {
        folder: tempfile::Builder::new().prefix("nowcast-").tempdir().expect("a temporary folder"),
        rules: "function after_sleep() return {} end\nfunction after_awaken() return {} end\n\
                function after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end\n\
                function after_keyless() return {} end\n"
            .to_owned(),
        workers: WORKERS.to_owned(),
        more: String::new(),
        python: "/usr/bin/python3".to_owned(),
        ports: None,
        environment: Vec::new(),
    }
}

impl Builder {
    /// Add rules after the default ones, which they replace.
    pub fn rules(mut self, lua: &str) -> Self {
        self.rules.push_str(lua);
        self
    }

    /// Use only these rules.
    pub fn only_rules(mut self, lua: &str) -> Self {
        lua.clone_into(&mut self.rules);
        self
    }

    /// Add a worker to the message registry, as YAML.
    pub fn worker(mut self, yaml: &str) -> Self {
        let _ = writeln!(self.workers, "    {yaml}");
        self
    }

    /// Add a section at the top level.
    pub fn section(mut self, yaml: &str) -> Self {
        let _ = writeln!(self.more, "{yaml}");
        self
    }

    /// Set the Python interpreter of the workers.
    pub fn python(mut self, python: &Path) -> Self {
        self.python = python.display().to_string();
        self
    }

    /// Set an environment variable for the daemons and the workers.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Give the daemons and the workers a wall clock of their own.
    pub fn clock(mut self, clock: &WallClock) -> Self {
        self.environment.extend(clock.environment());
        self
    }

    /// Add a file to the system's folder.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    /// Write configuration and rules, and start nothing.
    pub fn prepare(self) -> System {
        let (manager_port, workers_port) = self.ports.unwrap_or_else(free_ports);
        let system = System::described(
            self.folder,
            (manager_port, workers_port),
            self.workers,
            self.more,
            self.python,
            self.environment,
        );
        system.write_config();
        system.write_rules(&self.rules);
        system
    }

    /// Start broker and manager and wait until they are ready.
    pub fn start(self) -> System {
        let mut system = self.prepare();
        system.start_broker();
        system.start_manager(&[]);
        system
    }
}
