//! `nowcast exec`: runs any command as a worker. Its exit status determines the message type, and a file that it writes
//! becomes the payload.
//!
//! For a run on this machine the runner executes the command, and this module only judges how it ended and reports. It
//! never reads what the command prints, and does not know of runs.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, Worker, WorkerError};
use crate::config::{self, Config};
use crate::process::ending;
use nowcast_core::Ending;
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

/// A function that is told how the program ended.
pub type OnEnd = fn(&Ending);

/// A command that does a worker's job.
#[derive(Debug)]
pub struct Exec {
    name: String,
    command: Vec<String>,
    program: Program,
    /// The message type that the command asked for.
    r#type: RefCell<Option<String>>,
}

/// The executor of the program.
#[derive(Debug)]
enum Program {
    /// This worker.
    Own(OnEnd),
    /// Another process, which gave it files in this folder.
    Ended { ending: Ending, files: PathBuf },
}

/// Return the variables that a program gets in addition to this process's: its worker, the configuration, and two files
/// in a folder that exists.
#[must_use]
pub fn environment(worker: &str, config: &Config, files: &Path) -> Vec<(String, OsString)> {
    let file = std::path::absolute(&config.file).unwrap_or_else(|_| config.file.clone());
    let variables = [
        (PAYLOAD, payload_file(files).into()),
        (TYPE, type_file(files).into()),
        (WORKER, worker.into()),
        (CONFIG, file.into()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

fn payload_file(files: &Path) -> PathBuf {
    files.join("payload")
}

fn type_file(files: &Path) -> PathBuf {
    files.join("type")
}

impl Exec {
    /// `name` is the worker's name in the message registry; `command` is the program and its arguments.
    #[must_use]
    pub fn new(name: String, command: Vec<String>, on_end: OnEnd) -> Self {
        Self { name, command, program: Program::Own(on_end), r#type: RefCell::default() }
    }

    /// Return the worker of a program that another process has executed, with [`environment`] for the folder `files`.
    #[must_use]
    pub fn ended(name: String, command: Vec<String>, ending: Ending, files: PathBuf) -> Self {
        Self { name, command, program: Program::Ended { ending, files }, r#type: RefCell::default() }
    }

    /// Return the message type that the command requested if it fits the exit status, otherwise `default`: a command
    /// that requests a type and then fails has failed.
    fn r#type(&self, default: &str, fits: impl Fn(&str) -> bool) -> String {
        let asked = self.r#type.borrow().clone().filter(|asked| !asked.is_empty() && fits(asked));
        asked.unwrap_or_else(|| default.to_owned())
    }

    fn execute(&self, on_end: OnEnd, context: &Context) -> Result<Value, WorkerError> {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(WorkerError::crash("there is no command"));
        };
        // Its payload may have what other users must not read.
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| WorkerError::crash(format!("cannot make a folder for the payload: {error}")))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment(&self.name, context.config(), folder.path()));
        if context.is_debug() {
            command.env(DEBUG, "1");
        }
        let ending = context.run(&mut command, |ended| {
            let ending = match ended {
                Ok(status) => ending(*status),
                Err(error) => Ending::NotStarted(format!("{program}: {error}")),
            };
            on_end(&ending);
            ending
        });
        if context.stop_requested() {
            drop(folder);
            pylogging::finish();
            std::process::exit(0);
        }
        self.judge(&ending, folder.path(), context.config())
    }

    /// Return what the end of the program means, with the payload that it wrote.
    fn judge(&self, ending: &Ending, files: &Path, config: &Config) -> Result<Value, WorkerError> {
        let program = self.command.first().map_or("", String::as_str);
        let expected = config.workers.get(&self.name).map(|settings| settings.failure_status.as_slice());
        if let Ending::NotStarted(reason) = ending {
            return Err(WorkerError::crash(format!("cannot run {reason}")));
        }
        if !files.is_dir() {
            let text = format!("the folder for its payload, {}, was removed", files.display());
            return Err(WorkerError::crash(text));
        }
        *self.r#type.borrow_mut() = read_written(&type_file(files))?.map(|text| text.trim().to_owned());
        match ending {
            Ending::Status(0)
                if let Some(failure) = self.r#type.borrow().as_deref().filter(|asked| is_failure(asked)) =>
            {
                let text = format!("{program} reported {failure}");
                Err(if failure == "crash" { WorkerError::crash(text) } else { WorkerError::new(text) })
            }
            Ending::Status(0) => payload_of(read_written(&payload_file(files))?),
            Ending::Status(code) if expected.unwrap_or_default().contains(code) => {
                Err(WorkerError::new(format!("{program} {ending}")))
            }
            _ => Err(WorkerError::crash(format!("{program} {ending}"))),
        }
    }
}

impl Worker for Exec {
    fn name(&self) -> &str {
        &self.name
    }

    fn work(&self, context: &mut Context) -> Result<Value, WorkerError> {
        match &self.program {
            Program::Own(on_end) => self.execute(*on_end, context),
            Program::Ended { ending, files } => self.judge(ending, files, context.config()),
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

/// Return what the command wrote to a file, if it exists.
fn read_written(file: &Path) -> Result<Option<String>, WorkerError> {
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
