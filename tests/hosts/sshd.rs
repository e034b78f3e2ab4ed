//! The real sshd on its own port, and an `ssh` that connects to it.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use crate::support::packages;
use crate::support::ports::free_port;
use crate::support::system::pid;
use crate::support::wait::wait_for;

/// The server, and the folder that has `bin/ssh`.
pub struct Sshd {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Sshd {
    /// Start a server. `marks` says whether it accepts environment variables `LC_*`, as on Debian.
    pub fn start(marks: bool) -> Self {
        packages::install("/usr/sbin/sshd", &["openssh-server"]);
        fs::create_dir_all("/run/sshd").expect("sshd's folder");
        let folder = tempfile::Builder::new().prefix("nowcast-sshd-").tempdir().expect("a folder");
        let mut sshd = Self { folder, port: free_port(), server: None };
        for key in ["host_key", "user_key", "strange_key"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(sshd.path(key));
            assert!(command.status().expect("ssh-keygen runs").success());
        }
        fs::copy(sshd.path("user_key.pub"), sshd.path("authorized_keys")).expect("the key");
        let path = |name: &str| sshd.path(name).display().to_string();
        let port = sshd.port;
        let accept = if marks { "AcceptEnv LANG LC_*\n" } else { "" };
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPidFile none\nMaxStartups 100\n{accept}",
            path("host_key"),
            path("authorized_keys")
        );
        let common = format!(
            "HostName 127.0.0.1\nPort {port}\nUser root\nIdentitiesOnly yes\nUserKnownHostsFile {}\n\
             StrictHostKeyChecking accept-new\nSendEnv LANG LC_*\n",
            path("known_hosts")
        );
        let client = format!(
            "Host nowhere\nHostName nowhere.invalid\nHost locked\nIdentityFile {}\nHost robot bare\nIdentityFile {}\n\
             Host *\n{common}",
            path("strange_key"),
            path("user_key")
        );
        fs::write(sshd.path("sshd_config"), server).expect("written");
        fs::write(sshd.path("ssh_config"), client).expect("written");
        fs::create_dir(sshd.path("bin")).expect("a folder");
        let wrapper = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", path("ssh_config"));
        fs::write(sshd.path("bin/ssh"), wrapper).expect("written");
        fs::set_permissions(sshd.path("bin/ssh"), fs::Permissions::from_mode(0o755)).expect("executable");
        sshd.up();
        sshd
    }

    /// Set an environment variable for later logins.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.down();
        let path = self.path("sshd_config");
        let text = fs::read_to_string(&path).expect("the configuration");
        fs::write(path, format!("{text}SetEnv {name}={value}\n")).expect("written");
        self.up();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `PATH` with this `ssh` first.
    pub fn search_path(&self) -> String {
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default())
    }

    /// Bring the host up.
    pub fn up(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(self.path("sshd_config"));
        self.server = Some(command.stdin(Stdio::null()).stderr(log).spawn().expect("sshd starts"));
        wait_for("sshd", || TcpStream::connect(("127.0.0.1", self.port)).ok(), || self.describe());
    }

    /// Take the host down: stop listening and cut each connection. The processes of workers continue.
    pub fn down(&mut self) {
        let sessions = self.sessions();
        if let Some(mut server) = self.server.take() {
            server.kill().expect("it is killed");
            server.wait().expect("it ends");
        }
        end(&sessions);
    }

    /// Cut each connection.
    pub fn cut(&self) {
        end(&self.sessions());
    }

    /// The processes that serve one connection each.
    fn sessions(&self) -> Vec<u32> {
        let server = self.server.as_ref().map(Child::id);
        children(server.into_iter().collect())
    }

    pub fn describe(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.down();
    }
}

/// The children of processes, recursively as long as they are sshd's.
fn children(mut parents: Vec<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let text = fs::read_to_string(Path::new(&path)).unwrap_or_default();
        for child in text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()) {
            let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name.trim() == "sshd" {
                found.push(child);
                parents.push(child);
            }
        }
    }
    found
}

fn end(processes: &[u32]) {
    for process in processes {
        let _ = kill_process(pid(*process), Signal::KILL);
    }
}
