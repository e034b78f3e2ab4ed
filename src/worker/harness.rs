//! What every worker has in common: set up, work, tell the manager, end.
//!
//! The lines that it logs and their order are the peer's.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::causes::with_causes;
use crate::config::{self, Config, Zmq};
use crate::log_publisher::Publishing;
use crate::worker::client::{Client, ClientError, Delay};
use nowcast_core::Signal;
use nowcast_core::message::{Message, RUN_ID};
use pylogging::{Logger, Role, Setup};
use pyyaml::Value;

/// How long a worker waits for a reply before it says so in its log, and again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker's own part.
pub trait Worker {
    /// Its name in the message registry and in the log.
    fn name(&self) -> &str;

    /// Does the job. The answer becomes the payload of the message that reports success.
    ///
    /// # Errors
    /// When the job failed in a way that was to be expected; anything else is a crash.
    fn work(&self, context: &mut Context) -> Result<Value, WorkerError>;

    /// Logs the success and names its message type.
    fn success(&self, log: &Logger) -> String;

    /// Logs the failure and names its message type.
    fn failure(&self, log: &Logger) -> String;
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct WorkerError {
    reason: String,
    is_crash: bool,
}

impl WorkerError {
    /// A failure with its reason, for the log.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_crash: false }
    }

    /// An end that was not to be expected.
    #[must_use]
    pub fn crash(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_crash: true }
    }
}

/// What a worker works with.
pub struct Context {
    name: String,
    config: Arc<Config>,
    log: Logger,
    /// `None` with `--debug`.
    client: Option<Client>,
    part: Part,
}

/// Run a worker to its end; with `debug` it logs to the console and sends nothing to the manager.
///
/// The exit status is 0 once the manager knows how the work ended, be it a failure or a crash: then
/// the rules decide what follows. It is 2 when the configuration cannot be used, and 1 when the
/// manager could not be told.
#[must_use]
pub fn run(worker: &dyn Worker, config_file: &Path, debug: bool) -> ExitCode {
    let (config, _) = match config::load(config_file) {
        Ok(loaded) => loaded,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            return ExitCode::from(2);
        }
    };
    let log = Logger::new(worker.name());
    let mut context = match set_up(worker.name(), Arc::new(config), log.clone(), debug) {
        Ok(context) => context,
        Err(error) => {
            log.critical(with_causes(error.as_ref()));
            return ExitCode::from(2);
        }
    };
    let told = report(worker, &mut context);
    if let Err(error) = &told {
        log.error(error);
    }
    log.debug("shutting down");
    ExitCode::from(u8::from(told.is_err()))
}

fn set_up(name: &str, config: Arc<Config>, log: Logger, debug: bool) -> anyhow::Result<Context> {
    config.make_default_log_folder()?;
    let publishing = Publishing { name: name.to_owned(), addresses: config.log_addresses_of_worker(name) };
    let (setup, warnings) = Setup::publishing(&config.logging, Role::Worker { debug }, &publishing)?;
    let first_line = setup.first_line("log messages").filter(|_| !debug);
    pylogging::install(setup);
    log.info(format_args!("running in process {}", std::process::id()));
    log.info(format_args!("read config from {}", config.file.display()));
    if let Some(line) = first_line {
        log.info(line);
    }
    for warning in warnings {
        log.warning(warning);
    }
    let part = Part::default();
    end_on_signals(log.clone(), part.clone())?;
    let client = if debug {
        log.debug("**debug mode** no connection to manager");
        None
    } else {
        let client = Client::connect(&config.zmq)?;
        log.info(format_args!("connected to {} port {}", config.zmq.host, config.zmq.workers_port));
        Some(client)
    };
    Ok(Context { name: name.to_owned(), config, log, client, part })
}

/// Speaks in a worker's name beside the worker itself: it logs as the worker does and says nothing of a start.
///
/// # Errors
/// When logging cannot be set up or ZeroMQ refuses the broker's address.
pub fn speak_for(name: &str, config: Config, debug: bool) -> anyhow::Result<Context> {
    config.make_default_log_folder()?;
    let (setup, _) = pylogging::Setup::from_value(&config.logging, Role::Worker { debug })?;
    pylogging::install(setup);
    let client = if debug { None } else { Some(Client::connect(&config.zmq)?) };
    let (name, config, log) = (name.to_owned(), Arc::new(config), Logger::new(name));
    Ok(Context { name, config, log, client, part: Part::default() })
}

/// Another process that does the worker's job, which a signal goes on to.
#[derive(Debug, Clone, Default)]
struct Part {
    process: Arc<Mutex<Option<Pid>>>,
    is_told_to_end: Arc<AtomicBool>,
}

/// SIGINT and SIGTERM end a worker at any point, without a message to the manager, as the peer's do. If another
/// process does the job, that one is told to end, and the worker ends after it.
fn end_on_signals(log: Logger, part: Part) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let signal = if number == SIGINT { Signal::Interrupt } else { Signal::Terminate };
            log.info(signal.log_text());
            part.is_told_to_end.store(true, Ordering::SeqCst);
            match *part.process.lock().unwrap_or_else(PoisonError::into_inner) {
                // A runner signals all of a run's processes; a second TERM may mean something else to them.
                Some(_) if std::env::var_os(RUN_ID).is_some() => {}
                // One that has just ended needs no signal.
                Some(process) => drop(kill_process(process, rustix::process::Signal::TERM)),
                None => {
                    pylogging::finish();
                    std::process::exit(0)
                }
            }
        }
    })?;
    Ok(())
}

/// Does the work and tells the manager how it ended.
fn report(worker: &dyn Worker, context: &mut Context) -> Result<(), WorkerError> {
    let log = context.log();
    let worked = panic::catch_unwind(AssertUnwindSafe(|| worker.work(context)));
    let (r#type, payload) = match worked {
        Ok(Ok(payload)) => (worker.success(&log), payload),
        Ok(Err(error)) if error.is_crash => {
            log.critical(&error);
            ("crash".to_owned(), Value::Null)
        }
        Ok(Err(error)) => {
            log.error(&error);
            (worker.failure(&log), Value::Null)
        }
        Err(cause) => {
            let cause: &(dyn std::any::Any + Send) = cause.as_ref();
            let text = cause
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a text");
            log.critical(format_args!("unhandled exception:\n{text}"));
            ("crash".to_owned(), Value::Null)
        }
    };
    context.tell_manager(&r#type, payload).map(|_| ())
}

impl Context {
    /// The worker's log.
    #[must_use]
    pub fn log(&self) -> Logger {
        self.log.clone()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether nothing is sent to the manager.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.client.is_none()
    }

    /// Starts a process that does the job, waits for it, and hands signals on to it.
    ///
    /// # Errors
    /// When it cannot be started, or the operating system cannot tell how it ended.
    pub fn run(&self, command: &mut Command) -> std::io::Result<ExitStatus> {
        let process = || self.part.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut starting = process();
        let mut child = command.spawn()?;
        let id = Pid::from_child(&child);
        *starting = Some(id);
        drop(starting);
        // Its number is given to nobody else before it is reaped, and by then it is forgotten.
        let end = || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        while let Err(error) = end() {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        *process() = None;
        child.wait()
    }

    /// Whether a signal came while another process did the job: then this worker is to end without a message.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        self.part.is_told_to_end.load(Ordering::SeqCst)
    }

    /// Sends a message to the manager and answers its reply; `None` with `--debug`, when nothing is
    /// sent.
    ///
    /// # Errors
    /// When the message registry does not have the message or the reply, or the wire fails.
    pub fn tell_manager(&mut self, r#type: &str, payload: Value) -> Result<Option<Message>, WorkerError> {
        let words = self.words(r#type)?.to_owned();
        let Some(client) = &mut self.client else {
            self.log.debug(format_args!(
                "**debug mode** message that would have been sent to manager: ({type} {words})"
            ));
            return Ok(None);
        };
        let message = Message::new(self.name.as_str(), r#type, payload);
        let reply = exchange(client, message, &words, &self.log, &self.config.zmq)
            .map_err(|error| WorkerError::new(error.to_string()))?;
        let words = self.config.registry.manager.get(&reply.r#type).ok_or_else(|| {
            let file = self.config.file.display();
            WorkerError::new(format!(
                "message type not found for manager in {file} message registry: {}",
                reply.r#type
            ))
        })?;
        self.log.debug(format_args!("received message from {}: ({}) {words}", reply.source, reply.r#type));
        Ok(Some(reply))
    }

    /// What the registry says that a message of this worker's means.
    fn words(&self, r#type: &str) -> Result<&str, WorkerError> {
        let (name, file) = (self.name.as_str(), &self.config.file);
        let worker = self.config.registry.workers.get(name).ok_or_else(|| {
            WorkerError::new(format!("worker not found in {} message registry: {name}", file.display()))
        })?;
        worker.messages.get(r#type).map(String::as_str).ok_or_else(|| {
            WorkerError::new(format!(
                "message type not found for {name} worker in {} message registry: {}",
                file.display(),
                r#type
            ))
        })
    }
}

fn exchange(
    client: &mut Client,
    message: Message,
    words: &str,
    log: &Logger,
    broker: &Zmq,
) -> Result<Message, ClientError> {
    let sent = format!("sent message: ({}) {words}", message.r#type);
    client.send(message)?;
    log.debug(sent);
    let (host, port) = (&broker.host, broker.workers_port);
    client.receive(PATIENCE, &mut |delay| match delay {
        Delay::NoReply(rounds) => log.warning(still_waiting(PATIENCE * rounds, host, port)),
        Delay::SentAgain => log.warning(format_args!(
            "the connection to the message broker ({host} port {port}) was lost before the reply came; the message is \
             sent again"
        )),
    })
}

fn still_waiting(waited: Duration, host: &str, port: u16) -> String {
    let minutes = waited.as_secs() / 60;
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    format!(
        "no reply from the manager for {minutes} {unit}; still waiting. Are the message broker ({host} port {port}) \
         and the manager running?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waiting_line_counts_minutes() {
        assert_eq!(PATIENCE, Duration::from_secs(60));
        assert!(
            still_waiting(PATIENCE, "localhost", 4344).starts_with("no reply from the manager for 1 minute;")
        );
        assert!(still_waiting(PATIENCE * 3, "localhost", 4344).contains("for 3 minutes; still waiting"));
    }
}
