//! The steps of docs/security.md for three machines, each a network namespace with a folder, its address and its name.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::distributed::scene::{Ports, read, write_logging};
use crate::support::system::{NOWCAST, System, system};
use crate::support::wait::wait_for;

/// The machines of the page.
const MACHINES: [(&str, &str); 3] = [("salish", "10.0.5.17"), ("robot", "10.0.7.3"), ("logs", "10.0.7.4")];

/// What a machine does until the test ends: be there.
const MACHINE: &str =
    "mount --bind hosts /etc/hosts && ip link set lo up && touch \"$1.up\" && exec sleep 1000";

/// Stand-ins for the commands that reach other machines: those have their folders here.
const SSH: &str = "#!/bin/sh\ncd \"$MACHINES/$1\" && shift && exec \"$@\"\n";
const SCP: &str = "#!/bin/sh\nset -e\nfor to; do :; done\nwhile [ $# -gt 1 ]; do cp \"$1\" \"$MACHINES/${to%%:*}/${to#*:}\"; shift; done\n";

/// A block of the page: the machine, its language and its lines.
struct Step {
    machine: String,
    language: String,
    lines: Vec<String>,
}

/// Return the blocks of the page's section in their order. The first line of each names its machine.
fn steps() -> Vec<Step> {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md"));
    let section = page.split("\n## ").find(|section| section.starts_with("A system of three machines"));
    let mut steps: Vec<Step> = Vec::new();
    let mut fence: Option<usize> = None;
    for line in section.expect("the section").lines() {
        let text = line.trim_start();
        match (text.strip_prefix("```"), fence) {
            (Some(language), None) => {
                fence = Some(line.len() - text.len());
                let (machine, lines) = (String::new(), Vec::new());
                steps.push(Step { machine, language: language.to_owned(), lines });
            }
            (Some(_), Some(_)) => fence = None,
            (None, Some(indent)) => {
                let step = steps.last_mut().expect("a block");
                match text.strip_prefix("# on ") {
                    Some(machine) => machine.clone_into(&mut step.machine),
                    None => step.lines.push(line.get(indent..).unwrap_or_default().to_owned()),
                }
            }
            (None, None) => {}
        }
    }
    assert!(steps.len() > 5, "{} steps", steps.len());
    steps
}

/// The machines, their network, and a system in whose folder they have theirs.
struct ThreeMachines {
    system: System,
    /// The processes in whose namespaces the machines are, and at last that of the network.
    holders: Vec<Child>,
}

impl ThreeMachines {
    fn start() -> Self {
        let system = system().rules("function after_sleep() return {} end").prepare();
        let ports = Ports { broker: 4_345, manager: 4_346, pool: Vec::new() };
        write_logging(&system, &ports, "[4347, 'robot:4347']", "");
        let hosts = MACHINES.map(|(name, address)| format!("{address} {name}\n")).concat();
        fs::write(system.path("hosts"), format!("127.0.0.1 localhost\n{hosts}")).expect("written");
        let config = read(&system.config()).replace("host: localhost", "host: salish");
        let here = system.path("").display().to_string();
        let here = here.trim_end_matches('/');
        for (name, _) in MACHINES {
            let folder = system.path(name).join("nowcast");
            fs::create_dir_all(folder.join("rules")).expect("a folder");
            fs::copy(system.path("rules/next_workers.lua"), folder.join("rules/next_workers.lua"))
                .expect("copied");
            let config = config.replace(here, &folder.display().to_string());
            fs::write(folder.join("nowcast.yaml"), config).expect("written");
        }
        fs::create_dir(system.path("bin")).expect("a folder");
        for (name, text) in [("ssh", SSH), ("scp", SCP)] {
            let file = system.path("bin").join(name);
            fs::write(&file, text).expect("written");
            fs::set_permissions(file, Permissions::from_mode(0o755)).expect("a mode");
        }
        symlink(NOWCAST, system.path("bin/nowcast")).expect("a link");
        let mut machines = Self { system, holders: Vec::new() };
        for name in MACHINES.map(|(name, _)| name).into_iter().chain(["lan"]) {
            let mut holder = Command::new("unshare");
            holder.args(["--net", "--mount", "--", "sh", "-c", MACHINE, "sh", name]).stdin(Stdio::null());
            machines
                .holders
                .push(holder.current_dir(machines.system.path("")).spawn().expect("unshare runs"));
            let is_up = machines.system.path(&format!("{name}.up"));
            wait_for("a network namespace", || is_up.exists().then_some(()), || machines.system.describe());
        }
        machines.connect();
        machines
    }

    /// Connect the machines by a bridge.
    fn connect(&self) {
        let lan = self.holders.len() - 1;
        self.ip(lan, "link add lan type bridge");
        self.ip(lan, "link set lan up");
        for (machine, (name, address)) in MACHINES.iter().enumerate() {
            let process = self.holders[lan].id();
            // The other end has this name.
            self.ip(machine, "link add net0 type veth");
            self.ip(machine, &format!("link set veth0 netns {process}"));
            self.ip(lan, &format!("link set veth0 name {name}"));
            self.ip(lan, &format!("link set {name} master lan up"));
            self.ip(machine, &format!("address add {address}/16 dev net0"));
            self.ip(machine, "link set net0 up");
        }
    }

    fn ip(&self, holder: usize, arguments: &str) {
        let process = self.holders[holder].id().to_string();
        let status = Command::new("nsenter")
            .args(["--target", &process, "--net", "--", "ip"])
            .args(arguments.split(' '))
            .status()
            .expect("nsenter runs");
        assert!(status.success(), "ip {arguments}");
    }

    /// Return a script that runs on a machine.
    fn script(&self, machine: &str, text: &str) -> Command {
        let at = MACHINES.iter().position(|(name, _)| *name == machine).expect("a machine");
        let folder = self.system.path(machine).join("nowcast");
        let mut command = self.system.command(&[]);
        let path =
            format!("{}:{}", self.system.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let environment: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new("nsenter");
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(["--target", &self.holders[at].id().to_string(), "--net", "--mount", "--", "sh", "-ec"]);
        command.args([&format!("cd \"$1\"\n{text}"), "sh"]).arg(folder).stdin(Stdio::null());
        command.env("PATH", path).env("MACHINES", self.system.path(""));
        command
    }

    fn follow(&mut self, step: &Step) {
        if step.language == "yaml" {
            let config = self.system.path(&step.machine).join("nowcast/nowcast.yaml");
            let text = read(&config) + &step.lines.join("\n") + "\n";
            return fs::write(config, text).expect("written");
        }
        assert_eq!(step.language, "sh");
        let (daemons, script): (Vec<&String>, Vec<&String>) =
            step.lines.iter().partition(|line| line.ends_with(" &"));
        for daemon in daemons {
            let command = daemon.trim_end_matches(" &");
            let name = command.rsplit(' ').next().expect("a name").to_owned();
            let command = self.script(&step.machine, &format!("exec {command}"));
            self.system.spawn(&name, command);
        }
        let script: Vec<&str> = script.into_iter().map(String::as_str).collect();
        if !script.is_empty() {
            let (status, text) = self.run(&step.machine, &script.join("\n"));
            assert_eq!(
                status,
                Some(0),
                "on {}: {script:#?}\n{text}\n{}",
                step.machine,
                self.system.describe()
            );
        }
    }

    fn run(&self, machine: &str, script: &str) -> (Option<i32>, String) {
        let output = self.script(machine, script).output().expect("sh runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    }
}

impl Drop for ThreeMachines {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

#[test]
fn a_system_of_three_machines_that_follows_the_page_works_and_is_closed_to_others() {
    let mut machines = ThreeMachines::start();
    for step in steps() {
        machines.follow(&step);
        for (daemon, line) in [
            ("broker", "manager socket bound"),
            ("manager", "listening..."),
            ("log-aggregator", "all messages from workers"),
        ] {
            if step.lines.contains(&format!("nowcast {daemon} &")) {
                machines.system.wait_for_log(daemon, line);
            }
        }
    }
    machines.system.wait_for_log("manager", "received message from sleep: (success)");
    let log = machines.system.path("logs/nowcast/nowcast.debug.log");
    for line in ["[sleep] ", "[manager] received message from sleep"] {
        let is_there = || read(&log).contains(line).then_some(());
        machines.system.wait_for(&format!("{line} in the log"), is_there);
    }
    // The keys of a machine do not make it the manager's, nor a worker's.
    let (status, text) = machines.run("robot", "nowcast manager");
    assert_eq!(status, Some(1), "{text}");
    machines
        .system
        .wait_for_log("broker", "a connection from 10.0.7.3 to the port for the manager was refused");
    // With what a worker's machine has, too.
    let (status, text) = machines.run(
        "logs",
        "mkdir keys/authorized; cp ../../salish/nowcast/keys/broker.key ../../salish/nowcast/keys/logging.key_secret keys; nowcast worker sleep",
    );
    assert_eq!(status, Some(1), "{text}");
    machines
        .system
        .wait_for_log("broker", "a connection from 10.0.7.4 to the port for the workers was refused");
}
