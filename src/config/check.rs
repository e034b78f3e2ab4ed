//! Checks the text of `nowcast.yaml` and builds a [`Config`]. It collects every problem and never stops at the first.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;

use super::checked::{Config, Host, Launcher, Registry, Zmq};
use super::default_settings::{self, CHECKLIST_KEY, SettingPath};
use super::defaults;
use super::environment::{self, Lookup};
use super::include::{self, MERGED_FROM, MergedConfig, ReadFile};
use super::places::KeyPlaces;
use super::problem::{ConfigError, Problem, Severity, as_text, key_of};
use super::raw::{RawManagers, RawRegistry, RawRun, RawZmq};
use super::regular::read_regular;
use super::security::WireLimits;
use super::words::reworded;
use error_text::closest;
use nowcast_core::RegisteredWorker;
use pyyaml::Value;

/// Read and check the configuration file, with the process's environment and the [`defaults`].
///
/// The problems of a usable configuration are mistakes, warnings and notes.
///
/// # Errors
/// When the file cannot be read, is not YAML, or has at least one error.
pub fn load(file: &Path) -> Result<(Config, Vec<Problem>), ConfigError> {
    let lookup = defaults::with_defaults(file);
    let needs_logs = Cell::new(false);
    let noting = |name: &str| {
        needs_logs.set(needs_logs.get() || name == defaults::LOGS);
        lookup(name)
    };
    let (mut config, problems) = load_with(file, &noting)?;
    let is_default = needs_logs.get() && std::env::var_os(defaults::LOGS).is_none();
    config.default_log_folder = lookup(defaults::LOGS).filter(|_| is_default).map(PathBuf::from);
    Ok((config, problems))
}

/// Read and check the configuration file. `lookup` returns the environment variables.
///
/// # Errors
/// As for [`load`].
pub fn load_with(file: &Path, lookup: Lookup) -> Result<(Config, Vec<Problem>), ConfigError> {
    let text = read_regular(file).map_err(|error| {
        let help = if error.kind() == std::io::ErrorKind::NotFound {
            "; go to its folder, or say where it is: -c CONFIG (a daemon takes CONFIG alone), or the environment variable \
             NOWCAST_YAML"
        } else {
            ""
        };
        Problem::of_file(file, None, format!("the configuration file cannot be read: {error}{help}"))
    })?;
    let read = parse(file, &text, lookup)?;
    // The manager's merged file for workers stands for the one that it names, as in the Python package.
    match read.0.value.get(MERGED_FROM).and_then(Value::as_str) {
        Some(origin) if Path::new(origin) != file => load_with(Path::new(origin), lookup),
        _ => Ok(read),
    }
}

/// Check the text of a configuration file, and the files that it includes. `lookup` returns the environment variables.
///
/// # Errors
/// As for [`load`].
pub fn parse(file: &Path, text: &[u8], lookup: Lookup) -> Result<(Config, Vec<Problem>), ConfigError> {
    parse_with(file, text, &read_regular, lookup)
}

/// Check the text of a configuration file. `read_file` reads the files that it includes.
///
/// # Errors
/// As for [`load`].
pub fn parse_with(
    file: &Path,
    text: &[u8],
    read_file: ReadFile,
    lookup: Lookup,
) -> Result<(Config, Vec<Problem>), ConfigError> {
    let MergedConfig { mut value, text, places, problems } = include::read(file, text, read_file)?;
    let defaulted = default_settings::add_to(&mut value);
    let mut check = ConfigCheck { file, places, defaulted, lookup, problems };
    let config = check.config(&value, text);
    check.problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    match config {
        Some(config) if check.problems.iter().all(|problem| problem.severity < Severity::Error) => {
            Ok((config, check.problems))
        }
        _ => Err(ConfigError { problems: check.problems }),
    }
}

/// A check in progress. Each method returns `None` after it has reported an error.
pub(super) struct ConfigCheck<'a> {
    file: &'a Path,
    pub(super) places: KeyPlaces,
    /// The paths of the settings that the file leaves out.
    defaulted: Vec<SettingPath>,
    lookup: Lookup<'a>,
    pub(super) problems: Vec<Problem>,
}

impl ConfigCheck<'_> {
    fn config(&mut self, value: &Value, text: String) -> Option<Config> {
        if value.as_map().is_none() {
            let text = format!("the file must hold a mapping of sections, but it holds {}", value.kind());
            self.report(Severity::Error, &[], text);
            return None;
        }
        self.repeated_keys();
        self.unknown_sections(value);
        let checklist_file = self.required_text(value, "checklist file").and_then(|text| {
            let text = self.replace_variables("checklist file", &text)?;
            Some(PathBuf::from(text))
        });
        let python = match value.get("python") {
            None => Some(None),
            Some(_) => self
                .required_text(value, "python")
                .and_then(|text| self.replace_variables("python", &text))
                .map(Some),
        };
        let zmq = self.zmq(value);
        let broker = self.broker(value);
        let security = self.security(value);
        let registry = self.registry(value);
        let workers = self.workers(value, registry.as_ref());
        let scheduled = self.scheduled_workers(value, registry.as_ref());
        let log_ports = self.log_ports(value, registry.as_ref());
        if let (Some(zmq), Some(ports)) = (&zmq, &log_ports) {
            self.check_log_ports(zmq, ports);
        }
        let notifications = self.notifications(value, registry.as_ref());
        let expect = self.expect(value, registry.as_ref());
        let hosts = self.hosts(value).and_then(|hosts| self.launchers(value, hosts));
        if let (Some(scheduled), Some(hosts)) = (&scheduled, &hosts) {
            self.check_scheduled_hosts(scheduled, hosts);
        }
        let logging = self
            .section(value, "logging")
            .map(|section| environment::replace_in_logging(section, self.lookup));
        // Without the workers, which have errors, the rest of the section is checked.
        let cycles = self.cycles(value, registry.as_ref(), workers.as_ref().unwrap_or(&IndexMap::new()));
        let (checklist_file, python, logging) = (checklist_file?, python?, logging?);
        let (security, curve) = security?;
        let (journal, broker) = (self.journal(value, &checklist_file), broker?);
        let substituted = substituted(value, &checklist_file, python.as_deref(), &logging);
        Some(Config {
            default_log_folder: None,
            file: self.file.to_owned(),
            text,
            places: self.places.clone(),
            defaulted: self.defaulted.clone(),
            value: substituted,
            checklist_file,
            python,
            zmq: Zmq { curve, message_size: security.limits.message_size, ..zmq? },
            log_ports: log_ports?,
            redeliver: broker.redeliver.unwrap_or(true),
            security,
            has_many_managers: broker.managers == Some(RawManagers::Many),
            registry: registry?,
            workers: workers?,
            scheduled: scheduled?,
            cycles: cycles?,
            journal: journal?,
            notifications: notifications?,
            expect: expect?,
            hosts: hosts?,
            logging,
        })
    }

    fn zmq(&mut self, value: &Value) -> Option<Zmq> {
        let section = self.section(value, "zmq")?;
        let raw: RawZmq = self.decode(section, &["zmq"])?;
        for (name, port) in [("manager", raw.ports.manager), ("workers", raw.ports.workers)] {
            if port == 0 {
                let text = "must be a port number from 1 to 65535, not 0".to_owned();
                self.report(Severity::Error, &["zmq", "ports", name], text);
            }
        }
        let bind = raw.bind.as_ref().filter(|address| *address != "*");
        for (name, address) in [("host", Some(&raw.host)), ("bind", bind)] {
            if address.is_some_and(|address| !is_address(address)) {
                let text =
                    "must be the name or the IPv4 address of a host, with nothing around it".to_owned();
                self.report(Severity::Error, &["zmq", name], text);
            }
        }
        if raw.ports.manager == raw.ports.workers {
            let text = format!("manager and workers need a port each, but both have {}", raw.ports.workers);
            self.report(Severity::Error, &["zmq", "ports", "workers"], text);
        }
        Some(Zmq {
            host: raw.host,
            bind: raw.bind,
            manager_port: raw.ports.manager,
            workers_port: raw.ports.workers,
            curve: None,
            message_size: WireLimits::default().message_size,
        })
    }

    fn registry(&mut self, value: &Value) -> Option<Registry> {
        const NAME: &str = "message registry";
        let section = self.section(value, NAME)?;
        let raw: Option<RawRegistry> = self.decode(section, &[NAME]);
        let manager = self.manager_messages(section);
        let Some(workers) = section.get("workers") else {
            let text = "the section `workers` is missing; list each worker that sends messages in it, one `NAME:` a line. How a worker is started \
                        belongs to the top-level section `workers:`";
            self.report(Severity::Error, &[NAME], text.to_owned());
            return None;
        };
        let Some(workers) = workers.as_map() else {
            let text = format!("must be a mapping of worker names, not {}", workers.kind());
            self.report(Severity::Error, &[NAME, "workers"], text);
            return None;
        };
        let mut registered = IndexMap::new();
        for (name, messages) in workers {
            let Some(name) = name.as_str() else {
                let text = format!("a worker's name must be text, not {}; put it in quotes", name.kind());
                self.report(Severity::Error, &[NAME, "workers"], text);
                continue;
            };
            if let Some(worker) = self.registered_worker(name, messages) {
                registered.insert(name.to_owned(), worker);
            }
        }
        let raw = raw?;
        Some(Registry {
            manager,
            next_workers_module: raw.next_workers_module,
            workers_package: raw.workers_package,
            workers: registered,
        })
    }

    /// Return the manager's messages. A worker of NEMO_Nowcast fails on a reply that a file with others lacks.
    fn manager_messages(&mut self, section: &Value) -> IndexMap<String, String> {
        let path = ["message registry", "manager"];
        let given = section.get("manager");
        if let Some(wrong) = given.filter(|value| value.as_map().is_none()) {
            let text = format!("must be a mapping of message types, not {}", wrong.kind());
            self.report(Severity::Error, &path, text);
        }
        let messages: IndexMap<String, String> = given.and_then(Value::as_map).map(words).unwrap_or_default();
        for (name, meaning) in &messages {
            if self.defaulted.contains(&[path[0], path[1], name.as_str()].map(str::to_owned).to_vec()) {
                let text = format!("the message type `{name}` is missing; add `{name}: {meaning}`");
                self.report(Severity::Warning, &path, text);
            }
        }
        messages
    }

    fn registered_worker(&mut self, name: &str, messages: &Value) -> Option<RegisteredWorker> {
        let path = ["message registry", "workers", name];
        let Some(messages) = messages.as_map() else {
            let text = format!(
                "must be a mapping of message types and their meaning (`success: {name} succeeded`), not {}",
                messages.kind()
            );
            self.report(Severity::Error, &path, text);
            return None;
        };
        let checklist_key = messages.get(&Value::from(CHECKLIST_KEY)).cloned();
        let mut messages = words(messages);
        messages.shift_remove(CHECKLIST_KEY);
        if let Some(close) = closest(CHECKLIST_KEY, messages.keys())
            && checklist_key.is_none()
        {
            let text = format!("`{close}` is taken for a message type; did you mean `{CHECKLIST_KEY}`?");
            self.report(Severity::Warning, &[path[0], path[1], name, close], text);
        }
        if !messages.contains_key("crash") {
            let text = "has no message type `crash`, so a crash of this worker cannot be reported; add \
                        `crash:` with its meaning"
                .to_owned();
            self.report(Severity::Warning, &path, text);
        }
        Some(RegisteredWorker { checklist_key, messages })
    }

    fn hosts(&mut self, value: &Value) -> Option<IndexMap<String, Host>> {
        let Some(section) = value.get("run") else { return Some(IndexMap::new()) };
        let raw: Option<RawRun> = self.decode(section, &["run"])?;
        let hosts = raw.unwrap_or_default().enabled_hosts.unwrap_or_default();
        let host = |(name, raw): (String, Option<super::raw::RawHost>)| {
            let raw = raw.unwrap_or_default();
            let launcher = Launcher::Ssh;
            (name, Host { envvars: raw.envvars, python: raw.python, config_file: raw.config_file, launcher })
        };
        Some(hosts.into_iter().map(host).collect())
    }

    /// Return a required top-level section or setting, or report that it is missing.
    pub(super) fn section<'v>(&mut self, value: &'v Value, name: &str) -> Option<&'v Value> {
        let found = value.get(name).filter(|section| !section.is_null());
        if found.is_none() {
            let close =
                closest(name, value.as_map().into_iter().flatten().filter_map(|(key, _)| key.as_str()));
            let place = close.and_then(|close| self.places.nearest(&[close]));
            let at = match place {
                Some(place) if place.file == self.file => format!(" (line {})", place.line),
                Some(place) => format!(" ({place})"),
                None => String::new(),
            };
            let close = close.map(|close| format!("; did you mean `{close}`?")).unwrap_or_default();
            let text = format!("`{name}` is missing{close}{at}");
            self.report(Severity::Error, &[], text);
        }
        found
    }

    fn required_text(&mut self, value: &Value, name: &str) -> Option<String> {
        let found = self.section(value, name)?;
        let text = found.as_str().map(str::to_owned);
        if text.is_none() {
            self.report(Severity::Error, &[name], format!("must be text, not {}", found.kind()));
        }
        text
    }

    pub(super) fn replace_variables(&mut self, key: &str, text: &str) -> Option<String> {
        environment::replace(text, self.lookup)
            .map_err(|name| self.report(Severity::Error, &[key], unset_variable(&name)))
            .ok()
    }

    /// Return the text with every variable replaced, or the name of the first one that is not set.
    pub(super) fn replace(&self, text: &str) -> Result<String, String> {
        environment::replace(text, self.lookup)
    }

    /// Return an unquoted word behind the key at the end of a path, as it is written on the same line.
    pub(super) fn scalar(&self, path: &[&str]) -> Option<&str> {
        self.places.scalar(path)
    }

    /// Return an environment variable.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// Decode a section with serde. An error is reported as a problem with its line and a remedy.
    pub(super) fn decode<T: DeserializeOwned>(&mut self, section: &Value, path: &[&str]) -> Option<T> {
        let error = match serde_path_to_error::deserialize(super::serde_value::to_serde(section)) {
            Ok(decoded) => return Some(decoded),
            Err(error) => error,
        };
        let inner: Vec<String> =
            error.path().iter().map(ToString::to_string).filter(|segment| segment != "?").collect();
        let mut full: Vec<&str> = path.to_vec();
        full.extend(inner.iter().map(String::as_str));
        self.report(Severity::Error, &full, reworded(&error.inner().to_string()));
        None
    }

    pub(super) fn report(&mut self, severity: Severity, path: &[&str], text: String) {
        // A missing key has no line; the nearest section around it has.
        let place = self.places.nearest(path);
        let (file, line) = place.map_or((self.file, None), |place| (place.file, Some(place.line)));
        self.problems.push(Problem { severity, key: key_of(path), ..Problem::of_file(file, line, text) });
    }
}

/// Return the text about an environment variable that the configuration needs.
pub(super) fn unset_variable(name: &str) -> String {
    format!("the environment variable {name} is not set; set it before the start (`export {name}=…`)")
}

/// Return whether ZeroMQ can parse the address. Whether the host exists shows when it is used.
pub(super) fn is_address(text: &str) -> bool {
    let sign = |sign: char| sign.is_alphanumeric() || ".-_".contains(sign);
    !text.is_empty() && text.chars().all(sign)
}

/// Return the document as the rules see it, with the variables replaced.
fn substituted(value: &Value, checklist_file: &Path, python: Option<&str>, logging: &Value) -> Value {
    let mut map = value.as_map().cloned().unwrap_or_default();
    let mut put = |key: &str, new: Value| {
        if let Some(slot) = map.get_mut(&Value::from(key)) {
            *slot = new;
        }
    };
    put("checklist file", checklist_file.to_string_lossy().as_ref().into());
    if let Some(python) = python {
        put("python", python.into());
    }
    put("logging", logging.clone());
    map.into()
}

/// Return message types and their meaning as text. The registry's values can be of any type, and Python formats them
/// into the log line.
fn words(messages: &pyyaml::Map) -> IndexMap<String, String> {
    messages.iter().map(|(name, meaning)| (as_text(name), as_text(meaning))).collect()
}
