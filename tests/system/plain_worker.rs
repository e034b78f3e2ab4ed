//! A worker of NEMO_Nowcast, whose message names neither run nor cycle.

use std::fs;

use crate::support::python;
use crate::support::system::System;

/// Waits for the file `go-` with the last argument, which it then reports. Its first argument is the worker's name.
const PROGRAM: &str = "
import os, sys, time, yaml, zmq
name, word = sys.argv[1], sys.argv[-1]
end = time.monotonic() + 60
while not os.path.exists('go-' + word):
    if time.monotonic() > end:
        sys.exit('timeout while waiting for the file go-' + word)
    time.sleep(0.005)
socket = zmq.Context().socket(zmq.REQ)
socket.connect('tcp://127.0.0.1:' + port)
socket.send_string(yaml.dump({'source': name, 'type': 'success', 'payload': {'run date': word}}))
socket.recv_string()
";

/// Write its program, and return the entry of the section `workers` under a name.
pub fn plain_worker(system: &System, name: &str) -> String {
    let program = format!("port = '{}'\n{PROGRAM}", system.workers_port);
    fs::write(system.path("plain.py"), program).expect("written");
    format!("{name}: {{command: ['{}', plain.py, {name}]}}", python::venv().display())
}
