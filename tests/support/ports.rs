//! Ports for the tests' servers.

use std::fs::{self, File};
use std::net::TcpListener;
use std::sync::Mutex;

/// Two ports that nobody uses, picked by the kernel. No other test gets them while this process lives: what the
/// kernel gave once and nobody has bound yet, it gives again.
pub fn free_ports() -> (u16, u16) {
    (free_port(), free_port())
}

/// One of them.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("nowcast-test-ports");
    fs::create_dir_all(&folder).expect("a folder for the ports' locks");
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let lock = File::create(folder.join(port.to_string())).expect("a lock file");
        if lock.try_lock().is_ok() {
            HELD.lock().expect("nobody panics with it").push(lock);
            return port;
        }
    }
}
