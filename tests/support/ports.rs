//! Ports for the tests' servers.

use std::fs::{self, File};
use std::net::TcpListener;
use std::sync::Mutex;

/// Return two free ports, picked by the kernel. A lock file keeps each from other tests while this process lives: the
/// kernel picks a port again as long as it is not bound.
pub fn free_ports() -> (u16, u16) {
    (free_port(), free_port())
}

/// Return one such port.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("nowcast-test-ports");
    fs::create_dir_all(&folder).expect("a folder for the ports' locks");
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let lock = File::create(folder.join(port.to_string())).expect("a lock file");
        if lock.try_lock().is_ok() {
            HELD.lock().expect("no thread panics with it").push(lock);
            return port;
        }
    }
}
