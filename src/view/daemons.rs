//! [`Daemons`]: whether the daemons run and respond. This module never starts one.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::broker::noted_state;
use crate::config::Config;
use crate::control::call::{self, HEALTH_TIMEOUT, Service};
use crate::net::broker_state::{BrokerState, RefusedManager, Shortage};
use crate::process::machine;
use crate::store::{Presence, RenamedJournal, journal};
use crate::supervise::RunningUp;
use crate::{log_aggregator, scheduler};

/// The time limit for the broker to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    /// It responds.
    Running,
    /// It runs, but does not respond.
    NotResponding,
    /// It does not run.
    NotRunning,
    /// Another program is connected to the broker in its place.
    Replaced,
    /// It works, but takes no more connections.
    Limited,
}

/// A daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaemonView {
    /// Its name, which is also the command that starts it, such as `log-aggregator`.
    pub name: &'static str,
    pub state: DaemonState,
    /// The reason for a state other than `Running`.
    pub reason: Option<String>,
}

impl DaemonView {
    fn new(name: &'static str, state: DaemonState, reason: impl Into<String>) -> Self {
        Self { name, state, reason: Some(reason.into()) }
    }

    fn running(name: &'static str) -> Self {
        Self { name, state: DaemonState::Running, reason: None }
    }

    /// Return whether it, or another program in its place, does its work.
    pub fn is_up(&self) -> bool {
        matches!(self.state, DaemonState::Running | DaemonState::Replaced | DaemonState::Limited)
    }
}

/// Whether `nowcast up` starts the daemons of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpState {
    /// It runs, and starts them again.
    Runs,
    /// It has ended.
    Ended { is_detached: bool },
    /// Supervisor, systemd or an operator starts them.
    Unused,
}

/// The daemons that the configuration requires.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Daemons {
    pub all: Vec<DaemonView>,
    /// The reason why the manager is stalled, if it is.
    #[serde(skip)]
    pub stalled: Option<String>,
    /// A second manager that the broker refuses.
    #[serde(skip)]
    pub refused: Option<RefusedManager>,
    /// Whether `nowcast up` starts them.
    #[serde(skip)]
    pub up_state: UpState,
    /// How the manager's version differs from that of this program.
    #[serde(skip)]
    pub other_version: Option<String>,
}

impl Daemons {
    pub fn gather(config: &Config) -> Self {
        let folder = &config.journal.folder;
        let state = noted_state(folder).unwrap_or_default();
        let (service, other_version) = call::service(folder);
        let (manager, stalled) = manager(service, config, &state);
        let announced = |name: &str, command: &'static str, otherwise: &str| {
            if Presence::is_announced(name, folder) {
                DaemonView::running(command)
            } else {
                DaemonView::new(command, DaemonState::NotRunning, otherwise)
            }
        };
        // Else the refused manager is ours, or none of ours runs.
        let is_connected = manager.state == DaemonState::Running && other_manager(folder, &state).is_none();
        let refused = state.refused.filter(|_| is_connected);
        let mut all = vec![broker(config, state.shortage), manager];
        if config.aggregates_logs() {
            let otherwise = "it is not running: published log messages are not written";
            all.push(announced(log_aggregator::NAME, "log-aggregator", otherwise));
        }
        if !config.scheduled.is_empty() {
            let otherwise = "it is not running: scheduled workers are not launched";
            all.push(announced(scheduler::NAME, "scheduler", otherwise));
        }
        let up_state = match RunningUp::find(folder) {
            Some(_) => UpState::Runs,
            None => RunningUp::noted(folder).map_or(UpState::Unused, |previous| UpState::Ended {
                is_detached: previous.output.is_some(),
            }),
        };
        Self { all, stalled, refused, up_state, other_version }
    }

    /// Return the number of daemons that are up.
    pub fn up(&self) -> usize {
        self.all.iter().filter(|daemon| daemon.is_up()).count()
    }

    /// Return whether a daemon does not run.
    pub fn is_one_missing(&self) -> bool {
        self.all.iter().any(|daemon| daemon.state == DaemonState::NotRunning)
    }
}

/// Return the manager, and the reason if it is stalled.
fn manager(service: Service, config: &Config, broker: &BrokerState) -> (DaemonView, Option<String>) {
    const NAME: &str = "manager";
    let folder = &config.journal.folder;
    let replaced = |why: String| DaemonView::new(NAME, DaemonState::Replaced, why);
    match service {
        Service::Running => (DaemonView::running(NAME), None),
        Service::Refused(why) => (replaced(why), None),
        Service::Paused(why) => (DaemonView::running(NAME), Some(why)),
        Service::Unresponsive => {
            let why = silent("it is stopped, or busy with a long batch");
            (DaemonView::new(NAME, DaemonState::NotResponding, why), None)
        }
        Service::NotRunning => match (unreachable_manager(folder), other_manager(folder, broker)) {
            (Some(why), _) => (DaemonView::new(NAME, DaemonState::NotResponding, why), None),
            (None, Some(other)) => {
                let why = format!(
                    "{other} is connected to the broker and decides the messages; its runs are not in this journal"
                );
                (replaced(why), None)
            }
            (None, None) => {
                let why = "it is not running: nothing is decided or launched";
                (DaemonView::new(NAME, DaemonState::NotRunning, why), None)
            }
        },
    }
}

/// Return the manager that is connected to the broker, unless it is the one that has the journal.
fn other_manager(folder: &Path, broker: &BrokerState) -> Option<String> {
    if !broker.connected {
        return None;
    }
    let Some(manager) = &broker.manager else { return Some("another manager".to_owned()) };
    let has_journal =
        journal::holder(folder) == Some(u64::from(manager.process)) && manager.host == machine();
    (!has_journal).then(|| format!("another manager ({manager})"))
}

/// Return the reason why a running manager cannot be reached at its control socket; `None` if none runs.
pub fn unreachable_manager(folder: &Path) -> Option<String> {
    if let Some(process) = journal::holder(folder) {
        return Some(format!(
            "the manager (process {process}) has the journal, but its control socket is missing. It makes a new one within a \
             second, unless it is starting or stuck; see its log"
        ));
    }
    RenamedJournal::read(folder).map(|renamed| renamed.describe())
}

fn silent(why: &str) -> String {
    format!("it did not respond for {} s: {why}", HEALTH_TIMEOUT.as_secs())
}

/// Return the broker. A broker greets each connection; a stopped one does not, although the operating system accepts
/// it.
fn broker(config: &Config, shortage: Option<Shortage>) -> DaemonView {
    const NAME: &str = "broker";
    if let Some(shortage) = shortage {
        return DaemonView::new(NAME, DaemonState::Limited, shortage.reason);
    }
    let address = (config.zmq.host.as_str(), config.zmq.workers_port);
    let addresses = address.to_socket_addrs().into_iter().flatten();
    let connect = |address: SocketAddr| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok();
    let Some(mut stream) = addresses.into_iter().find_map(connect) else {
        let why = format!("it is not running: nothing listens on {} port {}", address.0, address.1);
        return DaemonView::new(NAME, DaemonState::NotRunning, why);
    };
    let greeted = stream.set_read_timeout(Some(HEALTH_TIMEOUT)).and_then(|()| stream.read_exact(&mut [0]));
    if greeted.is_ok() {
        return DaemonView::running(NAME);
    }
    let why = silent("it is stopped, or something else has its port");
    DaemonView::new(NAME, DaemonState::NotResponding, why)
}
