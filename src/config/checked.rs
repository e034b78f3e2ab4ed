//! The configuration that the rest of the program sees: complete and consistent.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::notify::Notifications;
use super::scheduled::ScheduledWorker;
use nowcast_core::{Expectation, Limits, Policy, RegisteredWorker};
use pyyaml::Value;

/// A checked `nowcast.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file as it was named on the command line, since that is what NEMO_Nowcast's log shows and
    /// what launched workers are given.
    pub file: PathBuf,
    /// The folder of the log files if the configuration asks for `NOWCAST_LOGS` and that is not set.
    pub default_log_folder: Option<PathBuf>,
    /// The whole document with environment variables replaced: what the rules see.
    pub value: Value,
    /// `checklist file`
    pub checklist_file: PathBuf,
    /// `python`: the interpreter that runs workers written in Python.
    pub python: Option<String>,
    /// `zmq`
    pub zmq: Zmq,
    /// `zmq: ports: logging`
    pub log_ports: LogPorts,
    /// `broker: redeliver`: whether requests that a manager left unanswered are sent again to the next.
    pub redeliver: bool,
    /// `message registry`
    pub registry: Registry,
    /// `workers`
    pub workers: IndexMap<String, WorkerSettings>,
    /// `scheduled workers`
    pub scheduled: Vec<ScheduledWorker>,
    /// `journal`
    pub journal: JournalSettings,
    /// `slack notifications` and `notifications`
    pub notifications: Notifications,
    /// `expect`
    pub expect: Vec<Expectation>,
    /// `run: enabled hosts` and `hosts`
    pub hosts: IndexMap<String, Host>,
    /// `logging`, a Python logging dictionary.
    pub logging: Value,
}

impl Config {
    /// The part that decisions depend on.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let channels = self.notifications.slack.iter().flat_map(|slack| &slack.channels);
        let unset = channels.filter(|channel| channel.url.is_none());
        Policy {
            config: self.value.clone(),
            registered: self.registry.workers.clone(),
            limits: self.workers.iter().map(|(name, worker)| (name.clone(), worker.limits)).collect(),
            hosts: self.hosts.keys().cloned().collect(),
            expectations: self.expect.clone(),
            has_notification_targets: !self.notifications.is_empty(),
            unset_slack_variables: unset.map(|channel| channel.variable.clone()).collect(),
        }
    }

    /// Make the folder of the log files if it is the default one, which no operator makes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_default_log_folder(&self) -> std::io::Result<()> {
        let Some(folder) = &self.default_log_folder else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|error| {
            std::io::Error::new(error.kind(), format!("cannot make the folder {}: {error}", folder.display()))
        })
    }

    /// Whether log messages are published, and an aggregator writes them down.
    #[must_use]
    pub fn aggregates_logs(&self) -> bool {
        has_logging_part(&self.logging, "aggregator")
    }
}

impl Config {
    /// The addresses that a daemon of that name can publish on, as ZeroMQ binds them.
    #[must_use]
    pub fn log_addresses_of_daemon(&self, name: &str) -> Vec<String> {
        self.log_addresses(self.log_ports.get(name))
    }

    /// Those of a worker: its own ones, or those that all others share.
    #[must_use]
    pub fn log_addresses_of_worker(&self, name: &str) -> Vec<String> {
        self.log_addresses(self.log_ports.get(name).or_else(|| self.log_ports.get(POOL)))
    }

    /// A plain number is bound where the broker's ports are. An aggregator on another host comes to a port with a
    /// host, so that one is bound on all interfaces.
    fn log_addresses(&self, ports: Option<&Vec<LogPort>>) -> Vec<String> {
        let mut addresses = Vec::new();
        for LogPort { host, port } in ports.into_iter().flatten() {
            let address = if host.is_some() { "*" } else { self.zmq.bind_address() };
            let address = format!("tcp://{address}:{port}");
            // The same worker on several hosts has the same port on each.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// Whether the section `logging` has that part.
pub(super) fn has_logging_part(logging: &Value, part: &str) -> bool {
    logging.get(part).is_some_and(|part| !part.is_null())
}

/// Where the messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zmq {
    /// The broker's host, to which manager and workers connect.
    pub host: String,
    /// The address that the broker binds to, where the configuration gives one.
    pub bind: Option<String>,
    /// The broker's port for the manager.
    pub manager_port: u16,
    /// The broker's port for workers.
    pub workers_port: u16,
}

impl Zmq {
    /// The address that the broker binds to: loopback when `host` is loopback, so that a laptop's
    /// system is not open to the network; all interfaces otherwise; `zmq: bind` wins.
    #[must_use]
    pub fn bind_address(&self) -> &str {
        match &self.bind {
            Some(address) => address,
            None if self.host == "localhost" => "127.0.0.1",
            None if self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback()) => &self.host,
            None => "*",
        }
    }
}

/// The ports that workers without one of their own share.
pub(super) const POOL: &str = "workers";

/// A port on which a program publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPort {
    /// The host on which the program runs; without one, `zmq: host`.
    pub host: Option<String>,
    /// Its number there.
    pub port: u16,
}

/// Who publishes where, in the order of the file; empty where none does.
pub type LogPorts = IndexMap<String, Vec<LogPort>>;

/// `message registry`: who may say what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// The manager's message types and their meaning.
    pub manager: IndexMap<String, String>,
    /// `next workers module`: the name of the rules.
    pub next_workers_module: String,
    /// `workers package`: what the rules' `worker("name")` puts in front of a name.
    pub workers_package: Option<String>,
    /// Every worker that may send messages.
    pub workers: IndexMap<String, RegisteredWorker>,
}

/// `workers: NAME`: how a worker is run. What a rule says of one launch goes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerSettings {
    /// `command`: the program that is the worker, its arguments after it. `{config}`, `{folder}` (the
    /// configuration file's), `{worker}` and `{run}` are replaced.
    pub command: Option<Vec<String>>,
    /// `exec`: a program that knows nothing of nowcast; `nowcast exec` reports for it. Its words are replaced as
    /// those of `command` are.
    pub exec: Option<Vec<String>>,
    /// `failure status`: exit statuses of `exec` that are a failure and no crash.
    pub failure_status: Vec<i32>,
    /// `max running`, `timeout`, `retries`, `retry delay`
    pub limits: Limits,
}

/// `journal`: where the manager keeps what happened, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// `folder`: the journal, the workers' output and the control socket are in it. Without it, the
    /// checklist file's name with `.journal` in the place of its extension.
    pub folder: PathBuf,
    /// `keep`: what is older is removed; nothing is without it.
    pub keep: Option<SignedDuration>,
}

impl JournalSettings {
    /// The folder of the runs, each with its output and how it ended.
    #[must_use]
    pub fn runs_folder(&self) -> PathBuf {
        self.folder.join("runs")
    }
}

/// `run: enabled hosts: HOST` and `hosts: HOST`. ssh needs all of the first three to launch a worker there, but
/// only then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// A file of the host's that its shell sources first.
    pub envvars: Option<String>,
    /// The host's Python interpreter.
    pub python: Option<String>,
    /// The configuration file's path on the host.
    pub config_file: Option<String>,
    /// How workers are launched there.
    pub launcher: Launcher,
}

/// `hosts: HOST`: how workers are launched there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Launcher {
    /// By ssh, with NEMO_Nowcast's command line.
    #[default]
    Ssh,
    /// As a job of Slurm's.
    Slurm(SlurmSettings),
    /// By commands of the user's own.
    Template(TemplateSettings),
}

/// `launcher: slurm`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlurmSettings {
    /// `submit host`: where `sbatch` is called, by ssh; `None` for this machine.
    pub submit_host: Option<String>,
    /// `options`: more words for `sbatch`.
    pub options: Vec<String>,
}

/// Commands of the user's own, with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateSettings {
    /// `launch command`: runs the worker, and ends when it does.
    pub launch: Vec<String>,
    /// `kill command`: ends what was launched.
    pub kill: Option<Vec<String>>,
    /// `alive command`: with status 0 it says something if what was launched is there, and nothing if not. With
    /// another status it says nothing of that.
    pub alive: Option<Vec<String>>,
    /// `lost status`: with these, the launch command does not say how the worker ended.
    pub lost_status: Vec<i32>,
}
