//! Thirty days of the worked example, lived by real programs, are decided again as they were.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::example::copy_of_the_example;
use crate::support::python;
use crate::support::system::System;
use crate::support::wait::wait_within;

/// Thirty days with a worker of several processes for each of their 750 runs, on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// The example with three days at once, days of a second, failures that a day survives, and two workers of NEMO_Nowcast.
fn example_of_short_days() -> System {
    let system = copy_of_the_example();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/backtest/files");
    let workers = system.path("workers");
    let more = fs::read(files.join("common.sh")).expect("a file");
    let mut common = OpenOptions::new().append(true).open(workers.join("common.sh")).expect("a file");
    common.write_all(&more).expect("written");
    let of_nemo_nowcast = std::env::var_os("NEMO_NOWCAST_PYTHON").map(PathBuf::from);
    for name in ["make_plots.py", "publish_pages.py", "nemo_nowcast.py"] {
        if name != "nemo_nowcast.py" || of_nemo_nowcast.is_none() {
            fs::copy(files.join(name), workers.join(name)).expect("copied");
        }
    }
    let python = of_nemo_nowcast.unwrap_or_else(python::venv);
    let mut text = fs::read_to_string(system.config()).expect("the configuration");
    for (of_the_example, here) in [
        ("weather every: 2s", "weather every: 200ms"),
        ("retries: 2, retry delay: 1s", "retries: 2, retry delay: 100ms, max cycles: 3"),
        (
            "exec: [sh, '{folder}/workers/make_plots.sh']",
            "command: [PYTHON, '{folder}/workers/make_plots.py', '{config}']",
        ),
        (
            "exec: [sh, '{folder}/workers/publish_pages.sh']",
            "command: [PYTHON, '{folder}/workers/publish_pages.py', '{config}']",
        ),
    ] {
        assert!(text.contains(of_the_example), "{of_the_example}");
        text = text.replace(of_the_example, here);
    }
    // NEMO_Nowcast reads the path of the interpreter, too.
    let text = format!("{text}\npython: PYTHON\n").replace("PYTHON", &python.display().to_string());
    fs::write(system.config(), text).expect("written");
    let model = workers.join("run_model.sh");
    let text = fs::read_to_string(&model).expect("the model");
    fs::write(model, text.replace("sleep 0.5\n", "")).expect("written");
    system
}

/// Let the system live its thirty days.
fn live(system: &mut System) {
    let up = system.command(&["up"]);
    system.spawn("up", up);
    let first_day = ["backfill", "download_weather", "--from", "2026-02-14"];
    let days = [&first_day[..], &["--to", "2026-03-15", "--yes", "--", "00"]].concat();
    system.wait_for("the beginning", || (system.operation(&days).0 == Some(0)).then_some(()));
    // Commands that ask again and again would take the processor from the days.
    let archived = || fs::read_dir(system.path("results/archive")).into_iter().flatten().flatten();
    let is_archived =
        || (archived().filter(|day| day.path().join("forecast.nc").exists()).count() == 30).then_some(());
    wait_within(DEADLINE, "the forecast of the last day", is_archived, || system.describe());
    let is_over = || (system.operate(&["runs", "--open", "--json"]).trim() == "[]").then_some(());
    system.wait_for("the end of the last run", is_over);
    system.signal("up", Signal::TERM);
    assert!(system.wait_for_end("up").success());
}

fn json(system: &System, arguments: &[&str]) -> Value {
    serde_json::from_str(&system.operate(arguments)).expect("JSON")
}

/// The runs of a worker, or those that failed.
fn runs(system: &System, which: &[&str]) -> Vec<Value> {
    let runs = json(system, &[&["runs", "-n", "1000", "--json"], which].concat());
    runs.as_array().expect("a list").clone()
}

#[test]
fn thirty_days_of_the_example_are_decided_again_as_they_were() {
    let mut system = example_of_short_days();
    live(&mut system);
    let failed = runs(&system, &["--failed"]);
    let has_failed = |worker: &str| failed.iter().any(|run| run["worker"] == worker);
    for worker in ["download_weather", "download_boundary", "upload_forcing", "grid_weather", "make_plots"] {
        assert!(has_failed(worker), "{worker} in {failed:#?}");
    }
    // Workers of NEMO_Nowcast do not say which run they are; their messages do.
    let plots = runs(&system, &["--worker", "make_plots"]);
    assert_eq!(plots.len(), 60);
    for plot in plots {
        let (run, date) = (&plot["args"][0], &plot["args"][1]);
        let expected = format!("success {}", run.as_str().expect("text"));
        assert!(plot["report_type"] == expected || plot["report_type"] == "crash", "{plot:#}");
        assert_eq!(&plot["cycle"], date);
    }
    let result = json(&system, &["forecast", "--backtest", "1h", "--runs", "1", "--json"]);
    assert_eq!(result["differences"], Value::Array(Vec::new()), "{result:#}");
    assert_eq!(result["forecasts"], 30, "{result:#}");
    let launches = &result["with_real_ends"];
    let count = |name: &str| launches[name].as_u64().expect("a count");
    // The forecast from the first day has all launches of thirty days, that from the last day those of one.
    assert!(count("happened") > 30 * 25 * 10, "{launches}");
    assert_eq!((count("predicted"), count("both")), (count("happened"), count("happened")));
}
