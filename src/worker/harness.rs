//! The frame of every worker: set up, work, report to the manager, exit.
//!
//! It logs the lines of NEMO_Nowcast in the same order.

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

use crate::config::{self, Config, Zmq};
use crate::log_publisher::Publishing;
use crate::notify::sentry;
use crate::worker::client::{Client, ClientError, ReplyDelay};
use error_text::with_causes;
use nowcast_core::Signal;
use nowcast_core::message::{Message, RUN_ID};
use pylogging::{Logger, Role, Setup};
use pyyaml::Value;

/// The interval between log lines of a worker that still waits for a reply.
const REPLY_WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The part that is specific to a worker.
pub trait Worker {
    /// Return the worker's name in the message registry and in the log.
    fn name(&self) -> &str;

    /// Do the job. The result becomes the payload of the message that reports success.
    ///
    /// # Errors
    /// When the job failed; [`WorkerError::crash`] marks an unexpected failure.
    fn work(&self, context: &mut Context) -> Result<Value, WorkerError>;

    /// Log the success and return its message type.
    fn success(&self, log: &Logger) -> String;

    /// Log the failure and return its message type.
    fn failure(&self, log: &Logger) -> String;
}

/// The reason why a job failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct WorkerError {
    reason: String,
    is_crash: bool,
}

impl WorkerError {
    /// Return an expected failure with its reason, for the log.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_crash: false }
    }

    /// Return an unexpected failure with its reason.
    #[must_use]
    pub fn crash(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_crash: true }
    }
}

/// The context of a worker: configuration, log and connection to the manager.
pub struct Context {
    name: String,
    config: Arc<Config>,
    log: Logger,
    is_debug: bool,
    /// `None` until the first message if the worker does not connect before its job, and with `--debug`.
    client: Option<Client>,
    /// The run that the message of another process's job names; `None` for this process's own.
    report: Option<DelegatedReport>,
    job: JobProcess,
}

/// The report on a job that another process has done, which is one message.
#[derive(Debug, Clone)]
pub struct DelegatedReport {
    /// The run's number.
    pub run: String,
    /// The id of the message. It stays the same if the message is sent again by yet another process.
    pub message_id: String,
}

/// Run a worker to its end; with `debug` it logs to the console and sends nothing to the manager.
///
/// The exit status is 0 once the manager knows how the work ended, also for a failure or a crash: then the rules decide
/// what follows. It is 2 when the configuration is unusable, and 1 when the report failed.
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
    ExitCode::from(u8::from(!work_to_end(worker, &mut context)))
}

/// Do the work, report to the manager, and log how that went. Return whether the report succeeded.
pub fn work_to_end(worker: &dyn Worker, context: &mut Context) -> bool {
    let reported = work_and_report(worker, context);
    if let Err(error) = &reported {
        context.log.error(error);
    }
    context.log.debug("shutting down");
    reported.is_ok()
}

fn set_up(name: &str, config: Arc<Config>, log: Logger, debug: bool) -> anyhow::Result<Context> {
    start_logging(name, &config, &log, debug)?;
    let job = JobProcess::default();
    exit_on_signals(log.clone(), job.clone())?;
    let (name, report) = (name.to_owned(), None);
    let mut context = Context { name, config, log, is_debug: debug, client: None, report, job };
    if debug {
        context.log.debug("**debug mode** no connection to manager");
    } else {
        context.client = Some(context.connect()?);
    }
    Ok(context)
}

/// Return the context in which another process reports for a worker. It logs as the worker does. It connects to the broker
/// when it reports, and leaves signals to its caller.
///
/// # Errors
/// When the configuration cannot be used or logging cannot be set up.
pub fn report_for(name: &str, config_file: &Path, report: DelegatedReport) -> anyhow::Result<Context> {
    let (config, _) = config::load(config_file)?;
    let (name, config, log) = (name.to_owned(), Arc::new(config), Logger::new(name));
    start_logging(&name, &config, &log, false)?;
    let (report, job) = (Some(report), JobProcess::default());
    Ok(Context { name, config, log, is_debug: false, client: None, report, job })
}

/// Set up logging and log the first lines of a worker.
fn start_logging(name: &str, config: &Config, log: &Logger, debug: bool) -> anyhow::Result<()> {
    config.make_default_log_folder()?;
    let publishing = Publishing::of(config, name, config.log_addresses_of_worker(name));
    let (setup, mut warnings) = Setup::publishing(&config.logging, Role::Worker { debug }, &publishing)?;
    let (sentry, warning) = if debug { (None, None) } else { sentry::from_environment(name)? };
    warnings.extend(warning);
    let first_line = setup.first_line("log messages").filter(|_| !debug);
    pylogging::install(setup.observed_by(sentry::LEVEL, sentry));
    log.info(format_args!("running in process {}", std::process::id()));
    log.info(format_args!("read config from {}", config.file.display()));
    if let Some(line) = first_line {
        log.info(line);
    }
    for warning in warnings {
        log.warning(warning);
    }
    Ok(())
}

/// Connect to the broker of a configuration, also when its address changes meanwhile.
fn connect(config: &Config) -> Result<Client, ClientError> {
    let file = config.file.clone();
    let read_settings = move || config::load(&file).ok().map(|(config, _)| config.zmq);
    Ok(Client::connect(&config.zmq)?.following(read_settings))
}

/// Return a worker's context for a process that sends messages in its name. It logs as the worker does, without the
/// lines of a start.
///
/// # Errors
/// When logging cannot be set up or ZeroMQ rejects the broker's address.
pub fn speak_for(name: &str, config: Config, debug: bool) -> anyhow::Result<Context> {
    config.make_default_log_folder()?;
    let (setup, _) = pylogging::Setup::from_value(&config.logging, Role::Worker { debug })?;
    pylogging::install(setup);
    let client = if debug { None } else { Some(connect(&config)?) };
    let (name, config, log) = (name.to_owned(), Arc::new(config), Logger::new(name));
    let job = JobProcess::default();
    Ok(Context { name, config, log, is_debug: debug, client, report: None, job })
}

/// The process that does the worker's job, if it is another one. Signals are passed on to it.
#[derive(Debug, Clone, Default)]
struct JobProcess {
    process: Arc<Mutex<Option<Pid>>>,
    is_stop_requested: Arc<AtomicBool>,
}

/// Exit on SIGINT and SIGTERM at any point, without a message to the manager, as in NEMO_Nowcast. If another process
/// does the job, request it to stop; the worker exits after it.
fn exit_on_signals(log: Logger, job: JobProcess) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let signal = if number == SIGINT { Signal::Interrupt } else { Signal::Terminate };
            log.info(signal.log_text());
            job.is_stop_requested.store(true, Ordering::SeqCst);
            match *job.process.lock().unwrap_or_else(PoisonError::into_inner) {
                // A runner signals all processes of a run; a second SIGTERM may mean something else to them.
                Some(_) if std::env::var_os(RUN_ID).is_some() => {}
                // A process that has just exited needs no signal.
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

/// Do the work and report to the manager how it ended.
fn work_and_report(worker: &dyn Worker, context: &mut Context) -> Result<(), WorkerError> {
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
    /// Return the worker's log.
    #[must_use]
    pub fn log(&self) -> Logger {
        self.log.clone()
    }

    /// Return the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Return whether nothing is sent to the manager.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.is_debug
    }

    /// Connect to the broker, which need not run yet.
    fn connect(&self) -> Result<Client, ClientError> {
        let client = connect(&self.config)?;
        let broker = &self.config.zmq;
        self.log.info(format_args!("connected to {} port {}", broker.host, broker.workers_port));
        Ok(client)
    }

    /// Start a process that does the job, pass signals on to it, and wait until it exits. `on_end` gets the result, or why
    /// there is none, before a signal can end this process. Return what `on_end` returns.
    pub fn run<T>(&self, command: &mut Command, on_end: impl FnOnce(&io::Result<ExitStatus>) -> T) -> T {
        let lock = || self.job.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut process = lock();
        let ended = match command.spawn() {
            Err(error) => Err(error),
            Ok(mut child) => {
                let id = Pid::from_child(&child);
                *process = Some(id);
                drop(process);
                let waited = wait_for_exit(id);
                // Held until the end is noted: the signal that ended the job may reach this process later.
                process = lock();
                // The number cannot be reused before the process is reaped, and it is cleared before that.
                *process = None;
                waited.and_then(|()| child.wait())
            }
        };
        let result = on_end(&ended);
        drop(process);
        result
    }

    /// Return whether a signal arrived while another process did the job. The worker must then exit without a message.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        self.job.is_stop_requested.load(Ordering::SeqCst)
    }

    /// Send a message to the manager and return its reply, or `None` with `--debug`, when nothing is sent.
    ///
    /// # Errors
    /// When the message registry lacks the message or the reply, or the exchange fails.
    pub fn tell_manager(&mut self, r#type: &str, payload: Value) -> Result<Option<Message>, WorkerError> {
        let words = self.description(r#type)?.to_owned();
        if self.is_debug {
            self.log.debug(format_args!(
                "**debug mode** message that would have been sent to manager: ({type} {words})"
            ));
            return Ok(None);
        }
        let mut message = Message::new(self.name.as_str(), r#type, payload);
        if let Some(DelegatedReport { run, message_id }) = self.report.clone() {
            (message.run, message.id) = (Some(run), Some(message_id));
        }
        let reply = self.exchange(message, &words).map_err(|error| WorkerError::new(error.to_string()))?;
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

    fn exchange(&mut self, message: Message, words: &str) -> Result<Message, ClientError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.connect()?,
        };
        let reply = exchange(&mut client, message, words, &self.log, &self.config.zmq);
        self.client = Some(client);
        reply
    }

    /// Return the description of this worker's message type in the message registry.
    fn description(&self, r#type: &str) -> Result<&str, WorkerError> {
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

/// Wait until a child exits, without reaping it.
fn wait_for_exit(child: Pid) -> io::Result<()> {
    while let Err(error) = waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(())
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
    client.receive(REPLY_WARNING_INTERVAL, &mut |delay| match delay {
        ReplyDelay::NoReply(timeouts) => log.warning(still_waiting(REPLY_WARNING_INTERVAL * timeouts, host, port)),
        ReplyDelay::SentAgain => log.warning(format_args!(
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

    const CONFIG: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry: {next workers module: next_workers, workers: {}}
";

    #[test]
    fn a_signal_does_not_end_a_worker_before_the_end_of_its_job_is_noted() {
        let (config, _) =
            config::parse(Path::new("nowcast.yaml"), CONFIG.as_bytes(), &|_| Some(String::new())).unwrap();
        let (name, log, job) = ("plot".to_owned(), Logger::new("plot"), JobProcess::default());
        let config = Arc::new(config);
        let context = Context { name, config, log, is_debug: true, client: None, report: None, job };
        let is_locked = || context.job.process.try_lock().is_err();
        let noted =
            context.run(&mut Command::new("false"), |ended| (ended.as_ref().unwrap().code(), is_locked()));
        assert_eq!((noted, is_locked()), ((Some(1), true), false));
        assert!(context.job.process.lock().unwrap().is_none());
    }

    #[test]
    fn the_waiting_line_counts_minutes() {
        let line = |seconds| still_waiting(Duration::from_secs(seconds), "localhost", 4344);
        assert!(line(60).starts_with("no reply from the manager for 1 minute;"), "{}", line(60));
        assert!(line(180).contains("for 3 minutes; still waiting"), "{}", line(180));
        assert!(line(180).contains("the message broker (localhost port 4344)"), "{}", line(180));
    }
}
