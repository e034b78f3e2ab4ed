//! `zmq: ports: logging:`: the ports on which programs publish their log messages.
//!
//! The ports are read only if the `logging` section publishes or aggregates log messages. This module opens no port.

use super::check::{ConfigCheck, is_address};
use super::checked::{LogPort, LogPorts, POOL, Registry, Zmq, has_logging_part};
use super::problem::Severity;
use pyyaml::Value;

/// The daemons that always run, under the names with which they log.
const DAEMONS: [&str; 2] = ["message_broker", "manager"];

/// The other daemons of NEMO_Nowcast and nowcast, which are in no message registry.
const OTHER_DAEMONS: [&str; 3] = ["scheduler", "log_aggregator", "up"];

const PATH: [&str; 3] = ["zmq", "ports", "logging"];

impl ConfigCheck<'_> {
    /// Check `zmq: ports: logging`.
    pub(super) fn log_ports(&mut self, value: &Value, registry: Option<&Registry>) -> Option<LogPorts> {
        let asks = |part| value.get("logging").is_some_and(|logging| has_logging_part(logging, part));
        let (publishes, aggregates) = (asks("publisher"), asks("aggregator"));
        if !publishes && !aggregates {
            return Some(LogPorts::new());
        }
        let section =
            value.get(PATH[0]).and_then(|zmq| zmq.get(PATH[1])).and_then(|ports| ports.get(PATH[2]));
        let Some(section) = section.filter(|section| !section.is_null()) else {
            let text = "is missing: log messages are published, and each program needs a port for that; write \
                        `message_broker: 4345`, `manager: 4346` and `workers: [4350, 4351, 4352]` below it";
            self.report(Severity::Error, &PATH, text.to_owned());
            return None;
        };
        let Some(section) = section.as_map() else {
            let text = format!(
                "must be a mapping of the programs that publish to their ports, not {}",
                section.kind()
            );
            self.report(Severity::Error, &PATH, text);
            return None;
        };
        let mut all = LogPorts::new();
        let mut is_sound = true;
        for (name, ports) in section {
            let Some(name) = name.as_str() else {
                let text = format!("a name must be text, not {}; put it in quotes", name.kind());
                self.report(Severity::Error, &PATH, text);
                is_sound = false;
                continue;
            };
            match self.ports_of(name, ports) {
                Some(ports) => _ = all.insert(name.to_owned(), ports),
                None => is_sound = false,
            }
        }
        if publishes && is_sound {
            self.check_names(&all, registry);
        }
        is_sound.then_some(all)
    }

    fn ports_of(&mut self, name: &str, value: &Value) -> Option<Vec<LogPort>> {
        let items = value.as_list().map_or_else(|| vec![value], |list| list.iter().collect());
        let mut ports = Vec::new();
        for item in items {
            match log_port(item) {
                Ok(port) => ports.push(port),
                Err(text) => {
                    self.report(Severity::Error, &[PATH[0], PATH[1], PATH[2], name], text);
                    return None;
                }
            }
        }
        if ports.is_empty() {
            let text = "has no port; write a number, or several as [4350, 4351]".to_owned();
            self.report(Severity::Error, &[PATH[0], PATH[1], PATH[2], name], text);
            return None;
        }
        if has_hosts_that_differ(&ports) {
            let text = "a worker takes the first port of the list that is free on the host where it runs, so every host \
                        must have the same port numbers; messages from ports that a host does not have are lost"
                .to_owned();
            self.report(Severity::Warning, &[PATH[0], PATH[1], PATH[2], name], text);
        }
        Some(ports)
    }

    fn check_names(&mut self, all: &LogPorts, registry: Option<&Registry>) {
        for name in DAEMONS.iter().chain([&POOL]).filter(|name| !all.contains_key(**name)) {
            let whose =
                if *name == POOL { "of workers without a port of their own" } else { "of that daemon" };
            let text = format!(
                "`{name}` is missing, so the log messages {whose} go to the console and are not published"
            );
            self.report(Severity::Warning, &PATH, text);
        }
        let Some(registry) = registry else { return };
        let known: Vec<&str> = registry.workers.keys().map(String::as_str).collect();
        let known: Vec<&str> = [&DAEMONS[..], &OTHER_DAEMONS, &[POOL], &known].concat();
        for name in all.keys().filter(|name| !known.contains(&name.as_str())) {
            if let Some(question) = error_text::question(name, &known) {
                let text = format!("there is no program of that name; {question}");
                self.report(Severity::Warning, &[PATH[0], PATH[1], PATH[2], name], text);
            }
        }
    }

    /// Report ports of this host that two programs would bind.
    pub(super) fn check_log_ports(&mut self, zmq: &Zmq, all: &LogPorts) {
        let mut taken =
            vec![(zmq.manager_port, "zmq: ports: manager"), (zmq.workers_port, "zmq: ports: workers")];
        for (name, ports) in all {
            for LogPort { port, .. } in ports.iter().filter(|port| port.host.is_none()) {
                if let Some((_, other)) = taken.iter().find(|(known, _)| known == port) {
                    let text =
                        format!("port {port} is also that of {other}; each program needs one of its own");
                    let is_brokers = other.starts_with("zmq");
                    let severity = if is_brokers { Severity::Error } else { Severity::Warning };
                    self.report(severity, &[PATH[0], PATH[1], PATH[2], name], text);
                } else {
                    taken.push((*port, name));
                }
            }
        }
    }
}

/// Return whether the first port of a further host is not a port of an earlier one, as NEMO_Nowcast checks it.
fn has_hosts_that_differ(ports: &[LogPort]) -> bool {
    ports.iter().enumerate().any(|(index, new)| {
        let before = &ports[..index];
        !before.is_empty()
            && !before.iter().any(|known| known.host == new.host)
            && !before.iter().any(|known| known.port == new.port)
    })
}

/// Parse a port. The error says what is wrong and what to do.
fn log_port(value: &Value) -> Result<LogPort, String> {
    const REMEDY: &str = "write a port number (4345), a port of another host in quotes ('host.example:4345'), or a list of them";
    let number = |number: i64| {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        port.ok_or_else(|| format!("must be a port number from 1 to 65535, not {number}"))
    };
    let of_text = |text: &str| {
        text.parse().map_or_else(|_| Err(format!("{text:?} is not a port number; {REMEDY}")), number)
    };
    match value {
        Value::Int(_) => {
            let port = value.as_int().ok_or_else(|| "must be a port number from 1 to 65535".to_owned())?;
            Ok(LogPort { host: None, port: number(port)? })
        }
        Value::Str(text) => match text.rsplit_once(':') {
            None => Ok(LogPort { host: None, port: of_text(text)? }),
            Some((host, _)) if !is_address(host) => {
                Err(format!("{host:?} is not the name or the IPv4 address of a host; {REMEDY}"))
            }
            Some((host, port)) => Ok(LogPort { host: Some(host.to_owned()), port: of_text(port)? }),
        },
        other => Err(format!("this is {}; {REMEDY}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, ConfigError, Problem, parse};

    fn config(host: &str, ports: &str) -> Result<(Config, Vec<Problem>), ConfigError> {
        let text = format!(
            "checklist file: /tmp/c.yaml
logging: {{publisher: {{}}, aggregator: {{}}}}
zmq:
  host: {host}
  ports:
    manager: 4343
    workers: 4344
    logging: {ports}
message registry:
  manager: {{ack: a, checklist cleared: c, unregistered worker: u, unregistered message type: t, no after_worker function: n}}
  next workers module: next_workers
  workers: {{run_NEMO: {{success: s, crash: c}}}}
"
        );
        parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| Some(String::new()))
    }

    fn said(ports: &str) -> Vec<String> {
        let problems = match config("localhost", ports) {
            Ok((_, problems)) => problems,
            Err(error) => error.problems,
        };
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_program_has_its_addresses() {
        let ports = "{message_broker: 5560, manager: '5561', workers: [5562, 5563], \
                     run_NEMO: ['salish:5556', '206.12.100.213:5556']}";
        let (here, problems) = config("localhost", ports).unwrap();
        assert_eq!(problems, []);
        assert_eq!(here.log_addresses_of_daemon("message_broker"), ["tcp://127.0.0.1:5560"]);
        assert_eq!(here.log_addresses_of_daemon("manager"), ["tcp://127.0.0.1:5561"]);
        assert_eq!(here.log_addresses_of_daemon("scheduler"), <[&str; 0]>::default());
        assert_eq!(here.log_addresses_of_worker("sleep"), ["tcp://127.0.0.1:5562", "tcp://127.0.0.1:5563"]);
        assert_eq!(here.log_addresses_of_worker("run_NEMO"), ["tcp://*:5556"]);
        let (net, _) = config("skookum.eos.ubc.ca", ports).unwrap();
        assert_eq!(net.log_addresses_of_daemon("message_broker"), ["tcp://*:5560"]);
    }

    #[test]
    fn impossible_settings_are_reported_with_line_and_remedy() {
        let start = "nowcast.yaml, line 8, zmq: ports: logging";
        assert_eq!(
            said("{message_broker: 70000, manager: 1.5, workers: ['a b:1', 1], x: 'h:p', y: [], 7: 8}"),
            [
                format!("{start}: message_broker: must be a port number from 1 to 65535, not 70000"),
                format!(
                    "{start}: manager: this is a number; write a port number (4345), a port of another host in quotes \
                     ('host.example:4345'), or a list of them"
                ),
                format!(
                    "{start}: workers: \"a b\" is not the name or the IPv4 address of a host; write a port number (4345), \
                     a port of another host in quotes ('host.example:4345'), or a list of them"
                ),
                format!(
                    "{start}: x: \"p\" is not a port number; write a port number (4345), a port of another host in quotes \
                     ('host.example:4345'), or a list of them"
                ),
                format!("{start}: y: has no port; write a number, or several as [4350, 4351]"),
                format!("{start}: a name must be text, not an integer; put it in quotes"),
            ]
        );
        assert!(said("null")[0].contains("is missing: log messages are published"), "{:?}", said("null"));
        assert!(
            said("{manager: 1, workers: 2}")[0]
                .contains("`message_broker` is missing, so the log messages of that")
        );
        assert!(said("5560")[0].contains("must be a mapping of the programs"), "{:?}", said("5560"));
    }

    #[test]
    fn conflicting_ports_are_reported() {
        let start = "nowcast.yaml, line 8, zmq: ports: logging";
        assert_eq!(
            said("{message_broker: 4344, manager: 5561, workers: [5561], run_NMEO: ['a:1', 'b:2', 'c:2']}"),
            [
                format!(
                    "{start}: message_broker: port 4344 is also that of zmq: ports: workers; each program needs one of its own"
                ),
                format!(
                    "{start}: run_NMEO: a worker takes the first port of the list that is free on the host where it runs, so \
                     every host must have the same port numbers; messages from ports that a host does not have are lost"
                ),
                format!("{start}: run_NMEO: there is no program of that name; did you mean `run_NEMO`?"),
                format!(
                    "{start}: workers: port 5561 is also that of manager; each program needs one of its own"
                ),
            ]
        );
        let several_each = "{message_broker: 1, manager: 2, workers: 3, run_NEMO: ['a:1', 'a:2', 'b:2']}";
        assert_eq!(said(several_each), <[&str; 0]>::default());
    }
}
