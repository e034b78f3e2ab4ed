//! The configuration that the rest of the program uses: complete and consistent.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::default_settings::SettingPath;
use super::notify::Notifications;
use super::places::KeyPlaces;
use super::scheduled::ScheduledWorker;
use super::security::{AllowedNetworks, CurveSettings, Port, SecuritySettings};
use nowcast_core::{CyclesPolicy, Expectation, Limits, Policy, RegisteredWorker};
use pyyaml::Value;

/// A checked `nowcast.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file as named on the command line: NEMO_Nowcast's log shows it so, and launched workers receive it.
    pub file: PathBuf,
    /// The text of the file; with `include:`, the whole configuration as YAML.
    pub text: String,
    /// The place of each key.
    pub places: KeyPlaces,
    /// The paths of the settings that the file leaves out.
    pub defaulted: Vec<SettingPath>,
    /// The folder of the log files, if the configuration uses `NOWCAST_LOGS` and that is not set.
    pub default_log_folder: Option<PathBuf>,
    /// The whole document with environment variables replaced, as the rules see it.
    pub value: Value,
    /// `checklist file`
    pub checklist_file: PathBuf,
    /// `python`: the interpreter that runs workers written in Python.
    pub python: Option<String>,
    /// `zmq`
    pub zmq: Zmq,
    /// `zmq: ports: logging`
    pub log_ports: LogPorts,
    /// `broker: redeliver`: whether requests that a manager left unanswered are sent to the next one.
    pub redeliver: bool,
    /// `broker: managers`: whether several managers may share the messages.
    pub has_many_managers: bool,
    /// `security`
    pub security: SecuritySettings,
    /// `message registry`
    pub registry: Registry,
    /// `workers`
    pub workers: IndexMap<String, WorkerSettings>,
    /// `scheduled workers`
    pub scheduled: Vec<ScheduledWorker>,
    /// `cycles`
    pub cycles: CyclesPolicy,
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
    /// Return the settings that decisions depend on.
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
            cycles: self.cycles.clone(),
            has_notification_targets: !self.notifications.is_empty(),
            unset_slack_variables: unset.map(|channel| channel.variable.clone()).collect(),
        }
    }

    /// Create the folder of the log files if it is the default one, which no operator creates.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn make_default_log_folder(&self) -> std::io::Result<()> {
        let Some(folder) = &self.default_log_folder else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|error| {
            std::io::Error::new(error.kind(), format!("cannot make the folder {}: {error}", folder.display()))
        })
    }

    /// Return whether log messages are published and an aggregator writes them.
    #[must_use]
    pub fn aggregates_logs(&self) -> bool {
        has_logging_part(&self.logging, "aggregator")
    }
}

impl Config {
    /// Return the address on which a port is bound, as ZeroMQ writes it: that of `security: bind:`, or else the one for all ports.
    #[must_use]
    pub fn bind_address(&self, port: Port) -> &str {
        self.security.bind.get(port).map_or_else(|| self.zmq.bind_address(), String::as_str)
    }

    /// Return the kinds of ports to which other machines can connect without a key.
    #[must_use]
    pub fn open_ports(&self) -> Vec<Port> {
        let is_loopback = |address: &str| {
            address == "localhost" || address.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        };
        let log_ports = if has_logging_part(&self.logging, "publisher") {
            self.log_ports.values().flatten().collect()
        } else {
            Vec::new()
        };
        let is_bound_openly = |port: Port| match port {
            Port::Logging => log_ports.iter().any(|port| !is_loopback(self.log_bind_address(port))),
            Port::Manager | Port::Workers => !is_loopback(self.bind_address(port)),
        };
        let is_open = |port: &Port| {
            is_bound_openly(*port) && self.security.allowed(*port) != AllowedNetworks::ThisMachine
        };
        let ports = [Port::Workers, Port::Manager, Port::Logging].into_iter();
        ports.filter(|port| self.zmq.curve.is_none() && is_open(port)).collect()
    }

    /// Return the addresses on which the daemon `name` can publish, as ZeroMQ binds them.
    #[must_use]
    pub fn log_addresses_of_daemon(&self, name: &str) -> Vec<String> {
        self.log_addresses(self.log_ports.get(name))
    }

    /// Return the addresses on which a worker can publish: its own, or those that all other workers share.
    #[must_use]
    pub fn log_addresses_of_worker(&self, name: &str) -> Vec<String> {
        self.log_addresses(self.log_ports.get(name).or_else(|| self.log_ports.get(POOL)))
    }

    /// Return the address on which a log port is bound. A plain number is bound where the broker's ports are. An aggregator on another
    /// host connects to a port with a host, so that one is bound on all interfaces.
    fn log_bind_address(&self, port: &LogPort) -> &str {
        match self.security.bind.get(Port::Logging) {
            Some(address) => address,
            None if port.host.is_some() => "*",
            None => self.zmq.bind_address(),
        }
    }

    /// Return the addresses of ports.
    fn log_addresses(&self, ports: Option<&Vec<LogPort>>) -> Vec<String> {
        let mut addresses = Vec::new();
        for port in ports.into_iter().flatten() {
            let address = format!("tcp://{}:{}", self.log_bind_address(port), port.port);
            // A worker that runs on several hosts has the same port on each.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// Return whether the section `logging` has this part.
pub(super) fn has_logging_part(logging: &Value, part: &str) -> bool {
    logging.get(part).is_some_and(|part| !part.is_null())
}

/// How other programs reach the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zmq {
    /// The broker's host, to which manager and workers connect.
    pub host: String,
    /// The address that the broker binds to, if the configuration has one.
    pub bind: Option<String>,
    /// The broker's port for the manager.
    pub manager_port: u16,
    /// The broker's port for workers.
    pub workers_port: u16,
    /// `security: curve`: the keys of all connections.
    pub curve: Option<CurveSettings>,
    /// `security: limits: message size`: the most bytes of a worker's message.
    pub message_size: u32,
}

impl Zmq {
    /// Return the address that the broker binds to: `zmq: bind` if it is set; otherwise loopback if `host` is loopback,
    /// so that a system on a laptop is not open to the network, else all interfaces.
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

/// The key of the ports that workers without their own share.
pub(super) const POOL: &str = "workers";

/// A port on which a program publishes log messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPort {
    /// The host of the program; `None` for `zmq: host`.
    pub host: Option<String>,
    /// The port number.
    pub port: u16,
}

/// The ports of each program that publishes log messages, in the order of the file.
pub type LogPorts = IndexMap<String, Vec<LogPort>>;

/// `message registry`: the workers and the message types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// The manager's message types and their meaning.
    pub manager: IndexMap<String, String>,
    /// `next workers module`: the name of the rules.
    pub next_workers_module: String,
    /// `workers package`: the prefix that `worker("name")` in a rule adds to the name.
    pub workers_package: Option<String>,
    /// Every worker that may send messages.
    pub workers: IndexMap<String, RegisteredWorker>,
}

/// `workers: NAME`: how a worker is run. The options of a launch take precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerSettings {
    /// `command`: the worker's program and its arguments. `{config}`, `{folder}` (of the configuration file),
    /// `{worker}` and `{run}` are replaced.
    pub command: Option<Vec<String>>,
    /// `exec`: a program that knows nothing of nowcast, for which `nowcast exec` reports. Its placeholders are those of
    /// `command`.
    pub exec: Option<Vec<String>>,
    /// `failure status`: exit statuses of `exec` that mean a failure, not a crash.
    pub failure_status: Vec<i32>,
    /// `folder`, `umask`, `nice`, `memory limit`
    pub start: StartSettings,
    /// `environment`: additional variables, with the placeholders of `command`.
    pub environment: WorkerVariables,
    /// `max running`, `timeout`, `retries`, `retry delay`
    pub limits: Limits,
}

/// The settings with which a process is started. The JSON is an argument of the runner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSettings {
    /// `folder`: the working folder, with the placeholders of `command`. A relative one is below the folder of the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// `umask`: the permissions that new files do not get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// `nice`: the priority, from -20 (the highest) to 19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// `memory limit`: the most bytes of data of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
}

impl StartSettings {
    /// Return whether the process starts as its parent's other children do.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Environment variables with their values.
pub type WorkerVariables = Vec<(String, String)>;

/// `journal`: the place of the journal, and how long its entries are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// `folder`: holds the journal, the workers' output and the control socket. The default is the checklist file's
    /// name with the extension `.journal`.
    pub folder: PathBuf,
    /// `keep`: the age after which entries are removed, with their outputs; `None` keeps everything.
    pub keep: Option<SignedDuration>,
    /// `keep outputs`: the age after which the outputs of runs are removed; `None` keeps each as long as its entry.
    pub keep_outputs: Option<SignedDuration>,
}

impl JournalSettings {
    /// Return the folder of the runs, with the output and the ending of each.
    #[must_use]
    pub fn runs_folder(&self) -> PathBuf {
        self.folder.join("runs")
    }
}

/// `run: enabled hosts: HOST` and `hosts: HOST`. Only launches by ssh need the first three fields, and they need all of
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// A file on the host that its shell sources first.
    pub envvars: Option<String>,
    /// The host's Python interpreter.
    pub python: Option<String>,
    /// The configuration file's path on the host.
    pub config_file: Option<String>,
    /// How workers are launched on the host.
    pub launcher: Launcher,
}

/// `hosts: HOST`: the way to launch workers on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Launcher {
    /// By ssh, with NEMO_Nowcast's command line.
    #[default]
    Ssh,
    /// As a Slurm job.
    Slurm(SlurmSettings),
    /// By the user's own commands.
    Template(TemplateSettings),
}

/// `launcher: slurm`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlurmSettings {
    /// `submit host`: the host on which `sbatch` is called, by ssh; `None` for this machine.
    pub submit_host: Option<String>,
    /// `options`: additional arguments of `sbatch`.
    pub options: Vec<String>,
}

/// The user's own commands, with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateSettings {
    /// `launch command`: runs the worker, and exits when the worker does.
    pub launch: Vec<String>,
    /// `kill command`: stops the launched worker.
    pub kill: Option<Vec<String>>,
    /// `alive command`: exits with status 0 and prints something if the launched worker exists, and nothing if it does
    /// not. With another status, it is not known.
    pub alive: Option<Vec<String>>,
    /// `lost status`: exit statuses of the launch command that do not tell how the worker ended.
    pub lost_status: Vec<i32>,
}
