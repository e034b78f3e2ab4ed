//! The ports on other hosts from which the log aggregator gets what workers log there.
//!
//! Nobody listens there while no worker runs, so a refused connection is as good as a made one: what is looked for is a
//! firewall, which swallows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use super::Check;
use crate::config::{Config, LogPort, LogPorts};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A check for each host that `zmq: ports: logging:` names, if log messages are published at all.
pub(super) fn checks(config: &Config) -> Vec<Check> {
    let hosts = addresses(&config.log_ports);
    thread::scope(|scope| {
        let look = |(host, ports): (String, BTreeSet<u16>)| scope.spawn(move || of_host(&host, &ports));
        let threads: Vec<_> = hosts.into_iter().map(look).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// The ports on other hosts, by these.
fn addresses(log_ports: &LogPorts) -> BTreeMap<String, BTreeSet<u16>> {
    let mut hosts: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for LogPort { host, port } in log_ports.values().flatten() {
        if let Some(host) = host {
            hosts.entry(host.clone()).or_default().insert(*port);
        }
    }
    hosts
}

fn of_host(host: &str, ports: &BTreeSet<u16>) -> Check {
    let tried: Vec<(u16, Result<(), String>)> = thread::scope(|scope| {
        let threads: Vec<_> =
            ports.iter().map(|port| (*port, scope.spawn(move || reach(host, *port)))).collect();
        let result = |(port, thread): (u16, thread::ScopedJoinHandle<_>)| {
            (port, thread.join().unwrap_or_else(|_| Err("not tried".to_owned())))
        };
        threads.into_iter().map(result).collect()
    });
    let bad: Vec<String> = tried
        .iter()
        .filter_map(|(port, result)| Some(format!("{port}: {}", result.as_ref().err()?)))
        .collect();
    let check = if bad.is_empty() {
        Check::ok("log ports", format!("{} ports can be reached from here", ports.len()))
    } else {
        let help = "open them for this machine, or the log aggregator gets nothing from there";
        Check::warning("log ports", bad.join("; "), help)
    };
    check.on(host)
}

fn reach(host: &str, port: u16) -> Result<(), String> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs().map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => last = error,
            _ => return Ok(()),
        }
    }
    Err(last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_on_other_hosts_are_those_with_a_host() {
        let port = |host: Option<&str>, port| LogPort { host: host.map(str::to_owned), port };
        let own = vec![port(None, 5561)];
        let others =
            vec![port(Some("one"), 1), port(Some("one"), 2), port(Some("two"), 3), port(Some("one"), 1)];
        let found = addresses(&[("manager".to_owned(), own), ("run_NEMO".to_owned(), others)].into());
        let expected = [("one".to_owned(), [1, 2].into()), ("two".to_owned(), [3].into())].into();
        assert_eq!(found, expected);
    }
}
