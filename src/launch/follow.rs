//! [`Follower`]: follows a remote run to its end. It waits for the launching command, asks the host when that does not
//! say how the run ended, and stops the run on its host when requested.
//!
//! A host that does not answer is never taken as the end of the run. It is asked again, with growing pauses, until it
//! reports that the run is gone, the worker has reported, or an operator abandons the run.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal as UnixSignal, kill_process_group};

use super::answer::{HostAnswer, LauncherOutput, Verdict, answer, verdict};
use super::launch_command::{RUN_TAG, RemoteCommands};
use super::lost_contact::LostContact;
use super::task::{self, Process, RunnerTask};
use super::watched_processes::WatchedProcesses;
use crate::signals::Signals;
use nowcast_core::{Ending, Signal};

/// The pause after the first question; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The timeout of a call to the host: the environment file may load modules.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How many answers that the run still exists are normal after its launching command ended: Slurm cleans up after a job
/// (`COMPLETING`) when `sbatch` has ended.
const LINGERING_ANSWERS: u32 = 4;

/// How much of the output's head is searched for the first line of `sbatch`, in bytes.
const OUTPUT_HEAD: u64 = 1024;

/// How much of the output's tail is searched for the lines of the launching command, in bytes.
const OUTPUT_TAIL: u64 = 64 * 1024;

/// The purpose of a call to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostCall {
    Ask,
    Terminate,
    Kill,
}

/// A call that has not ended.
struct OpenCall {
    call: HostCall,
    output: File,
    errors: File,
    deadline: Instant,
}

/// How the launching command ended.
#[derive(Clone)]
struct LauncherEnd {
    /// In words.
    text: String,
    at: Timestamp,
    /// How the run ended if the host knows nothing of it.
    if_gone: Option<Ending>,
}

/// A remote run, its processes here, and what is known of it.
pub(super) struct Follower<'a> {
    task: &'a RunnerTask,
    remote: &'a RemoteCommands,
    processes: WatchedProcesses<Process>,
    /// The process group of the launching command, while it runs.
    launcher: Option<Pid>,
    launcher_end: Option<LauncherEnd>,
    open_call: Option<OpenCall>,
    /// A signal that the host has not delivered yet.
    pending_signal: Option<HostCall>,
    /// When the host is called next, and the pause after that.
    next_call: Instant,
    pause: Duration,
    stop_requests: u32,
    kill_at: Option<Instant>,
    /// Whether the host is asked before a signal is repeated.
    asks_first: bool,
    is_contact_lost: bool,
    /// Whether the host did not answer the last call.
    is_silent: bool,
    /// How many times the host answered that the run still exists.
    present_answers: u32,
}

impl<'a> Follower<'a> {
    /// `launcher` leads the process group of the launching command, if that is alive and among the processes.
    pub(super) fn new(
        task: &'a RunnerTask,
        remote: &'a RemoteCommands,
        processes: WatchedProcesses<Process>,
        launcher: Option<Pid>,
    ) -> Self {
        let mut follower = Self {
            task,
            remote,
            processes,
            launcher,
            launcher_end: None,
            open_call: None,
            pending_signal: None,
            next_call: Instant::now(),
            pause: FIRST_PAUSE,
            stop_requests: 0,
            kill_at: None,
            asks_first: false,
            is_contact_lost: false,
            is_silent: false,
            present_answers: 0,
        };
        if launcher.is_none() {
            let text = "its runner and its launching command are dead".to_owned();
            follower.launcher_end = Some(LauncherEnd { text, at: Timestamp::now(), if_gone: None });
        }
        follower
    }

    /// Follow the run to its end.
    pub(super) fn follow_to_end(mut self, signals: &mut Signals) -> io::Result<Ending> {
        // The stop may have been requested from the runner that died.
        if let Some(ago) = self.task.folder.time_since_stop_request().filter(|_| self.task.is_adoption) {
            self.request_stop(self.task.grace.saturating_sub(ago));
        }
        loop {
            for (process, ending) in self.processes.reap()? {
                let end = match process {
                    Process::Worker => self.launcher_ended(&ending),
                    Process::Call => self.call_ended(&ending)?,
                };
                if let Some(end) = end {
                    return Ok(end);
                }
            }
            if signals.take().contains(&Signal::Terminate) {
                self.request_stop(self.task.grace);
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.send_signal(HostCall::Kill);
            }
            if let Some(end) = self.end_by_report().or_else(|| self.call_if_due()) {
                return Ok(end);
            }
            self.wait(signals)?;
        }
    }

    /// The first request leaves the run its grace period; the second one kills it.
    fn request_stop(&mut self, grace: Duration) {
        self.stop_requests += 1;
        if self.stop_requests == 1 {
            self.kill_at = Instant::now().checked_add(grace);
            self.send_signal(HostCall::Terminate);
        } else {
            self.kill_at = Some(Instant::now());
        }
    }

    fn send_signal(&mut self, signal: HostCall) {
        let command = if signal == HostCall::Kill { &self.remote.kill } else { &self.remote.terminate };
        if command.is_some() {
            self.pending_signal = Some(signal);
            self.next_call = Instant::now();
            self.pause = FIRST_PAUSE;
        } else {
            self.signal_launcher(if signal == HostCall::Kill { UnixSignal::KILL } else { UnixSignal::TERM });
        }
    }

    fn signal_launcher(&self, signal: UnixSignal) {
        // The process is not reaped yet, so the number still belongs to its group.
        if let Some(group) = self.launcher {
            let _ = kill_process_group(group, signal);
        }
    }

    fn launcher_ended(&mut self, ending: &Ending) -> Option<Ending> {
        self.launcher = None;
        // An output that cannot be read counts as unknown: then the host is asked.
        let (head, tail, is_whole) = self.output().unwrap_or_default();
        let output = LauncherOutput { head: &head, tail: &tail, is_whole };
        match verdict(self.remote, ending, &output) {
            Verdict::Ended(ending) => return Some(ending),
            Verdict::NotStarted(reason) => return Some(Ending::NotStarted(reason)),
            Verdict::Ask { if_gone } => {
                let program = self.task.argv.first().map(|word| word.to_string_lossy().into_owned());
                let program = program.unwrap_or_else(|| "its launching command".to_owned());
                let text = match ending {
                    Ending::Unknown => format!("{program} ended"),
                    ending => format!("{program} {ending}"),
                };
                self.launcher_end = Some(LauncherEnd { text, at: Timestamp::now(), if_gone });
            }
        }
        self.next_call = Instant::now();
        self.pause = FIRST_PAUSE;
        None
    }

    /// Return head and tail of the output, which have the launching command's own lines, and whether the tail is all.
    fn output(&self) -> io::Result<(String, String, bool)> {
        let mut file = File::open(self.task.folder.output_log())?;
        let head = text((&file).take(OUTPUT_HEAD))?;
        let before = file.metadata()?.len().saturating_sub(OUTPUT_TAIL);
        file.seek(io::SeekFrom::Start(before))?;
        Ok((head, text(file)?, before == 0))
    }

    /// A call has ended: return how the run ended, if that is known now.
    fn call_ended(&mut self, ending: &Ending) -> io::Result<Option<Ending>> {
        let Some(OpenCall { call, mut output, mut errors, .. }) = self.open_call.take() else {
            return Ok(None);
        };
        output.rewind()?;
        errors.rewind()?;
        let host_answer = answer(self.remote, ending, &text(output)?, &text(errors)?);
        self.call_later();
        // A signal may fail because the run is gone.
        self.asks_first = call != HostCall::Ask;
        if call == HostCall::Kill {
            self.signal_launcher(UnixSignal::KILL);
        }
        if call != HostCall::Ask && !matches!(host_answer, HostAnswer::NoAnswer(_)) {
            // The next question shows its effect.
            if self.pending_signal == Some(call) {
                self.pending_signal = None;
            }
            return Ok(None);
        }
        Ok(self.answered(call, host_answer))
    }

    fn call_later(&mut self) {
        self.next_call = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Return how the run ended, if an answer shows that.
    fn answered(&mut self, call: HostCall, host_answer: HostAnswer) -> Option<Ending> {
        let LauncherEnd { text: reason, at: since, if_gone } = self.launcher_end.clone()?;
        let host = &self.remote.host;
        let (is_running, answer) = match host_answer {
            HostAnswer::Gone(Some(ending)) => return Some(ending),
            HostAnswer::Gone(None) => {
                let lost = || {
                    Ending::OnHost(format!(
                        "contact with {host} was lost ({reason}), and the host reports that the run is gone"
                    ))
                };
                return Some(if_gone.unwrap_or_else(lost));
            }
            HostAnswer::Present(answer) => (true, answer),
            HostAnswer::NoAnswer(answer) => (false, answer),
        };
        if self.stop_requests > 1 && !is_running && call == HostCall::Ask {
            return Some(Ending::OnHost(format!(
                "stop requested twice, and {host} does not answer ({answer}); the run may continue there"
            )));
        }
        if self.stop_requests > 0 && is_running && self.kill_at.is_none() && self.pending_signal.is_none() {
            // The run survived the signal, or started after it.
            self.pending_signal = self.remote.kill.as_ref().map(|_| HostCall::Kill);
        }
        self.is_silent = !is_running;
        self.present_answers += u32::from(is_running);
        if if_gone.is_some() && is_running && self.present_answers < LINGERING_ANSWERS {
            return None;
        }
        let contact =
            LostContact { host: host.clone(), since, reason, asked_at: Timestamp::now(), is_running, answer };
        self.task.folder.write_lost_contact(&contact);
        if !self.is_contact_lost {
            self.is_contact_lost = true;
            self.task.complain(&contact.to_string());
            self.append_to_output(&contact);
        }
        None
    }

    /// Append a line for readers of the run's output.
    fn append_to_output(&self, contact: &LostContact) {
        let log = File::options().append(true).open(self.task.folder.output_log());
        let _ = log.and_then(|mut log| writeln!(log, "nowcast runner: {contact}"));
    }

    /// Return the end of a run whose worker has reported and whose host does not answer.
    fn end_by_report(&self) -> Option<Ending> {
        if !self.is_silent || self.stop_requests > 0 || !self.task.folder.is_reported() {
            return None;
        }
        let host = &self.remote.host;
        Some(Ending::OnHost(format!("contact with {host} was lost, and the worker has reported")))
    }

    /// Call the host if a call is due. Return how the run ended, if an operator abandoned it.
    fn call_if_due(&mut self) -> Option<Ending> {
        let now = Instant::now();
        if let Some(open_call) = &self.open_call {
            if open_call.deadline <= now {
                self.processes.signal(&Process::Call, UnixSignal::KILL);
            }
            return None;
        }
        let ask = self.launcher_end.as_ref().map(|_| HostCall::Ask);
        let due = if self.asks_first { ask.or(self.pending_signal) } else { self.pending_signal.or(ask) };
        let call = due.filter(|_| self.next_call <= now)?;
        match self.start_call(call) {
            Ok(open_call) => self.open_call = Some(open_call),
            Err(error) => {
                self.call_later();
                return self.answered(call, HostAnswer::NoAnswer(error.to_string()));
            }
        }
        None
    }

    fn start_call(&mut self, call: HostCall) -> io::Result<OpenCall> {
        let command = match call {
            HostCall::Ask => &self.remote.ask,
            HostCall::Terminate => &self.remote.terminate,
            HostCall::Kill => &self.remote.kill,
        };
        let command = command.as_deref().unwrap_or_default();
        let (output, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let (to_output, to_errors) = (Stdio::from(output.try_clone()?), Stdio::from(errors.try_clone()?));
        let mark = [(RUN_TAG.to_owned(), self.task.run_tag().into())];
        self.processes.start_in(None, Process::Call, command, &mark, (to_output, to_errors))?;
        Ok(OpenCall { call, output, errors, deadline: Instant::now() + CALL_TIMEOUT })
    }

    fn wait(&self, signals: &Signals) -> io::Result<()> {
        let is_call_due =
            self.open_call.is_none() && (self.pending_signal.is_some() || self.launcher_end.is_some());
        let next_call = Some(self.next_call).filter(|_| is_call_due);
        let deadline = self.open_call.as_ref().map(|call| call.deadline);
        let until = [self.kill_at, next_call, deadline].into_iter().flatten().min();
        task::wait(&[self.processes.as_fd(), signals.as_fd()], until).map(|_| ())
    }
}

fn text(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(OUTPUT_TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
