//! Checks the ports on other hosts from which the log aggregator gets workers' log lines.
//!
//! A port is open only while a worker runs, so a refused connection is good: only a firewall drops it silently.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use indexmap::IndexMap;

use super::DoctorCheck;
use crate::config::{Config, LogPort, LogPorts};
use nowcast_core::counted::counted;

/// The time limit for connecting.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Check each host that `zmq: ports: logging:` names.
pub(super) fn checks(config: &Config) -> Vec<DoctorCheck> {
    let hosts = addresses(&config.log_ports);
    thread::scope(|scope| {
        let spawn = |(host, ports): (String, BTreeSet<u16>)| scope.spawn(move || of_host(&host, &ports));
        let threads: Vec<_> = hosts.into_iter().map(spawn).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Return the ports on each other host.
fn addresses(log_ports: &LogPorts) -> BTreeMap<String, BTreeSet<u16>> {
    let mut hosts: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for LogPort { host, port } in log_ports.values().flatten() {
        if let Some(host) = host {
            hosts.entry(host.clone()).or_default().insert(*port);
        }
    }
    hosts
}

fn of_host(host: &str, ports: &BTreeSet<u16>) -> DoctorCheck {
    let help = "open them for this machine, so that the log aggregator gets log lines from there";
    // Port 0: only the addresses matter, and they are the same for all ports.
    let addresses: Vec<IpAddr> = match (host, 0).to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.ip()).collect(),
        Err(error) => {
            let help = "correct the host name in `zmq: ports: logging:`";
            return DoctorCheck::warning("log ports", error.to_string(), help).on(host);
        }
    };
    let tried: Vec<(u16, Result<(), String>)> = thread::scope(|scope| {
        let addresses = &addresses;
        let threads: Vec<_> =
            ports.iter().map(|port| (*port, scope.spawn(move || reach(addresses, *port)))).collect();
        let result = |(port, thread): (u16, thread::ScopedJoinHandle<_>)| {
            (port, thread.join().unwrap_or_else(|_| Err("not tried".to_owned())))
        };
        threads.into_iter().map(result).collect()
    });
    let check = match grouped(tried) {
        None => {
            let text =
                counted(ports.len(), "port can be reached from here", "ports can be reached from here");
            DoctorCheck::ok("log ports", text)
        }
        Some(text) => DoctorCheck::warning("log ports", text, help),
    };
    check.on(host)
}

fn reach(addresses: &[IpAddr], port: u16) -> Result<(), String> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, port), TIMEOUT) {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => last = error,
            _ => return Ok(()),
        }
    }
    Err(last.to_string())
}

/// Return the ports that cannot be reached, each error with all of its ports; `None` if all can be reached.
fn grouped(tried: Vec<(u16, Result<(), String>)>) -> Option<String> {
    let mut errors: IndexMap<String, Vec<String>> = IndexMap::new();
    for (port, result) in tried {
        if let Err(error) = result {
            errors.entry(error).or_default().push(port.to_string());
        }
    }
    let texts: Vec<String> =
        errors.iter().map(|(error, ports)| format!("{}: {error}", ports.join(", "))).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
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

    #[test]
    fn an_error_is_shown_once_with_all_of_its_ports() {
        let slow = || Err("timed out".to_owned());
        let tried = vec![(1, slow()), (2, Ok(())), (3, slow()), (4, Err("no route".to_owned()))];
        assert_eq!(grouped(tried).as_deref(), Some("1, 3: timed out; 4: no route"));
        assert_eq!(grouped(vec![(1, Ok(()))]), None);
    }

    #[test]
    fn a_host_that_is_unknown_is_shown_once() {
        let check = of_host("no-such-host.invalid", &(1..=30).collect());
        assert_eq!(check.text.matches("lookup").count(), 1, "{}", check.text);
    }
}
