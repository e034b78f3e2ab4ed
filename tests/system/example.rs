//! The worked example runs its day.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::system::{System, system};

/// A copy of the example with ports of its own.
pub fn copy_of_the_example() -> System {
    let system = system().prepare();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/forecast");
    let copied =
        Command::new("cp").arg("-r").arg(example.join(".")).arg(system.path("")).status().expect("copied");
    assert!(copied.success());
    let text = fs::read_to_string(system.config()).expect("the configuration");
    let text = text.replace("manager: 4353", &format!("manager: {}", system.manager_port));
    let text = text.replace("workers: 4354", &format!("workers: {}", system.workers_port));
    // The schedule must not begin a day meanwhile.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let text = text.replace("at: '03:40'", &format!("at: '{}'", later.strftime("%H:%M")));
    fs::write(system.config(), text).expect("written");
    system
}

/// Start the system, acknowledge all failed runs, and stop it.
fn acknowledge_all(system: &mut System) {
    let up = system.command(&["up"]);
    system.spawn("up", up);
    system
        .wait_for("the acknowledgement", || (system.operation(&["ack", "--all"]).0 == Some(0)).then_some(()));
    system.signal("up", Signal::TERM);
    assert!(system.wait_for_end("up").success());
}

#[test]
fn a_whole_day_runs() {
    let mut system = copy_of_the_example();
    system.operate(&["up", "--launch", "download_weather 00", "--cycle", "2026-03-14", "--exit-when-idle"]);
    let page = fs::read_to_string(system.path("results/web/index.html")).expect("the page");
    assert_eq!(page, "<p>sea level 1.2 m\n<p>sea level 1.2 m\n");
    let runs = system.operate(&["runs", "-n", "100", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    let mut workers: Vec<&str> =
        runs.as_array().expect("a list").iter().map(|run| run["worker"].as_str().expect("a name")).collect();
    assert_eq!(workers.len(), 25, "{workers:?}");
    // All of them are of its cycle, and so have its date.
    let cycles = runs.as_array().expect("a list").iter().map(|run| run["cycle"].as_str());
    assert!(cycles.into_iter().all(|cycle| cycle == Some("2026-03-14")), "{runs}");
    assert!(system.path("results/archive/2026-03-14/forecast.nc").exists());
    workers.sort_unstable();
    workers.dedup();
    assert_eq!(workers.len(), 12, "{workers:?}");
    // The gauge that does not answer is all that went wrong.
    let failed = system.operate(&["runs", "--failed"]);
    assert_eq!(failed.lines().count(), 2, "{failed}");
    assert!(failed.contains("dogwood_falls"), "{failed}");
    // Its web pages were published, so it is done: once that failure is acknowledged, nothing else is said of it.
    let of_state = |system: &System, state: &str| {
        let cycles = system.operate(&["cycles", "--state", state, "--json"]);
        let cycles: serde_json::Value = serde_json::from_str(&cycles).expect("JSON");
        let cycles = cycles.as_array().expect("a list").iter().map(|cycle| cycle["cycle"].clone());
        cycles.collect::<Vec<_>>()
    };
    assert_eq!(of_state(&system, "failed"), ["2026-03-14"]);
    acknowledge_all(&mut system);
    assert_eq!(of_state(&system, "done"), ["2026-03-14"]);
    // Its last worker cleared the checklist.
    assert_eq!(system.operate(&["checklist", "show"]), "{}\n");
    // Its rules are tested completely, and no cycle is endless.
    let tested = system.operate(&["rules", "test", "--min-coverage", "100"]);
    assert!(tested.contains("100"), "{tested}");
    let checked = system.operate(&["rules", "check", "--strict"]);
    assert!(checked.contains("0 errors, 0 warnings"), "{checked}");
}

/// A day to come is predicted from the day that was, and goes like that.
#[test]
fn a_day_goes_as_it_was_predicted() {
    let system = copy_of_the_example();
    let run_day = |cycle: &str| {
        let up = ["up", "--launch", "download_weather 00", "--cycle", cycle, "--exit-when-idle"];
        system.operate(&up);
    };
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&system.operate(arguments)).expect("JSON")
    };
    // The launches of a list, without their options, each as often as it is there.
    let launches = |runs: &serde_json::Value| {
        let runs = runs.as_array().expect("a list").iter();
        let mut launches: Vec<String> =
            runs.map(|run| format!("{} {}", run["worker"], run["args"])).collect();
        launches.sort_unstable();
        launches
    };
    run_day("2026-03-14");
    // The schedule brings the first worker half a day from now, so on one of the next two dates as the machine has them.
    let tomorrow = jiff::ZonedDateTime::now().date().tomorrow().expect("a date");
    let day = tomorrow.tomorrow().expect("a date").to_string();
    let forecast =
        json(&["forecast", "--at", &day, "--cycle", &day, "--until", "36h", "--runs", "20", "--json"]);
    assert!(
        forecast["runs"].as_array().expect("runs").iter().all(|run| run["probability"] == 1.0),
        "{forecast}"
    );
    assert_eq!(
        (forecast["failed_rules"].as_array().map(Vec::len), forecast["draws"].as_u64()),
        (Some(0), Some(20))
    );
    run_day(&day);
    let runs = json(&["runs", "--cycle", &day, "-n", "100", "--json"]);
    assert_eq!(launches(&forecast["runs"]), launches(&runs), "{forecast}");
    // With the model failing, the next day has no pages. The joins of this one are complete, and would not launch again.
    let next = tomorrow.tomorrow().and_then(jiff::civil::Date::tomorrow).expect("a date").to_string();
    let what_if =
        json(&["forecast", "--at", &next, "--until", "36h", "--fail", "run_model", "--runs", "5", "--json"]);
    let changed = what_if["changed_runs"].as_array().expect("a list");
    assert!(changed.iter().any(|run| run["worker"] == "publish_pages"), "{changed:?}");
}
