//! The example supervisord.ini under the real Supervisor.

use std::path::Path;
use std::process::Command;

use crate::support::python;
use crate::support::system::{System, system};

/// Return the output of `supervisorctl` with these arguments.
fn control(system: &System, words: &[&str]) -> String {
    let output = supervisor(system, "supervisorctl").args(words).output().expect("supervisorctl runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn supervisor(system: &System, program: &str) -> Command {
    let ours = Path::new(crate::support::system::NOWCAST).parent().expect("a folder");
    let scripts = python::venv();
    let scripts = scripts.parent().expect("the scripts beside the interpreter");
    let ini = Path::new(env!("CARGO_MANIFEST_DIR")).join("supervisord.ini");
    let path = format!("{}:{}", ours.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(scripts.join(program));
    command
        .args(["-c", &ini.display().to_string()])
        .current_dir(system.path("."))
        .env("PATH", path)
        .env("NOWCAST_LOGS", system.path("."))
        .env("NOWCAST_YAML", system.config());
    command
}

fn running(system: &System) -> Option<()> {
    (control(system, &["status"]).matches("RUNNING").count() == 2).then_some(())
}

#[test]
fn status_tail_hangup_restart_and_shutdown() {
    let mut system = system().prepare();
    let mut command = supervisor(&system, "supervisord");
    command.arg("-n");
    system.spawn("supervisord", command);
    system.wait_for("both daemons running", || running(&system));
    system.works();
    let (status, text) = system.operation(&["restart", "manager"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("runs under Supervisor: use supervisorctl restart manager"), "{text}");
    let tail = system.wait_for("the manager's lines", || {
        let tail = control(&system, &["tail", "manager"]);
        tail.contains("listening...").then_some(tail)
    });
    assert!(tail.contains("INFO [manager] next workers module loaded from next_workers"), "{tail}");

    system.write_rules("function after_keyless() log.info('the edited rule') return {} end\nfunction after_sleep() return {} end\nfunction after_awaken() return {} end\nfunction after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end\n");
    control(&system, &["signal", "HUP", "manager"]);
    system.wait_for("the reload", || {
        control(&system, &["tail", "manager"]).contains("hangup signal (SIGHUP) received").then_some(())
    });
    system.works();
    system.wait_for("the edited rule", || {
        control(&system, &["tail", "manager"]).contains("the edited rule").then_some(())
    });

    for daemon in ["message_broker", "manager"] {
        let before = control(&system, &["pid", daemon]);
        control(&system, &["signal", "KILL", daemon]);
        system.wait_for("another process", || {
            let now = control(&system, &["pid", daemon]);
            (now != before && now.trim().parse::<u32>().is_ok_and(|number| number > 0)).then_some(())
        });
        system.wait_for("both daemons running", || running(&system));
        system.works();
    }

    control(&system, &["shutdown"]);
    assert_eq!(system.wait_for_end("supervisord").code(), Some(0), "{}", system.describe());
}
