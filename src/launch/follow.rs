//! Sees a run on another host to its end: waits for what launched it, asks the host when that does not say how the run
//! ended, and ends it there when it is told to.
//!
//! It never takes silence for an end. A host that does not answer is asked again, with growing pauses, until it
//! says that nothing of the run is there, the worker has reported, or an operator gives it up.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal as Kill, kill_process_group};

use super::answer::{HostAnswer, LauncherOutput, Verdict, answer, verdict};
use super::children::Children;
use super::lost_contact::LostContact;
use super::on_host::{RUN_MARK, RemoteCommands};
use super::task::{self, Process, RunnerTask, complain};
use crate::signals::Signals;
use nowcast_core::{Ending, Signal};

/// The pause after the first question; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a question or an order may take before it is given up: the environment file may load modules.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many times what launched it may end before it is gone there, without anybody being told: Slurm still tidies up after
/// a job (`COMPLETING`) when `sbatch` has ended.
const STRAGGLING: u32 = 4;

/// How much of the output's begin is looked at for what `sbatch` said first, in bytes.
const OUTPUT_BEGIN: u64 = 1024;

/// How much of the output's end is looked at for what the launching command itself said.
const OUTPUT_END: u64 = 64 * 1024;

/// What the host is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostCall {
    Ask,
    Terminate,
    Kill,
}

/// A call under way.
struct OpenCall {
    call: HostCall,
    output: File,
    errors: File,
    until: Instant,
}

/// A run that is followed.
pub(super) struct Follower<'a> {
    task: &'a RunnerTask,
    remote: &'a RemoteCommands,
    children: Children<Process>,
    /// The process group of the launching command, while that runs.
    launcher: Option<Pid>,
    /// How the launching command ended, in words, and how the run did if the host knows nothing of it.
    ended: Option<(String, Timestamp, Option<Ending>)>,
    calling: Option<OpenCall>,
    /// A signal that the host is still to get.
    order: Option<HostCall>,
    /// When the host is called next, and the pause after that.
    next: Instant,
    pause: Duration,
    /// How often it was told to end.
    stop_requests: u32,
    kill_at: Option<Instant>,
    /// The host is asked before it gets the order again.
    asks_first: bool,
    is_lost: bool,
    /// The host did not answer the last time.
    is_silent: bool,
    /// How often the host said that it is still there.
    still_there: u32,
}

impl<'a> Follower<'a> {
    /// `launcher` leads the process group of the launching command, if that lives and is among the children.
    pub(super) fn new(
        task: &'a RunnerTask,
        remote: &'a RemoteCommands,
        children: Children<Process>,
        launcher: Option<Pid>,
    ) -> Self {
        let mut follower = Self {
            task,
            remote,
            children,
            launcher,
            ended: None,
            calling: None,
            order: None,
            next: Instant::now(),
            pause: FIRST_PAUSE,
            stop_requests: 0,
            kill_at: None,
            asks_first: false,
            is_lost: false,
            is_silent: false,
            still_there: 0,
        };
        if launcher.is_none() {
            follower.ended =
                Some(("its runner and its launching command are dead".to_owned(), Timestamp::now(), None));
        }
        follower
    }

    /// Follows it to its end.
    pub(super) fn see_to_end(mut self, signals: &mut Signals) -> io::Result<Ending> {
        // Told under the runner before.
        if let Some(ago) = self.task.folder.time_since_stop_request().filter(|_| self.task.is_adoption) {
            self.request_stop(self.task.grace.saturating_sub(ago));
        }
        loop {
            for (process, ending) in self.children.reap()? {
                let end = match process {
                    Process::Worker => self.launcher_ended(&ending),
                    Process::Call => self.called(&ending)?,
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
                self.order(HostCall::Kill);
            }
            if let Some(end) = self.reported().or_else(|| self.call()) {
                return Ok(end);
            }
            self.wait(signals)?;
        }
    }

    /// The first time it is to end within the grace; after that at once.
    fn request_stop(&mut self, grace: Duration) {
        self.stop_requests += 1;
        if self.stop_requests == 1 {
            self.kill_at = Instant::now().checked_add(grace);
            self.order(HostCall::Terminate);
        } else {
            self.kill_at = Some(Instant::now());
        }
    }

    fn order(&mut self, order: HostCall) {
        let command = if order == HostCall::Kill { &self.remote.kill } else { &self.remote.terminate };
        if command.is_some() {
            self.order = Some(order);
            self.next = Instant::now();
            self.pause = FIRST_PAUSE;
        } else {
            self.signal_launcher(if order == HostCall::Kill { Kill::KILL } else { Kill::TERM });
        }
    }

    fn signal_launcher(&self, signal: Kill) {
        // It is not reaped yet, so the number is still that of its group.
        if let Some(group) = self.launcher {
            let _ = kill_process_group(group, signal);
        }
    }

    fn launcher_ended(&mut self, ending: &Ending) -> Option<Ending> {
        self.launcher = None;
        // What cannot be read may be anything.
        let (head, tail, is_whole) = self.output().unwrap_or_default();
        let output = LauncherOutput { head: &head, tail: &tail, is_whole };
        match verdict(self.remote, ending, &output) {
            Verdict::Ended(ending) => return Some(ending),
            Verdict::NotStarted(why) => return Some(Ending::NotStarted(why)),
            Verdict::Ask { if_gone } => {
                let program = self.task.argv.first().map(|word| word.to_string_lossy().into_owned());
                let program = program.unwrap_or_else(|| "its launching command".to_owned());
                let why = match ending {
                    Ending::Unknown => format!("{program} ended"),
                    ending => format!("{program} {ending}"),
                };
                self.ended = Some((why, Timestamp::now(), if_gone));
            }
        }
        self.next = Instant::now();
        self.pause = FIRST_PAUSE;
        None
    }

    /// The begin and the end of the output, where the launching command's own words are, and whether that is all.
    fn output(&self) -> io::Result<(String, String, bool)> {
        let mut file = File::open(self.task.folder.output_log())?;
        let begin = text((&file).take(OUTPUT_BEGIN))?;
        let before = file.metadata()?.len().saturating_sub(OUTPUT_END);
        file.seek(io::SeekFrom::Start(before))?;
        Ok((begin, text(file)?, before == 0))
    }

    /// A call has ended; how the run did, if that is known now.
    fn called(&mut self, ending: &Ending) -> io::Result<Option<Ending>> {
        let Some(OpenCall { call, mut output, mut errors, .. }) = self.calling.take() else {
            return Ok(None);
        };
        output.rewind()?;
        errors.rewind()?;
        let said = answer(self.remote, ending, &text(output)?, &text(errors)?);
        self.call_later();
        // An order may fail because there is nobody to take it.
        self.asks_first = call != HostCall::Ask;
        if call == HostCall::Kill {
            self.signal_launcher(Kill::KILL);
        }
        if call != HostCall::Ask && !matches!(said, HostAnswer::NoAnswer(_)) {
            // What it did shows when the host is asked.
            if self.order == Some(call) {
                self.order = None;
            }
            return Ok(None);
        }
        Ok(self.heard(call, said))
    }

    fn call_later(&mut self) {
        self.next = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// What follows from an answer.
    fn heard(&mut self, call: HostCall, said: HostAnswer) -> Option<Ending> {
        let (why, since, if_gone) = self.ended.clone()?;
        let host = &self.remote.host;
        let (is_there, said) = match said {
            HostAnswer::Gone(Some(ending)) => return Some(ending),
            HostAnswer::Gone(None) => {
                let lost = || {
                    Ending::OnHost(format!(
                        "contact with {host} was lost ({why}), and nothing of it is there any more"
                    ))
                };
                return Some(if_gone.unwrap_or_else(lost));
            }
            HostAnswer::Present(said) => (true, said),
            HostAnswer::NoAnswer(said) => (false, said),
        };
        if self.stop_requests > 1 && !is_there && call == HostCall::Ask {
            return Some(Ending::OnHost(format!(
                "it was told to end twice, and {host} does not answer ({said}); it may still run there"
            )));
        }
        if self.stop_requests > 0 && is_there && self.kill_at.is_none() && self.order.is_none() {
            // It outlived the order, or came to life after it.
            self.order = self.remote.kill.as_ref().map(|_| HostCall::Kill);
        }
        self.is_silent = !is_there;
        self.still_there += u32::from(is_there);
        if if_gone.is_some() && is_there && self.still_there < STRAGGLING {
            return None;
        }
        let contact = LostContact {
            host: host.clone(),
            since,
            reason: why,
            asked_at: Timestamp::now(),
            is_running: is_there,
            answer: said,
        };
        self.task.folder.write_lost_contact(&contact);
        if !self.is_lost {
            self.is_lost = true;
            complain(&format!("run {}: {contact}", self.task.run));
            self.note(&contact);
        }
        None
    }

    /// A line for those who read the run's output.
    fn note(&self, contact: &LostContact) {
        let log = File::options().append(true).open(self.task.folder.output_log());
        let _ = log.and_then(|mut log| writeln!(log, "nowcast runner: {contact}"));
    }

    /// Of a host that does not answer, nothing more is asked once the worker has reported.
    fn reported(&self) -> Option<Ending> {
        if !self.is_silent || self.stop_requests > 0 || !self.task.folder.is_reported() {
            return None;
        }
        let host = &self.remote.host;
        Some(Ending::OnHost(format!("contact with {host} was lost, and the worker has reported")))
    }

    /// Calls the host if it is time to; how the run ended, if an operator does not want to wait for its answer.
    fn call(&mut self) -> Option<Ending> {
        let now = Instant::now();
        if let Some(calling) = &self.calling {
            if calling.until <= now {
                self.children.signal(&Process::Call, Kill::KILL);
            }
            return None;
        }
        let ask = self.ended.as_ref().map(|_| HostCall::Ask);
        let wanted = if self.asks_first { ask.or(self.order) } else { self.order.or(ask) };
        let call = wanted.filter(|_| self.next <= now)?;
        match self.begin(call) {
            Ok(calling) => self.calling = Some(calling),
            Err(error) => {
                self.call_later();
                return self.heard(call, HostAnswer::NoAnswer(error.to_string()));
            }
        }
        None
    }

    fn begin(&mut self, call: HostCall) -> io::Result<OpenCall> {
        let command = match call {
            HostCall::Ask => &self.remote.ask,
            HostCall::Terminate => &self.remote.terminate,
            HostCall::Kill => &self.remote.kill,
        };
        let command = command.as_deref().unwrap_or_default();
        let (output, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let (to_output, to_errors) = (Stdio::from(output.try_clone()?), Stdio::from(errors.try_clone()?));
        let mark = [(RUN_MARK.to_owned(), self.task.run_mark().into())];
        self.children.start_writing_to(Process::Call, command, &mark, to_output, to_errors)?;
        Ok(OpenCall { call, output, errors, until: Instant::now() + PATIENCE })
    }

    fn wait(&self, signals: &Signals) -> io::Result<()> {
        let is_next = self.calling.is_none() && (self.order.is_some() || self.ended.is_some());
        let next = Some(self.next).filter(|_| is_next);
        let given_up = self.calling.as_ref().map(|calling| calling.until);
        let until = [self.kill_at, next, given_up].into_iter().flatten().min();
        task::wait(&self.children, signals, until)
    }
}

fn text(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(OUTPUT_END).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
