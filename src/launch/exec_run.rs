//! A run of `exec:`: the runner executes the program and reports how it ended, as `nowcast exec` does for a program of its
//! own. So no process stands between runner and program whose death would leave the program behind.
//!
//! It never reports for a run that was requested to stop, and a stop request ends its wait for a reply.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf, absolute};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::exit_record::ExitRecord;
use super::launch_command::ExecWorker;
use super::program::ProgramEnd;
use super::run_folder::RunFolder;
use super::run_output::RunOutput;
use super::shortage::{self, NotDone, check_capacity};
use super::task::{RunnerTask, wait};
use super::worker_process::{start_worker, wait_for_worker};
use crate::failpoint;
use crate::signals::Signals;
use crate::worker::exec::{self, Exec};
use crate::worker::{Context, DelegatedReport, report_for, work_to_end};
use nowcast_core::{Ending, Signal};

/// The folder in the run's folder for the files that the program writes for its report. It is removed when the exit is on
/// record.
pub(super) const EXEC_FILES: &str = "exec";

/// The pause before a report is prepared again.
const REPORT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The stack of the thread that reports, in bytes, as for the main thread of `nowcast exec`: a payload may be deeply nested.
const STACK: usize = 8 << 20;

impl RunFolder {
    fn exec_files(&self) -> PathBuf {
        self.path().join(EXEC_FILES)
    }
}

/// Execute the program of a run and report how it ended.
pub(super) fn execute(
    task: &RunnerTask,
    exec: &ExecWorker,
    signals: &mut Signals,
    output: &mut RunOutput,
) -> io::Result<Ending> {
    let files = task.folder.exec_files();
    let message_id = Uuid::now_v7().to_string();
    let context = match prepare(task, exec, &message_id, Some(&files), signals, output) {
        Ok(context) => context,
        Err(not_done) => {
            output.start_copy();
            return Ok(match not_done {
                NotDone::Failed(reason) => NotDone::Failed(explain(&reason)).ending(),
                NotDone::StopRequested => not_done.ending(),
            });
        }
    };
    let log = context.log();
    let environment = exec::environment(&exec.name, context.config(), &files);
    let started = start_worker(task, &environment, signals, output);
    output.start_copy();
    let (ending, stop_requested) = match started {
        Ok((processes, worker)) => {
            let on_stop = || log.info(Signal::Terminate.log_text());
            wait_for_worker(processes, worker, signals, task.grace, &on_stop)?
        }
        Err(not_done) => {
            let stop_requested = matches!(not_done, NotDone::StopRequested);
            (not_done.ending(), stop_requested)
        }
    };
    failpoint::pass("runner: worker ended");
    let end = ProgramEnd {
        exit: ExitRecord::now(&ending),
        worker: exec.name.clone(),
        config: absolute(&exec.config).unwrap_or_else(|_| exec.config.clone()),
        command: task.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        message_id,
    };
    task.folder.note_program_end(&end);
    failpoint::pass("runner: program end noted");
    if !stop_requested {
        report(task, &end, context, signals);
    }
    failpoint::pass("runner: reported");
    pylogging::finish();
    Ok(ending)
}

/// Report how a program ended whose runner died before it had reported, or before it noted that. If the first report
/// arrived, the manager recognises this one by its id. What prevents the report is waited for, such as a configuration that cannot be
/// used: without it, the success of the program would become a crash.
pub(super) fn report_again(
    task: &RunnerTask,
    end: &ProgramEnd,
    signals: &mut Signals,
    output: &mut RunOutput,
) -> Ending {
    let exec = ExecWorker { name: end.worker.clone(), config: end.config.clone() };
    let mut last_reason = String::new();
    loop {
        match prepare(task, &exec, &end.message_id, None, signals, output) {
            Ok(context) => {
                output.start_copy();
                report(task, end, context, signals);
                pylogging::finish();
                break;
            }
            Err(NotDone::StopRequested) => break,
            Err(NotDone::Failed(reason)) => {
                if reason != last_reason {
                    let line = explain(&reason);
                    task.complain(&format!("its report cannot be sent: {line}; trying again"));
                    last_reason = reason;
                }
                // Without the folder no manager waits for the report.
                if shortage::pause(signals, REPORT_RETRY_INTERVAL) || !task.folder.path().exists() {
                    break;
                }
            }
        }
    }
    end.exit.ending()
}

/// Log as the worker from now on: to the run's output, and to wherever else the configuration says. Create the folder
/// `new_files` for a program that is to be executed.
fn prepare(
    task: &RunnerTask,
    exec: &ExecWorker,
    message_id: &str,
    new_files: Option<&Path>,
    signals: &mut Signals,
    output: &RunOutput,
) -> Result<Context, NotDone> {
    let attempt = || -> anyhow::Result<Context> {
        output.redirect()?;
        if let Some(files) = new_files {
            create_private_folder(files)?;
        }
        check_capacity()?;
        let report = DelegatedReport { run: task.run.clone(), message_id: message_id.to_owned() };
        report_for(&exec.name, &exec.config, report)
    };
    if new_files.is_none() {
        return shortage::retry(
            task,
            signals,
            "its report cannot be sent",
            Some(task.start_timeout),
            attempt,
        );
    }
    // The configuration may be half saved, or the folder of a log be repaired soon. The manager goes on meanwhile, too.
    shortage::retry_always(task, signals, "its worker cannot be started", task.start_timeout, attempt)
}

/// Write to the output, where there may be no log, why the worker cannot do its part. Return the first line.
fn explain(reason: &str) -> String {
    let _ = writeln!(io::stderr(), "{reason}");
    reason.lines().next().unwrap_or_default().to_owned()
}

fn create_private_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        // An earlier attempt created it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => {
            created.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
    }
}

/// Send the message about the end of the program, and wait for the reply: as long as broker or manager are away, but not
/// after a stop request.
fn report(task: &RunnerTask, end: &ProgramEnd, context: Context, signals: &mut Signals) {
    let log = context.log();
    let worker =
        Exec::ended(end.worker.clone(), end.command.clone(), end.exit.ending(), task.folder.exec_files());
    let start = || -> anyhow::Result<_> {
        check_capacity()?;
        let (ended, end) = io::pipe()?;
        let (job, jobs) = mpsc::channel::<(Exec, Context)>();
        let reporting = move || {
            if let Ok((worker, mut context)) = jobs.recv() {
                work_to_end(&worker, &mut context);
            }
            drop(end);
        };
        thread::Builder::new().name("report".to_owned()).stack_size(STACK).spawn(reporting)?;
        Ok((job, ended))
    };
    let on_stop = || log.info(Signal::Terminate.log_text());
    let (job, ended) = match shortage::retry(task, signals, "its report cannot be sent", None, start) {
        Ok(started) => started,
        Err(NotDone::StopRequested) => return on_stop(),
        Err(NotDone::Failed(reason)) => return log.error(reason),
    };
    // The thread waits for it.
    let _ = job.send((worker, context));
    loop {
        let ready = wait(&[ended.as_fd(), signals.as_fd()], None);
        if signals.take().contains(&Signal::Terminate) {
            return on_stop();
        }
        match ready {
            Ok(ready) if ready.first() == Some(&true) => return,
            Ok(_) => {}
            // In a shortage of descriptors.
            Err(_) => thread::sleep(REPORT_RETRY_INTERVAL),
        }
    }
}
