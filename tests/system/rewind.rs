//! A cycle is rewound to a worker: what followed from it happens again, and the rest stays.

use std::fs;

use serde_json::{Value, json};

use crate::support::system::{Builder, System, system};

/// The model follows the weather. With the satellite picture it makes the join `tracks`. The model also opens a race set, which has no
/// cycle.
const RULES: &str = "
function after_weather(msg)
  if msg.type == 'success' then return { worker('model', 'full') } end
  return {}
end
function after_model(msg)
  return {}, Join{
    name = 'tracks', cycle = msg.cycle, wait_for = { model = 'success', satellite = 'success' }, launch = { worker('tracks') },
  }
end
function after_satellite(msg)
  return {}, Join{ name = 'models', wait_for = { 'model' } }
end
function after_tracks(msg)
  log.info('tracks: ' .. msg.type .. ' of ' .. msg.cycle .. ' after ' .. tostring(last('model', 'success', msg.cycle) ~= nil))
  return {}
end
";

const MESSAGES: &str = "{success: it is done, failure: it is not, crash: it crashed}";

const WORKERS: &str = "workers:
  weather: {exec: [sh, -c, 'echo \"weather $NOWCAST_CYCLE $*\" >> done', weather]}
  model: {exec: [sh, -c, 'echo \"model $NOWCAST_CYCLE $*\" >> done', model]}
  tracks: {exec: [sh, -c, 'echo \"tracks $NOWCAST_CYCLE\" >> done; test ! -e broken']}
cycles: {done: [{worker: tracks}]}
";

fn builder() -> Builder {
    ["weather", "model", "satellite", "tracks"]
        .iter()
        .fold(system(), |builder, name| builder.worker(&format!("{name}: {MESSAGES}")))
        .section(WORKERS)
        .rules(RULES)
}

/// What the workers did, in any order.
fn work_done(system: &System) -> Vec<String> {
    let text = fs::read_to_string(system.path("done")).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Wait until everything of a cycle has happened and ended, with so many tracks.
fn wait_for_tracks(system: &System, label: &str, count: usize) {
    let tracks = format!("tracks {label}");
    system.wait_for(&format!("{count} × {tracks}, and nothing open"), || {
        let is_done = work_done(system).iter().filter(|line| **line == tracks).count() == count;
        let is_closed = || read(system, &["runs", "--open", "--json"]) == json!([]);
        (is_done && is_closed()).then_some(())
    });
}

/// A system in which a cycle is complete. Its satellite picture has come first.
fn complete(label: &str) -> System {
    let system = builder().start();
    system.operate(&["send", "--cycle", label, "satellite", "success"]);
    system.operate(&["launch", "--cycle", label, "weather", "12"]);
    wait_for_tracks(&system, label, 1);
    system
}

fn read(system: &System, command: &[&str]) -> Value {
    serde_json::from_str(&system.operation(command).1).expect("JSON")
}

const REWIND: [&str; 5] = ["rerun", "--cycle", "a", "--from", "weather"];

fn refusal(system: &System, command: &[&str], status: i32, reason: &str) {
    let (found, text) = system.operation(command);
    assert_eq!(found, Some(status), "{command:?}: {text}");
    assert!(text.contains(reason), "{command:?}: {text}");
}

/// The workers of a list in the JSON.
fn workers(list: &Value) -> Vec<&str> {
    let workers = list.as_array().expect("a list").iter().map(|item| item["worker"].as_str());
    workers.map(|worker| worker.expect("a name")).collect()
}

#[test]
fn to_rewind_a_cycle_does_again_what_followed_and_nothing_else() {
    let mut system = complete("a");
    assert_eq!(read(&system, &["cycle", "a", "--json"])["state"], "done");
    refusal(&system, &REWIND, 2, "nothing was changed: there is no terminal for the question; add --yes");
    assert_eq!(work_done(&system).len(), 3);
    let page = read(&system, &[&REWIND[..], &["--yes", "--json"]].concat());
    let text = "cycle a is rewound to weather: 3 messages are forgotten, 1 join is open again (tracks), 1 launch follows";
    assert_eq!((&page["done"], &page["text"]), (&json!(true), &json!(text)), "{page:#}");
    assert_eq!(workers(&page["forget"]), ["weather", "model", "tracks"]);
    assert_eq!((workers(&page["launch"]), &page["launch"][0]["args"]), (vec!["weather"], &json!(["12"])));
    assert_eq!(page["reopen"][0]["name"], "tracks", "{page:#}");
    let kept = page["not_rewound"].to_string();
    assert!(
        kept.contains("the checklist")
            && kept.contains("models: it counts messages without regard to cycles"),
        "{kept}"
    );
    wait_for_tracks(&system, "a", 2);
    let twice = ["model a full", "model a full", "tracks a", "tracks a", "weather a 12", "weather a 12"];
    assert_eq!(work_done(&system), twice);

    // The next manager knows the same, and a replay of the day decides the same.
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    assert_eq!(read(&system, &["cycle", "a", "--json"])["state"], "done");
    let (status, text) = system.operation(&["rules", "replay", "--exit-code"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("could not be reproduced") && text.contains(" 0 not comparable"), "{text}");
    let (status, text) = system.operation(&["journal", "check"]);
    assert_eq!(status, Some(0), "{text}");

    // From the end: only the tracks are made again. They follow from a join that is not opened for that.
    let answer = system.operate(&["rerun", "--cycle", "a", "--from", "tracks", "--yes"]);
    assert!(answer.contains("LAUNCH\n  tracks") && answer.contains("FORGET 1 message\n"), "{answer}");
    assert!(!answer.contains("OPEN AGAIN"), "{answer}");
    wait_for_tracks(&system, "a", 3);
    assert_eq!(work_done(&system).len(), 7);
    let why = system.operate(&["why", "tracks"]);
    assert!(why.contains("nowcast rerun --cycle a --from tracks"), "{why}");
}

#[test]
fn a_join_that_other_messages_complete_launches_at_once_and_the_plan_says_so() {
    let system = complete("a");
    system.operate(&["send", "--cycle", "a", "model", "success"]);
    let answer = system.operate(&[&REWIND[..], &["--yes"]].concat());
    assert!(
        answer.contains(", since join #") && answer.contains("3 messages are forgotten, 2 launches follow"),
        "{answer}"
    );
    assert!(!answer.contains("OPEN AGAIN"), "{answer}");
    wait_for_tracks(&system, "a", 2);

    let system = complete("a");
    system.operate(&["send", "--cycle", "a", "model", "success"]);
    let page = read(&system, &[&REWIND[..], &["--yes", "--json"]].concat());
    let launches = &page["launch"];
    assert_eq!((workers(launches), &page["reopen"]), (vec!["weather", "tracks"], &json!([])), "{page:#}");
    assert!(launches[0]["rerun_of"].is_u64() && launches[0]["join"].is_null(), "{page:#}");
    assert!(launches[1]["rerun_of"].is_null() && launches[1]["join"].is_u64(), "{page:#}");
    assert_eq!(launches[1]["parked"], json!(null));
    wait_for_tracks(&system, "a", 2);
}

#[test]
fn a_rewind_that_cannot_be_done_says_why_and_changes_nothing() {
    let system = complete("a");
    system.operate(&["launch", "--cycle", "b", "weather"]);
    system
        .wait_for("the model of b", || work_done(&system).contains(&"model b full".to_owned()).then_some(()));
    let rewind =
        |cycle: &'static str, from: &'static str| ["rerun", "--cycle", cycle, "--from", from, "--yes"];
    refusal(&system, &rewind("z", "weather"), 1, "there is no cycle z");
    refusal(&system, &rewind("a", "wether"), 1, "weather");
    refusal(&system, &rewind("b", "tracks"), 1, "tracks has no run in cycle b that can be repeated");
    refusal(&system, &rewind("a", "satellite"), 1, "satellite has no run in cycle a that can be repeated");
    refusal(&system, &["rerun", "--cycle", "a"], 2, "--from");
    refusal(&system, &["rerun", "--from", "weather", "3"], 2, "--from <WORKER>' cannot be used with");
    system.operate(&["hold", "--worker", "tracks"]);
    system.operate(&["send", "--cycle", "b", "satellite", "success"]);
    let open = read(&system, &["runs", "--open", "--json"]);
    let number = open[0]["number"].to_string();
    let reason =
        format!("cycle b cannot be rewound while tracks (run #{number}) is open: nowcast why {number}");
    refusal(&system, &rewind("b", "weather"), 1, &reason);
    assert_eq!(work_done(&system).iter().filter(|line| line.starts_with("weather")).count(), 2);
    // What is open does not follow from the worker, or it is the manager's to decide.
    system.operate(&["cycle", "cancel", "b"]);
    refusal(&system, &rewind("b", "weather"), 1, "nowcast cycle resume b");
}

#[test]
fn a_failed_worker_of_a_cycle_is_repaired_by_a_rewind_to_it() {
    let system = builder().start();
    fs::write(system.path("broken"), "").expect("written");
    system.operate(&["send", "--cycle", "a", "satellite", "success"]);
    system.operate(&["launch", "--cycle", "a", "weather"]);
    wait_for_tracks(&system, "a", 1);
    assert_eq!(read(&system, &["cycle", "a", "--json"])["state"], "failed");
    fs::remove_file(system.path("broken")).expect("removed");
    system.operate(&["rerun", "--cycle", "a", "--from", "tracks", "--yes"]);
    wait_for_tracks(&system, "a", 2);
    assert_eq!(read(&system, &["cycle", "a", "--json"])["state"], "done");
    let status = read(&system, &["status", "--json"]);
    assert_eq!(status["attention"], json!([]), "the failure is repaired");
}

#[test]
fn a_rewind_asks_at_a_terminal_and_does_nothing_without_a_yes() {
    const TERMINAL: &str = "
import os, pty, sys
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[2], sys.argv[2:])
text = b''
while b'[y/N]' not in text:
    text += os.read(terminal, 4096)
os.write(terminal, sys.argv[1].encode() + b'\\n')
try:
    while True:
        text += os.read(terminal, 4096)
except OSError:
    pass
print(text.decode().replace('\\r', ''))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
";
    let system = complete("a");
    let answered = |answer: &str| {
        let ours = system.command(&[]);
        let mut command = std::process::Command::new("/usr/bin/python3");
        command.args(["-c", TERMINAL, answer, crate::support::system::NOWCAST]).args(REWIND);
        command.current_dir(ours.get_current_dir().expect("a folder")).env_remove("NOWCAST_YAML");
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (status, text) = answered("n");
    assert_eq!(status, Some(1), "{text}");
    for shown in [
        "LAUNCH\n  weather 12, again after #",
        "OPEN AGAIN\n  #",
        "FORGET 3 messages",
        "NOT REWOUND\n  the checklist",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(
        text.contains("Rewind cycle a to weather? [y/N]") && text.contains("nothing was changed"),
        "{text}"
    );
    let (status, text) = answered("yes");
    assert_eq!(status, Some(0), "{text}");
    wait_for_tracks(&system, "a", 2);
    assert_eq!(work_done(&system).len(), 6, "once");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_manager_that_is_killed_at_any_step_of_a_rewind_has_done_all_of_it_or_nothing() {
    use std::os::unix::process::ExitStatusExt;

    use crate::lost::failpoints::start_failing_manager;

    for (point, is_done) in [
        // The first batch says which rules are in force.
        ("manager: decided=1*off->return", false),
        ("manager: committed=1*off->return", true),
        ("manager: kept=1*off->return", true),
        ("manager: replied=return", true),
        ("manager: checklist written=return", true),
        ("manager: launching=return", true),
        ("manager: runner started=return", true),
        ("manager: launched=return", true),
    ] {
        let mut system = complete("a");
        system.signal("manager", rustix::process::Signal::TERM);
        system.wait_for_end("manager");
        let before = system.log("manager").matches("listening...").count();
        start_failing_manager(&mut system, point);
        system.wait_for_log_count("manager", "listening...", before + 1);
        system.operation(&[&REWIND[..], &["--yes"]].concat());
        assert_eq!(system.wait_for_end("manager").signal(), Some(9), "{point}: {}", system.describe());
        system.start_manager(&[]);
        if !is_done {
            assert_eq!(
                read(&system, &["cycle", "a", "--json"])["state"],
                "done",
                "{point}: nothing is forgotten"
            );
            system.operate(&[&REWIND[..], &["--yes"]].concat());
        }
        wait_for_tracks(&system, "a", 2);
        let twice = ["model a full", "model a full", "tracks a", "tracks a", "weather a 12", "weather a 12"];
        assert_eq!(work_done(&system), twice, "{point}");
        assert_eq!(read(&system, &["cycle", "a", "--json"])["state"], "done", "{point}");
    }
}
