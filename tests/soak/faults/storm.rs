//! Storms at the workers' port on this machine: many connections, and messages that are invalid. They are bounded in
//! number and in time.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::operators::pick;
use crate::pace::pace;
use crate::soak::Soak;
use crate::support::random::Random;

/// The most connections of a storm.
const MOST: u64 = 200;

/// The first bytes of a ZeroMQ connection, and others.
const GREETINGS: [&[u8]; 4] =
    [b"", b"\xff\0\0\0\0\0\0\0\x01\x7f\x03", b"GET / HTTP/1.0\r\n\r\n", &[0xa5; 300]];

/// Messages that are answered and otherwise do nothing.
const INVALID: [&str; 4] = [
    "[",
    "{source: client}",
    "{source: client, type: unheard, payload: null}",
    "{source: nobody, type: success, payload: null}",
];

pub fn strike(soak: &Soak, random: &mut Random) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, soak.zmq.workers_port));
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
    let mut connections: Vec<TcpStream> = (0..=random.below(MOST)).filter_map(connect).collect();
    for connection in &mut connections {
        // The broker may close it at any time.
        let _ = connection.write_all(GREETINGS[pick(random, GREETINGS.len())]);
    }
    let message = INVALID[pick(random, INVALID.len())];
    let reply = soak.system.read().expect("no thread panics with it").send_raw(message);
    if !reply.r#type.starts_with("unregistered") {
        soak.problem(&format!("{message} got the reply {}", reply.r#type));
    }
    pace(random.below(1_000));
}
