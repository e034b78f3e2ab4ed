//! Checks the broker's ports.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::DoctorCheck;
use crate::config::Zmq;

/// The time limit for connecting, and for the greeting after it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Check whether the ports are free, or a broker has them.
pub(super) fn checks(zmq: &Zmq) -> Vec<DoctorCheck> {
    // Port 0: only the addresses matter, and they are the same for both ports.
    let addresses: Vec<IpAddr> = match (zmq.host.as_str(), 0).to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.ip()).collect(),
        Err(error) => {
            let help = "set `zmq: host:` to the broker's host";
            return vec![DoctorCheck::failed("broker's host", format!("{}: {error}", zmq.host), help)];
        }
    };
    [("port for workers", zmq.workers_port), ("port for the manager", zmq.manager_port)]
        .map(|(check, port)| port_check(check, zmq, &addresses, port))
        .into()
}

fn port_check(check: &str, zmq: &Zmq, addresses: &[IpAddr], port: u16) -> DoctorCheck {
    let name = format!("{}:{port}", zmq.host);
    let addresses: Vec<SocketAddr> =
        addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
    match greeting(&addresses) {
        Greeting::Zmq => return DoctorCheck::ok(check, format!("a message broker listens on {name}")),
        Greeting::Other => {
            let help = format!(
                "find the program that has the port: ss -ltnp 'sport = :{port}' (a stopped broker, or another program)"
            );
            return DoctorCheck::failed(
                check,
                format!("a program other than a message broker has {name}"),
                help,
            );
        }
        Greeting::NotListening => {}
    }
    let address = if zmq.bind_address() == "*" { "0.0.0.0" } else { zmq.bind_address() };
    let is_here = addresses.iter().any(|address| TcpListener::bind((address.ip(), 0)).is_ok());
    match TcpListener::bind((address, port)) {
        _ if !is_here => {
            let help = format!(
                "start \"nowcast broker\" there; the port must be open for {}",
                crate::launch::launch_command::machine()
            );
            DoctorCheck::failed(check, format!("nothing listens on {name}, another machine"), help)
        }
        Ok(_) => DoctorCheck::ok(check, format!("{name} is free; no message broker runs")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let help = format!("find the program that has the port: ss -ltnp 'sport = :{port}'");
            DoctorCheck::failed(check, format!("another program has {name}"), help)
        }
        Err(error) => DoctorCheck::failed(
            check,
            format!("{address}:{port} cannot be bound: {error}"),
            "check `zmq: bind:`",
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
