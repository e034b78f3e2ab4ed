//! `nowcast exec`: runs any command as a worker. Its exit status determines the message type, and a file that it writes
//! becomes the payload.
//!
//! This module never reads the output of the command, and knows nothing about runs.

use std::cell::RefCell;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use super::{Context, Worker, WorkerError};
use crate::config;
use nowcast_core::message::{CONFIG, WORKER};
use nowcast_core::run::is_failure;
use pylogging::Logger;
use pyyaml::Value;

/// The environment variable with the path of the payload file, which is YAML or JSON.
const PAYLOAD: &str = "NOWCAST_PAYLOAD";

/// The environment variable with the path of the file for a message type other than `success` or `failure`.
const TYPE: &str = "NOWCAST_TYPE";

/// The environment variable that keeps commands within a worker with `--debug` from sending messages.
pub const DEBUG: &str = "NOWCAST_DEBUG";

/// The maximum size in bytes of a file that the command writes.
const LARGEST: u64 = 64 << 20;

/// A function that records how the program ended.
pub type NoteEnd = fn(program: &str, ended: &io::Result<ExitStatus>);

/// A command that does a worker's job.
#[derive(Debug)]
pub struct Exec {
    name: String,
    command: Vec<String>,
    note_end: NoteEnd,
    /// The message type that the command requested.
    r#type: RefCell<Option<String>>,
}

impl Exec {
    /// Return a worker that runs a command. `name` is its name in the message registry, `command` the program and its
    /// arguments; `note_end` leaves a note for the runner.
    #[must_use]
    pub fn new(name: String, command: Vec<String>, note_end: NoteEnd) -> Self {
        Self { name, command, note_end, r#type: RefCell::default() }
    }

    /// Return the message type that the command requested if it fits the exit status, otherwise `default`: a command
    /// that requests a type and then fails has failed.
    fn r#type(&self, default: &str, fits: impl Fn(&str) -> bool) -> String {
        let asked = self.r#type.borrow().clone().filter(|asked| !asked.is_empty() && fits(asked));
        asked.unwrap_or_else(|| default.to_owned())
    }
}

impl Worker for Exec {
    fn name(&self) -> &str {
        &self.name
    }

    fn work(&self, context: &mut Context) -> Result<Value, WorkerError> {
        let crash = |doing: &str, error: &io::Error| WorkerError::crash(format!("cannot {doing}: {error}"));
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(WorkerError::crash("there is no command"));
        };
        let folder = tempfile::tempdir().map_err(|error| crash("make a folder for the payload", &error))?;
        let (payload, r#type) = (folder.path().join("payload"), folder.path().join("type"));
        let mut command = Command::new(program);
        command.args(arguments).env(PAYLOAD, &payload).env(TYPE, &r#type).env(WORKER, &self.name);
        let config = &context.config().file;
        command.env(CONFIG, std::path::absolute(config).unwrap_or_else(|_| config.clone()));
        if context.is_debug() {
            command.env(DEBUG, "1");
        }
        let ended = context.run(&mut command, |ended| (self.note_end)(program, ended));
        let status = ended.map_err(|error| crash(&format!("run {program}"), &error))?;
        if context.stop_requested() {
            drop(folder);
            pylogging::finish();
            std::process::exit(0);
        }
        *self.r#type.borrow_mut() = read_written(&r#type)?.map(|text| text.trim().to_owned());
        let expected =
            context.config().workers.get(&self.name).map(|settings| settings.failure_status.clone());
        match status.code() {
            Some(0) => Ok(payload_of(read_written(&payload)?)?),
            Some(code) if expected.unwrap_or_default().contains(&code) => {
                Err(WorkerError::new(format!("{program} exited with status {code}")))
            }
            Some(code) => Err(WorkerError::crash(format!("{program} exited with status {code}"))),
            None => {
                let signal = status.signal().unwrap_or_default();
                Err(WorkerError::crash(format!("{program} was killed by signal {signal}")))
            }
        }
    }

    fn success(&self, log: &Logger) -> String {
        log.info(format_args!("{} succeeded", self.command.join(" ")));
        self.r#type("success", |r#type| !is_failure(r#type))
    }

    fn failure(&self, log: &Logger) -> String {
        log.critical(format_args!("{} failed", self.command.join(" ")));
        self.r#type("failure", is_failure)
    }
}

/// Return the contents of a file that the command may have written, or `None` if it does not exist.
fn read_written(file: &std::path::Path) -> Result<Option<String>, WorkerError> {
    let name = file.file_name().unwrap_or_default().display();
    let unusable = |reason: &dyn std::fmt::Display| {
        WorkerError::crash(format!("the {name} that the command wrote cannot be used: {reason}"))
    };
    let text = match config::read_regular_up_to(file, LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| unusable(&error))?,
    };
    String::from_utf8(text).map(Some).map_err(|_| unusable(&"it is not UTF-8"))
}

fn payload_of(text: Option<String>) -> Result<Value, WorkerError> {
    let Some(text) = text else { return Ok(Value::Null) };
    pyyaml::read(&text).map_err(|error| {
        WorkerError::crash(format!("the payload that the command wrote is neither YAML nor JSON: {error}"))
    })
}
