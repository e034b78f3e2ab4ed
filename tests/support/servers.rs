//! Real servers that store their requests, and one that never replies.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::python;
use super::wait::wait_for;

/// A Python server of the tests.
pub struct Server {
    folder: TempDir,
    child: Child,
    pub port: u16,
    kept: &'static str,
}

impl Server {
    /// Start a web server that replies with status 200.
    pub fn web() -> Self {
        Self::start("web_server.py", "requests", Path::new("python3"), None, &[])
    }

    /// Start the same with TLS and a certificate for localhost.
    pub fn web_by_tls(certificate: &Certificate) -> Self {
        Self::start("web_server.py", "requests", Path::new("python3"), Some(certificate), &[])
    }

    /// Start a mail server that accepts every mail; with a certificate only with TLS and a login.
    pub fn mail(certificate: Option<&Certificate>) -> Self {
        Self::start("mail_server.py", "mails", &python::venv(), certificate, &[])
    }

    /// Start a mail server that accepts every mail, with TLS or without.
    pub fn mail_that_offers_tls(certificate: &Certificate) -> Self {
        Self::start("mail_server.py", "mails", &python::venv(), Some(certificate), &["offer"])
    }

    fn start(
        script: &str,
        kept: &'static str,
        python: &Path,
        certificate: Option<&Certificate>,
        more: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("status"), "200").expect("written");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(script);
        let mut command = Command::new(python);
        command.arg(script).arg(folder.path()).stdin(Stdio::null());
        if let Some(certificate) = certificate {
            command.args([&certificate.file, &certificate.key]);
        }
        let child = command.args(more).spawn().expect("the server starts");
        let port = folder.path().join("port");
        let ask = || fs::read_to_string(&port).ok()?.parse().ok();
        let port = wait_for("the server's port", ask, String::new);
        Self { folder, child, port, kept }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Set the status of later replies.
    pub fn answer(&self, status: u16) {
        fs::write(self.folder.path().join("status.new"), status.to_string()).expect("written");
        fs::rename(self.folder.path().join("status.new"), self.folder.path().join("status"))
            .expect("in place");
    }

    /// Redirect later requests.
    pub fn redirect(&self, url: &str) {
        fs::write(self.folder.path().join("location"), url).expect("written");
        self.answer(302);
    }

    /// Return the requests so far.
    pub fn kept(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(self.kept)).unwrap_or_default();
        // The last line may be incomplete.
        text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Return the bodies of the requests so far.
    pub fn bodies(&self) -> Vec<String> {
        self.kept().iter().map(|kept| kept["body"].as_str().expect("a body").to_owned()).collect()
    }

    /// Wait for a number of requests.
    pub fn wait_for(&self, count: usize, explain: impl FnOnce() -> String) -> Vec<Value> {
        let ask = || Some(self.kept()).filter(|kept| kept.len() >= count);
        wait_for(&format!("{count} at the server"), ask, || format!("{:#?}\n{}", self.kept(), explain()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate for localhost that only these tests trust.
pub struct Certificate {
    _folder: TempDir,
    pub file: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"])
            .arg("-out")
            .arg(&file)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { _folder: folder, file, key }
    }
}

/// A server that accepts connections and never replies.
pub struct Silent {
    pub port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silent {
    pub fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let kept = Arc::clone(&connections);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                kept.lock().expect("no thread panics with it").push(connection);
            }
        });
        Self { port, connections }
    }

    /// Return the number of connections.
    pub fn connections(&self) -> usize {
        self.connections.lock().expect("no thread panics with it").len()
    }
}

/// Return the URL of a server that replies with a head and then repeats a text until the client closes the connection.
pub fn endless(head: &str, text: &'static [u8], pause: Duration) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let head = head.to_owned();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let head = head.clone();
            std::thread::spawn(move || {
                let mut is_open = connection.write_all(head.as_bytes()).is_ok();
                while is_open {
                    std::thread::sleep(pause);
                    is_open = connection.write_all(text).is_ok();
                }
            });
        }
    });
    url
}
