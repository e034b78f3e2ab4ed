//! What `nowcast doctor` prints of a system that works, of faults on this machine, and of hosts.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::program::{assert_snapshot, redacted, replaced, transcript};
use crate::support::python;
use crate::support::system::{System, system};

/// Programs of hosts that this machine plays. The client of Slurm has no controller.
const SSH: &str = "#!/bin/bash
host=$5
case $host in locked) echo 'ana@locked: Permission denied (publickey).' >&2; exit 255;; esac
shift 5
exec bash -c \"$*\"
";
const SQUEUE: &str = "#!/bin/sh
echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2
exit 1
";

/// The transcripts of several commands, with what differs from one machine to the next written as a word.
fn all(system: &System, commands: &[&[&str]]) -> String {
    let text: String =
        commands.iter().map(|arguments| transcript(system.command(arguments)) + "\n").collect();
    let venv = python::venv().display().to_string();
    let text = redacted(system, &text).replace(&venv, "/venv/bin/python");
    let text = replaced(&text, r"Python 3\.[\d.]+", "Python 3.N");
    let text = replaced(&text, r"\d+ MB are free", "N MB are free");
    let text = replaced(&text, r"in \d+ ms", "in N ms");
    let text = replaced(&text, r"must be open for [^\n\x22]+", "must be open for HOST");
    replaced(&text, r"\d{4}-\d\d-\d\d \d\d:\d\d [+\w-]+", "TIME")
}

#[test]
fn of_a_system_that_works() {
    let mut system = system().python(&python::venv()).prepare();
    let mut text = all(&system, &[&["doctor"]]);
    system.start_broker();
    text += &all(&system, &[&["doctor"], &["doctor", "--json"]]);
    assert_snapshot("doctor", &text);
}

#[test]
fn of_faults_on_this_machine() {
    let sections = "workers: {keyless: {exec: [no-such-program]}}\nweather: 1\nweather: 2\nscheduled workers:\n- no_such_package.other: {every: day, at: '05:15'}";
    let mut system = system().python(&python::venv()).section(sections).prepare();
    let taken = TcpListener::bind(("127.0.0.1", system.workers_port)).expect("the port");
    let mode = |name: &str, mode| {
        fs::set_permissions(system.path(name), Permissions::from_mode(mode)).expect("a mode");
    };
    mode("nowcast.yaml", 0o666);
    system.write_rules("function after_sleep( end");
    fs::write(system.path("checklist.journal"), "").expect("written");
    let mut text = all(&system, &[&["doctor"], &["doctor", "--json"]]);
    drop(taken);

    // The faults that show only when others are mended, and ports that are open to other machines.
    mode("nowcast.yaml", 0o644);
    fs::remove_file(system.path("checklist.journal")).expect("removed");
    system.set_python("/no/such/python");
    system.more = "security: {bind: {workers: '*'}}".to_owned();
    system.write_config();
    text += &all(&system, &[&["doctor"]]);
    let config = fs::read_to_string(system.config()).expect("readable");
    fs::write(system.config(), config.replace("host: localhost", "host: 192.0.2.1")).expect("written");
    text += &all(&system, &[&["doctor"]]);
    fs::write(system.config(), "python: 7\n").expect("written");
    text += &all(&system, &[&["doctor"]]);
    assert_snapshot("doctor_faults", &text);
}

#[test]
fn of_keys_and_a_journal_of_which_others_have_rights() {
    let system = system().python(&python::venv()).section("security: {curve: {keys: keys}}").prepare();
    system.operate(&["keys"]);
    let mut text = all(&system, &[&["doctor"]]);
    let mode = |name: &str, mode| {
        fs::set_permissions(system.path(name), Permissions::from_mode(mode)).expect("a mode");
    };
    mode("keys/client.key_secret", 0o644);
    mode("keys/broker.key", 0o666);
    fs::create_dir(system.path("checklist.journal")).expect("a folder");
    mode("checklist.journal", 0o777);
    text += &all(&system, &[&["doctor"]]);
    assert_snapshot("doctor_rights", &text);
}

#[test]
fn of_hosts() {
    let mut system = system()
        .file("bin/ssh", SSH)
        .file("bin/squeue", SQUEUE)
        .file("envvars.sh", "")
        .python(&python::venv())
        .prepare();
    for name in ["bin/ssh", "bin/squeue"] {
        fs::set_permissions(system.path(name), Permissions::from_mode(0o755)).expect("it can be run");
    }
    let path = std::env::var("PATH").unwrap_or_default();
    system.set_env("PATH", &format!("{}:{path}", system.path("bin").display()));
    let root = system.path("").display().to_string();
    let config = fs::read_to_string(system.config()).expect("readable");
    let other = config.replace("keyless: {success: it went well", "keyless: {success: it went otherwise");
    fs::write(system.path("other.yaml"), other).expect("written");
    let python = python::venv();
    let python = python.display();
    system.more = format!(
        "run:
  enabled hosts:
    robot: {{envvars: {root}envvars.sh, python: {python}, config file: {root}nowcast.yaml}}
    other: {{envvars: {root}none.sh, python: /no/python, config file: {root}other.yaml}}
    locked: {{envvars: {root}envvars.sh, python: {python}, config file: {root}nowcast.yaml}}
    bare: {{shared storage: true}}
hosts:
  queue: {{launch command: [/bin/sh, -c, '{{command}}']}}
  no-queue: {{launch command: [no-such-queue, '{{command}}']}}
  cluster: {{launcher: slurm}}
workers: {{}}"
    );
    system.write_config();
    let mut text = all(&system, &[&["doctor", "--hosts"]]);
    system.start_broker();
    text += &all(&system, &[&["doctor", "--hosts"], &["doctor", "--hosts", "--json"]]);
    assert_snapshot("doctor_hosts", &text);
}
