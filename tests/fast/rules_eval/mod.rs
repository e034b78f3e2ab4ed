//! `nowcast rules eval`, by the real program: cases in, answers out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use crate::support::system::{NOWCAST, System, system};
use serde_json::{Value as Json, json};

const RULES: &str = r#"
function after_sleep(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("nowcast.workers.awaken", { "--debug", 5, date("2026-03-14") }) }, { "keyless", "awaken" }
  elseif msg.type == "failure" then
    error("no luck")
  end
  return {}
end

function after_awaken(msg, config, checklist)
  local order, members = {}, {}
  for key in pairs(checklist) do add(order, key) end
  for member in pairs(checklist.names or {}) do add(members, member) end
  log.info("said")
  return { worker("keyless", table.concat(order, " "), table.concat(members, " "), config.name or "", tostring(now())) }
end

function after_keyless(msg, config, checklist)
  return { worker("sleep"):with{ host = "arbutus", delay = "10m", retries = 2, env = { A = "1" } } },
    Join{ name = "all", wait_for = { awaken = 14, sleep = "success" }, launch = { worker("rotate_logs") }, timeout = "3h" }
end
"#;

fn rules() -> System {
    system().rules(RULES).prepare()
}

fn command(system: &System) -> Command {
    let mut command = Command::new(NOWCAST);
    command.args(["rules", "eval"]).current_dir(system.path("")).env("TZ", "America/Vancouver");
    command
}

/// What the program makes of these lines.
fn eval(system: &System, input: &str) -> Vec<Json> {
    let mut child = command(system).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("ended");
    writing.join().expect("no panic").expect("written");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn with(system: &System, arguments: &[&str]) -> Output {
    command(system).args(arguments).stdin(Stdio::null()).output().expect("ended")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_case_gets_its_line_in_order() {
    let cases = r#"{"function": "after_sleep", "msg": {"source": "sleep", "type": "success", "payload": null}}

{"function": "after_sleep", "msg": {"source": "sleep", "type": "other"}}
{"msg": {"source": "sleep", "type": "failure", "payload": {}}}
not json
{"function": "after_nobody", "msg": {"source": "nobody", "type": "success"}, "checklist": {}}
{"msg": {"type": "success"}}
{"function": "after_sleep", "msg": {"type": "success"}, "now": "soon"}
{"function": "after_sleep", "msg": {"type": "success"}, "cheklist": {}}"#;
    let answers = eval(&rules(), cases);
    let launch = json!({"module": "nowcast.workers.awaken", "args": ["--debug", "5", "2026-03-14"], "host": "localhost"});
    assert_eq!(answers[0], json!({"next_workers": [launch], "race": ["keyless", "awaken"]}));
    assert_eq!(answers[1], json!({"next_workers": [], "race": null}));
    let error = |at: usize| answers[at]["error"].as_str().expect("an error").to_owned();
    assert!(error(2).starts_with("next_workers.lua:11: no luck"), "{}", error(2));
    assert!(error(3).starts_with("this is not a case: expected"), "{}", error(3));
    assert_eq!(error(4), "could not find after_nobody in next_workers module");
    assert_eq!(error(5), "this is not a case: it has neither `function` nor `source`");
    assert!(error(6).starts_with("\"soon\" is not a time; write it as"), "{}", error(6));
    assert!(error(7).contains("unknown field `cheklist`"), "{}", error(7));
    assert_eq!(answers.len(), 8);
}

#[test]
fn a_case_brings_its_own_world() {
    let answers = eval(
        &rules(),
        r#"{"msg": {"source": "awaken", "type": "success"}, "config": {"name": "other"}, "checklist": {"z": 1, "names": {"__set__": ["q", "b"]}, "a": 2}, "now": "2026-03-14T05:15:00-07:00"}
{"msg": {"source": "awaken", "type": "success"}, "checklist": {}, "now": "2026-03-14T05:15:00"}
{"msg": {"source": "awaken", "type": "success"}, "checklist": {}, "now": "2026-03-14T05:15:00-07:00[America/Vancouver]"}"#,
    );
    let args = |at: usize| answers[at]["next_workers"][0]["args"].clone();
    assert_eq!(args(0), json!(["z names a", "q b", "other", "2026-03-14T05:15:00-07:00"]));
    assert_eq!(
        args(1)[3],
        "2026-03-14T05:15:00-07:00",
        "a time without an offset is in the current time zone"
    );
    assert_eq!(args(2)[3], args(1)[3]);
}

#[test]
fn options_and_joins_are_shown() {
    let answers = eval(&rules(), r#"{"msg": {"source": "keyless", "type": "success"}, "checklist": {}}"#);
    let launch = json!({"module": "sleep", "args": [], "host": "arbutus", "delay": 600.0, "retries": 2, "env": [["A", "1"]]});
    let wait_for =
        json!([{"worker": "awaken", "count": 14}, {"worker": "sleep", "type": "success", "count": 1}]);
    let then = json!({"module": "rotate_logs", "args": [], "host": "localhost"});
    let join = json!({"name": "all", "wait_for": wait_for, "launch": [then], "timeout": 10_800.0});
    assert_eq!(answers[0], json!({"next_workers": [launch], "race": ["awaken", "sleep"], "join": join}));
}

#[test]
fn each_case_is_answered_before_the_next_is_read() {
    let system = rules();
    let mut child = command(&system).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    for _ in 0..3 {
        stdin.write_all(b"{\"msg\": {\"source\": \"sleep\", \"type\": \"other\"}}\n").expect("written");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("an answer");
        assert_eq!(line, "{\"next_workers\":[],\"race\":null}\n");
    }
    drop(stdin);
    assert!(child.wait().expect("ended").success());
}

#[test]
fn one_case_comes_from_options() {
    let system = rules();
    let case = ["--worker", "awaken", "--type", "success", "--checklist", "{b: 1, names: !!set {x}}"];
    let output = with(&system, &[&case[..], &["--now", "2026-03-14 05:15"]].concat());
    assert_eq!(
        stdout(&output),
        "rule    next_workers.lua:16; it reads (the whole checklist), names\nlaunch  keyless 'b names' x '' 2026-03-14T05:15:00-07:00\n\
         log     INFO said\n"
    );
    assert!(output.status.success());
    let output = with(&system, &["--worker", "keyless", "--type", "success"]);
    assert_eq!(
        stdout(&output),
        "rule    next_workers.lua:24; it reads nothing\nlaunch  sleep on arbutus (delay 10m, retries 2, A=1)\n\
         join    all waits for 14 × awaken, sleep (success)\n  then  rotate_logs\n"
    );
    let output = with(&system, &["--worker", "sleep", "--type", "failure"]);
    assert!(stdout(&output).contains("error   next_workers.lua:11: no luck\n"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
    let output = with(&system, &["--worker", "sleep", "--type", "other", "--json"]);
    assert_eq!(stdout(&output), "{\"next_workers\":[],\"race\":null}\n");
}

#[test]
fn edited_rules_stand_in_the_place_of_those_in_force() {
    let system = system()
        .file("rules/names.lua", "return { next = 'in_force' }")
        .file(
            "edited/mine.lua",
            "local names = require('names')\nfunction after_sleep() return { worker(names.next) } end",
        )
        .prepare();
    let case = ["--rules", "edited/mine.lua", "--worker", "sleep", "--type", "success"];
    assert_eq!(stdout(&with(&system, &case)), "rule    mine.lua:2; it reads nothing\nlaunch  in_force\n");
    std::fs::write(system.path("edited/names.lua"), "return { next = 'beside_it' }").expect("written");
    assert!(stdout(&with(&system, &case)).contains("launch  beside_it\n"));
    std::fs::write(system.path("edited/mine.lua"), "function after_sleep(").expect("written");
    let output = with(&system, &case);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("edited/mine.lua:1: "), "{output:?}");
}

#[test]
fn unreadable_input_is_reported() {
    let system = rules();
    for (arguments, expected) in [
        (&["--worker", "sleep"][..], "--type <TYPE>"),
        (&["--worker", "sleep", "--type", "success", "--payload", "{"], "the payload is not valid YAML"),
        (
            &["--worker", "sleep", "--type", "success", "--payload", "@nowhere"],
            "cannot read the payload from nowhere",
        ),
        (
            &["--worker", "sleep", "--type", "success", "--checklist", "x.yaml"],
            "--checklist @FILE reads one from a file",
        ),
        (&["--worker", "sleep", "--type", "success", "--now", "soon"], "\"soon\" is not a time"),
        (
            &["--worker", "sleep", "--type", "success", "--now", "2026-03-14T05:15[America/Vancover]"],
            "is not a time",
        ),
        (&["nowhere.yaml"], "nowhere.yaml"),
    ] {
        let output = with(&system, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {output:?}");
    }
}

#[test]
fn without_a_checklist_it_is_that_of_the_running_system() {
    let rules = "function after_awaken(msg, config, checklist) return { worker('keyless', checklist.sleepyhead['sleep time']) } end";
    let system = system().rules(rules).start();
    assert_eq!(system.send("sleep", "success", "{sleep time: 7}"), "ack");
    let output = with(&system, &["--worker", "awaken", "--type", "success"]);
    assert!(stdout(&output).contains("launch  keyless 7\n"), "{output:?}");
}

#[test]
fn a_case_gives_the_messages_that_came_before() {
    let rules = "
function after_sleep(msg)
  local m = last('awaken', 'success', '2026-03-14')
  return { worker('keyless', m and tostring(m.time) or 'never', m and m.payload.day or 0) },
    Join{ name = 'tracks', cycle = msg.cycle or false, wait_for = { 'awaken' } }
end
function after_awaken(msg) return {}, Join{ name = 'night', since = '21:00', wait_for = { 'sleep' } } end";
    let system = system().rules(rules).prepare();
    let answers = eval(
        &system,
        r#"{"msg": {"source": "sleep", "type": "success", "cycle": "x"}, "now": "2026-03-14T05:15:00", "last": [{"worker": "awaken", "type": "success", "cycle": "2026-03-14", "time": "2026-03-14T04:00:00", "payload": {"day": 14}}, {"worker": "awaken", "type": "success"}]}
{"msg": {"source": "sleep", "type": "success"}, "last": []}
{"msg": {"source": "sleep", "type": "success"}}
{"msg": {"source": "awaken", "type": "success"}, "now": "2026-03-14T05:15:00"}
{"msg": {"source": "sleep", "type": "success"}, "last": [{"worker": "awaken", "type": "success", "time": "noon"}]}
"#,
    );
    assert_eq!(answers[0]["next_workers"][0]["args"], json!(["2026-03-14T04:00:00-07:00", "14"]));
    assert_eq!(answers[0]["join"]["cycle"], json!("x"));
    assert_eq!(answers[0].get("lacks_notes"), None);
    assert_eq!(answers[1]["next_workers"][0]["args"], json!(["never", "0"]));
    assert_eq!((answers[1].get("lacks_notes"), answers[1]["join"].get("cycle")), (None, None));
    assert_eq!(
        (&answers[2]["lacks_notes"], &answers[2]["next_workers"][0]["args"]),
        (&json!(true), &json!(["never", "0"]))
    );
    assert_eq!(answers[3]["join"]["since"], json!("2026-03-14T04:00:00Z"));
    assert!(
        answers[4]["error"].as_str().is_some_and(|error| error.starts_with("\"noon\" is not a time")),
        "{}",
        answers[4]
    );

    let text = stdout(&with(&system, &["--worker", "sleep", "--type", "success", "--cycle", "x"]));
    assert!(text.contains("it reads last: awaken success (2026-03-14) (missing)\n"), "{text}");
    assert!(text.contains("join    tracks (cycle x) waits for awaken\n"), "{text}");
    assert!(
        text.contains("last    finds nothing here; give messages as `last` of a case on standard input\n"),
        "{text}"
    );
}
