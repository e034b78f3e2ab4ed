//! Checks the broker's ports.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::DoctorCheck;
use crate::config::{Config, Port};

/// The time limit for connecting, and for the greeting after it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Check whether the ports are free, or a broker has them.
pub(super) fn checks(config: &Config) -> Vec<DoctorCheck> {
    let zmq = &config.zmq;
    // Port 0: only the addresses matter, and they are the same for both ports.
    let addresses: Vec<IpAddr> = match (zmq.host.as_str(), 0).to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.ip()).collect(),
        Err(error) => {
            let help = "set `zmq: host:` to the broker's host";
            return vec![DoctorCheck::failed("broker's host", format!("{}: {error}", zmq.host), help)];
        }
    };
    [
        ("port for workers", Port::Workers, zmq.workers_port),
        ("port for the manager", Port::Manager, zmq.manager_port),
    ]
    .map(|(check, kind, port)| port_check(check, config, &addresses, (kind, port)))
    .into()
}

fn port_check(check: &str, config: &Config, addresses: &[IpAddr], (kind, port): (Port, u16)) -> DoctorCheck {
    let name = format!("{}:{port}", config.zmq.host);
    let addresses: Vec<SocketAddr> =
        addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
    match greeting(&addresses) {
        Greeting::Zmq => return DoctorCheck::ok(check, format!("a message broker listens on {name}")),
        Greeting::Other => {
            let help = format!(
                "find the program that uses the port: ss -ltnp 'sport = :{port}' (a stopped broker, or another program)"
            );
            return DoctorCheck::failed(
                check,
                format!("a program other than a message broker uses {name}"),
                help,
            );
        }
        Greeting::NotListening => {}
    }
    let address = config.bind_address(kind);
    let address = if address == "*" { "0.0.0.0" } else { address };
    let is_here = addresses.iter().any(|address| TcpListener::bind((address.ip(), 0)).is_ok());
    match TcpListener::bind((address, port)) {
        _ if !is_here => {
            let help = format!(
                "start \"nowcast broker\" there; the port must be open for {}",
                crate::process::machine()
            );
            DoctorCheck::failed(check, format!("nothing listens on {name}, another machine"), help)
        }
        Ok(_) => DoctorCheck::ok(check, format!("{name} is free; no message broker runs")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let help = format!("find the program that uses the port: ss -ltnp 'sport = :{port}'");
            DoctorCheck::failed(check, format!("another program uses {name}"), help)
        }
        Err(error) => DoctorCheck::failed(
            check,
            format!("{address}:{port} cannot be bound: {error}"),
            "check `zmq: bind:` and `security: bind:`",
        ),
    }
}

enum Greeting {
    /// A ZeroMQ greeting.
    Zmq,
    /// No greeting, or another one.
    Other,
    /// No connection.
    NotListening,
}

/// Connect and return the kind of greeting. ZeroMQ's begins with 0xFF: ZMTP 3.1, "The greeting".
fn greeting(addresses: &[SocketAddr]) -> Greeting {
    let connect = |address: &SocketAddr| TcpStream::connect_timeout(address, TIMEOUT).ok();
    let Some(mut stream) = addresses.iter().find_map(connect) else { return Greeting::NotListening };
    let mut first = [0];
    let read = stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| stream.read_exact(&mut first));
    if read.is_ok() && first == [0xff] { Greeting::Zmq } else { Greeting::Other }
}
