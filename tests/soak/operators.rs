//! Operators at several shells: commands that look, and commands that change something.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::ledger::BY_OPERATOR;
use crate::order::Order;
use crate::pace::pace;
use crate::scene::SOURCES;
use crate::soak::{Soak, wait_long};
use crate::support::random::Random;

pub fn run(soak: &Soak, operator: u64) {
    let mut random = soak.random(300 + operator);
    for count in 1_u64.. {
        pace(200 + random.below(600));
        if !soak.goes_on() {
            break;
        }
        let id = format!("o{operator}-{count}");
        match random.below(16) {
            0..7 => look(soak, &mut random),
            7 => hold(soak, &mut random),
            8 | 9 => launch(soak, &id),
            10 => send(soak, id, &mut random),
            11 => drop(soak.command(&["retry", "--all"])),
            12 => drop(soak.command(&["ack", "--all", "--reason", "soak"])),
            13 => kill(soak, &mut random),
            _ => release_parked(soak),
        }
        soak.done.commands.fetch_add(1, Ordering::Relaxed);
    }
}

/// Commands that change nothing.
fn look(soak: &Soak, random: &mut Random) {
    let source = SOURCES[pick(random, SOURCES.len())];
    let number = random.below(1 + 4 * soak.ledger.counts().acks).to_string();
    let commands: [&[&str]; 10] = [
        &["status"],
        &["status", "--json"],
        &["why", source],
        &["why", &number],
        &["runs", "-n", "50"],
        &["messages", "--worker", source],
        &["checklist", "get", source],
        &["checklist", "show"],
        &["tail", "shell"],
        &["journal", "check"],
    ];
    soak.command(commands[pick(random, commands.len())]);
}

/// Hold launches; release the hold, or leave that to its time.
fn hold(soak: &Soak, random: &mut Random) {
    let source = SOURCES[pick(random, SOURCES.len())];
    let target: &[&str] = match random.below(3) {
        0 => &["--all"],
        1 => &["--worker", "tick"],
        _ => &["--worker", source],
    };
    let (_, text) = soak.command(&[&["hold", "--until", "2s", "--json"], target].concat());
    if random.below(2) == 0 {
        for number in numbers(&text) {
            soak.command(&["release", &number]);
        }
    }
}

/// Launch a worker by hand.
fn launch(soak: &Soak, id: &str) {
    let token = format!("token={id}.a");
    soak.ledger.append(&format!("sent {id} launch - tick/{id}.a"));
    let (status, _) = soak.command(&["launch", "tick", &token, "--debug"]);
    if status == Some(0) {
        soak.ledger.append(&format!("ack {id}"));
    }
}

/// Speak for a worker.
fn send(soak: &Soak, id: String, random: &mut Random) {
    let order = Order::draw(id, random);
    soak.ledger.append(&order.sent("operator", "o"));
    let (status, _) = soak.command(&["send", "operator", "success", &order.payload("o")]);
    if status == Some(0) {
        soak.ledger.append(&format!("ack {}", order.id));
    }
}

/// Stop one of the running runs.
fn kill(soak: &Soak, random: &mut Random) {
    let (_, text) = soak.command(&["runs", "--open", "--json", "-n", "100"]);
    let runs: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    let token = |run: &Value| token_of(run["args"].as_array()?.iter().filter_map(Value::as_str));
    let running = runs.iter().filter(|run| run["state"] == "running");
    let victims: Vec<(String, String)> =
        running.filter_map(|run| Some((run["number"].to_string(), token(run)?))).collect();
    if victims.is_empty() {
        return;
    }
    let (number, token) = &victims[pick(random, victims.len())];
    soak.ledger.append(&format!("excuse {token} {BY_OPERATOR}"));
    soak.done.kills.fetch_add(1, Ordering::Relaxed);
    soak.command(&["kill", number]);
}

/// Release what joins have parked.
pub fn release_parked(soak: &Soak) {
    let (_, text) = soak.command(&["status", "--json"]);
    let status: Value = serde_json::from_str(&text).unwrap_or_default();
    let parked =
        status["attention"].as_array().into_iter().flatten().filter(|item| item["kind"] == "launches");
    for item in parked {
        for number in item["numbers"].as_array().into_iter().flatten() {
            soak.command(&["release", &number.to_string()]);
        }
    }
}

/// Return the token among a worker's arguments.
pub fn token_of<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    arguments.into_iter().find_map(|argument| argument.strip_prefix("token=")).map(str::to_owned)
}

fn numbers(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["numbers"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

pub fn pick(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).expect("a small number")
}

impl Soak {
    /// Run a command within the deadline; return its exit status and output. It may be refused, but never end by a
    /// signal, panic, call the configuration or the command line invalid, or find damage.
    pub fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let command = self.system.read().expect("no thread panics with it").command(arguments);
        let (status, text) = output_of(command, &format!("{arguments:?}"));
        if is_violation(status, &text) {
            self.problem(&format!("{arguments:?} ended with {status:?}: {text}"));
        }
        (status, text)
    }
}

fn is_violation(status: Option<i32>, text: &str) -> bool {
    !matches!(status, Some(0 | 1)) || text.contains("panicked at") || text.contains("is damaged")
}

#[test]
fn a_command_that_finds_damage_is_a_violation() {
    use rusqlite::Connection;
    let system = crate::support::system::system().start();
    let check = || output_of(system.command(&["journal", "check"]), "journal check");
    let (status, text) = check();
    assert!(!is_violation(status, &text), "{text}");
    let database = Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    database.execute("UPDATE events SET at = 'never'", []).expect("changed");
    let (status, text) = check();
    assert!(status == Some(1) && is_violation(status, &text), "{text}");
}

fn output_of(mut command: Command, what: &str) -> (Option<i32>, String) {
    // A file, since a pipe that is full would stop the command.
    let out = tempfile::NamedTempFile::new().expect("a file");
    let write = || File::options().append(true).open(out.path()).expect("a file");
    let mut child = command.stdout(write()).stderr(write()).spawn().expect("the command starts");
    let status = wait_long(what, || child.try_wait().expect("it can be waited for"));
    (status.code(), std::fs::read_to_string(out.path()).unwrap_or_default())
}
