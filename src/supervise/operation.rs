//! Operators' commands to `nowcast up`: restart and reload, which take some turns of its loop, and shutdown. They never signal a worker.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal as UnixSignal;

use super::only_one::RunningUp;
use super::reports::Reports;
use super::request::{DaemonResult, UpAnswer, UpCommand};
use super::{Daemon, GRACE, Supervised, Supervisor};
use crate::control::{Call, Control, Listener};
use crate::private_folder::{self, OTHERS_WRITE};
use crate::service_manager::ReloadResult;
use crate::store::Presence;
use nowcast_core::{CallId, Ending};
use pylogging::Logger;

/// The time limit for a daemon to be ready after its restart.
pub const READY_AGAIN: Duration = Duration::from_secs(60);

/// The time limit for a daemon to reload.
pub const RELOADED: Duration = Duration::from_secs(30);

/// Where operators and daemons reach the one `nowcast up` of a journal.
#[derive(Debug)]
pub struct UpAccess {
    journal: PathBuf,
    pub(super) control: Control,
    _only_one: Presence,
}

impl UpAccess {
    /// Make this process the one of the journal, or return the one that runs already.
    ///
    /// # Errors
    /// The journal's folder cannot be made, or not written.
    pub fn open(
        journal: &Path,
        output: Option<PathBuf>,
        log: &Logger,
    ) -> io::Result<Result<Self, RunningUp>> {
        private_folder::make_or_repair(journal, OTHERS_WRITE, log)?;
        let only_one = match RunningUp::announce(journal, output)? {
            Ok(only_one) => only_one,
            Err(other) => return Ok(Err(other)),
        };
        let control = Control::bind(journal, Listener::Up)?;
        Ok(Ok(Self { journal: journal.to_owned(), control, _only_one: only_one }))
    }

    pub(super) fn reports_of(&self, daemon: &Daemon) -> io::Result<Reports> {
        Reports::bind(&self.journal, daemon.command)
    }
}

/// A command that is under way; there is one at most.
pub(super) enum Operation {
    Restart(RestartOperation),
    Reload(ReloadOperation),
}

pub(super) struct RestartOperation {
    call: CallId,
    /// The daemon that is restarted, and those after it.
    left: VecDeque<usize>,
    step: RestartStep,
    results: Vec<(usize, DaemonOutcome)>,
}

enum RestartStep {
    Stopping { kill_at: Instant },
    Starting { until: Instant },
}

pub(super) struct ReloadOperation {
    call: CallId,
    awaited: BTreeSet<usize>,
    until: Instant,
    results: Vec<(usize, DaemonOutcome)>,
}

/// Whether it was done, and the result in words.
type DaemonOutcome = (bool, String);

impl Operation {
    /// When it must go on, if nothing happens before.
    pub(super) fn due(&self) -> Instant {
        match self {
            Self::Restart(RestartOperation {
                step: RestartStep::Stopping { kill_at: due } | RestartStep::Starting { until: due },
                ..
            })
            | Self::Reload(ReloadOperation { until: due, .. }) => *due,
        }
    }

    /// A daemon reported the result of its reload.
    pub(super) fn reloaded(&mut self, daemon: usize, result: &ReloadResult) {
        if let Self::Reload(reload) = self
            && reload.awaited.remove(&daemon)
        {
            reload.results.push((daemon, (result.done, result.text.clone())));
        }
    }

    /// A daemon exited. Return whether that was requested, and it is to be started at once.
    pub(super) fn exited(&mut self, daemon: usize, ending: &Ending) -> bool {
        match self {
            Self::Reload(reload) => {
                if reload.awaited.remove(&daemon) {
                    reload.results.push((daemon, (false, format!("{ending} while it reloaded"))));
                }
                false
            }
            Self::Restart(restart) if restart.left.front() == Some(&daemon) => match restart.step {
                RestartStep::Stopping { .. } => {
                    restart.step = RestartStep::Starting { until: Instant::now() + READY_AGAIN };
                    true
                }
                RestartStep::Starting { .. } => {
                    let text =
                        format!("{ending} before it was ready, and is started again; its log says why");
                    restart.results.push((daemon, (false, text)));
                    restart.left.clear();
                    false
                }
            },
            Self::Restart(_) => false,
        }
    }
}

impl Supervisor {
    /// Take the requests that have come. Return the call that requests a shutdown.
    pub(super) fn receive_requests(&mut self) -> Option<CallId> {
        let calls: Vec<(CallId, Call<UpCommand>)> =
            self.access.as_mut().map(|access| access.control.receive()).unwrap_or_default();
        for (call, Call { user, command }) in calls {
            let refused = match command {
                None => {
                    self.answer(call, &self.health());
                    continue;
                }
                Some(UpCommand::Shutdown) => {
                    self.log.info(format_args!("shutdown requested by {user}"));
                    return Some(call);
                }
                Some(_) if self.operation.is_some() => {
                    Err("another restart or reload is under way; try again when it has ended".to_owned())
                }
                Some(UpCommand::Restart { daemons }) => self.begin_restart(call, &daemons, &user),
                Some(UpCommand::Reload) => {
                    self.log.info(format_args!("reload requested by {user}"));
                    self.begin_reload(call);
                    Ok(())
                }
            };
            if let Err(why) = refused {
                self.answer(call, &UpAnswer::refused(why));
            }
        }
        None
    }

    fn health(&self) -> UpAnswer {
        let word = |supervised: &Supervised| if supervised.is_ready { "ready" } else { "not ready" };
        let daemons = self.daemons.iter().map(|supervised| {
            let text = word(supervised).to_owned();
            supervised.result((supervised.is_ready, text))
        });
        let daemons: Vec<DaemonResult> = daemons.collect();
        let done = daemons.iter().all(|daemon| daemon.done);
        UpAnswer { done, text: if done { "all daemons are ready" } else { "starting" }.to_owned(), daemons }
    }

    fn begin_restart(&mut self, call: CallId, names: &[String], user: &str) -> Result<(), String> {
        let commands: Vec<&str> = self.daemons.iter().map(|supervised| supervised.daemon.command).collect();
        if let Some(name) = names.iter().find(|name| !commands.contains(&name.as_str())) {
            return Err(format!("this system has no daemon {name:?}, but: {}", commands.join(", ")));
        }
        let is_named = |command: &str| names.is_empty() || names.iter().any(|name| name == command);
        let left: VecDeque<usize> = (0..commands.len()).filter(|index| is_named(commands[*index])).collect();
        if let Some(last) =
            left.iter().map(|index| &self.daemons[*index].daemon).find(|daemon| daemon.is_last)
        {
            return Err(format!(
                "the system was started with --exit-when-idle, so it would end with the {}; nothing was restarted",
                last.command
            ));
        }
        let named: Vec<&str> = left.iter().map(|index| commands[*index]).collect();
        self.log.info(format_args!("restart requested by {user}: {}", named.join(", ")));
        let step = self.begin_restart_of(left[0]);
        self.operation = Some(Operation::Restart(RestartOperation { call, left, step, results: Vec::new() }));
        Ok(())
    }

    fn begin_restart_of(&mut self, index: usize) -> RestartStep {
        let now = Instant::now();
        if self.processes.contains(&index) {
            self.processes.signal(&index, UnixSignal::TERM);
            return RestartStep::Stopping { kill_at: now + GRACE };
        }
        self.daemons[index].start_at = Some(now);
        RestartStep::Starting { until: now + READY_AGAIN }
    }

    fn begin_reload(&mut self, call: CallId) {
        let (awaited, starting): (BTreeSet<usize>, BTreeSet<usize>) =
            (0..self.daemons.len()).partition(|index| self.daemons[*index].is_ready);
        let text = "is starting, and reads the configuration then";
        let results = starting.into_iter().map(|index| (index, (true, text.to_owned()))).collect();
        for index in &awaited {
            self.processes.signal(index, UnixSignal::HUP);
        }
        let until = Instant::now() + RELOADED;
        self.operation = Some(Operation::Reload(ReloadOperation { call, awaited, until, results }));
    }

    /// Go on with the command that is under way, and answer it if it has ended.
    pub(super) fn continue_operation(&mut self) {
        let ended = match self.operation.take() {
            None => return,
            Some(Operation::Restart(restart)) => self.continue_restart(restart),
            Some(Operation::Reload(reload)) => self.continue_reload(reload),
        };
        let Some((call, mut results)) = ended else { return };
        results.sort_by_key(|(index, _)| *index);
        let done = results.iter().all(|(_, (done, _))| *done);
        let result = |(index, outcome): (usize, DaemonOutcome)| self.daemons[index].result(outcome);
        let daemons = results.into_iter().map(result).collect();
        self.answer(call, &UpAnswer { done, text: String::new(), daemons });
    }

    fn continue_restart(
        &mut self,
        mut restart: RestartOperation,
    ) -> Option<(CallId, Vec<(usize, DaemonOutcome)>)> {
        let Some(&index) = restart.left.front() else { return Some((restart.call, restart.results)) };
        let now = Instant::now();
        match &mut restart.step {
            RestartStep::Stopping { kill_at } if *kill_at <= now => {
                self.processes.signal(&index, UnixSignal::KILL);
                *kill_at = now + GRACE;
            }
            RestartStep::Starting { .. } if self.daemons[index].is_ready => {
                restart.results.push((index, (true, "restarted".to_owned())));
                restart.left.pop_front();
                match restart.left.front() {
                    Some(next) => restart.step = self.begin_restart_of(*next),
                    None => return Some((restart.call, restart.results)),
                }
            }
            RestartStep::Starting { until } if *until <= now => {
                let seconds = READY_AGAIN.as_secs();
                let text = format!("started again, but not ready within {seconds} s; its log says why");
                restart.results.push((index, (false, text)));
                return Some((restart.call, restart.results));
            }
            _ => {}
        }
        self.operation = Some(Operation::Restart(restart));
        None
    }

    fn continue_reload(
        &mut self,
        mut reload: ReloadOperation,
    ) -> Option<(CallId, Vec<(usize, DaemonOutcome)>)> {
        if Instant::now() >= reload.until {
            let text = format!("no result within {} s; its log says why", RELOADED.as_secs());
            let late = std::mem::take(&mut reload.awaited).into_iter();
            reload.results.extend(late.map(|index| (index, (false, text.clone()))));
        }
        if reload.awaited.is_empty() {
            return Some((reload.call, reload.results));
        }
        self.operation = Some(Operation::Reload(reload));
        None
    }

    /// Answer the call that has requested a shutdown.
    pub(super) fn answer_stopped(&mut self, call: CallId) {
        let stopped = |supervised: &Supervised| supervised.result((true, "stopped".to_owned()));
        let daemons = self.daemons.iter().map(stopped).collect();
        self.answer(call, &UpAnswer { done: true, text: String::new(), daemons });
    }

    fn answer(&mut self, call: CallId, answer: &UpAnswer) {
        if let Some(access) = &mut self.access {
            access.control.send(call, answer);
        }
    }
}

impl Supervised {
    fn result(&self, (done, text): DaemonOutcome) -> DaemonResult {
        let process = self.process.map(|process| process.as_raw_nonzero().get());
        DaemonResult { name: self.daemon.command.to_owned(), process, done, text }
    }
}
