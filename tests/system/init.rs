//! `nowcast init` makes a system that works, and adds workers to it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::python;
use crate::support::system::{NOWCAST, free_ports};
use crate::support::wait::wait_for;

/// Run a command in a folder: its status and output.
fn nowcast(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(NOWCAST);
    command.args(arguments).current_dir(folder);
    for name in ["NOWCAST_LOGS", "NOWCAST_YAML", "NOWCAST_ENV"] {
        command.env_remove(name);
    }
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// The same of a command that must succeed.
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let (status, text) = nowcast(folder, arguments);
    assert_eq!(status, Some(0), "{arguments:?}: {text}");
    text
}

/// A new system with ports of its own, as other tests make systems at the same time, and with a schedule that launches nothing now.
pub(crate) fn new_system(template: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    succeeds(folder.path(), &["init", "--template", template]);
    let file = folder.path().join("nowcast.yaml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let (begin, rest) = text.split_once("ports: {").expect("ports");
    let (_, end) = rest.split_once('}').expect("its end");
    let (manager, workers) = free_ports();
    let later = jiff::ZonedDateTime::now() + jiff::SignedDuration::from_hours(12);
    let end = end.replace("at: '06:", &format!("at: '{}:", later.strftime("%H")));
    fs::write(file, format!("{begin}ports: {{manager: {manager}, workers: {workers}}}{end}"))
        .expect("written");
    folder
}

/// The files of a folder with the hashes of their contents.
fn files(folder: &Path) -> String {
    let list = ["-c", "find . -type f -exec sha256sum {} + | sort"];
    let output = Command::new("sh").args(list).current_dir(folder).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn each_template_is_valid_and_its_tests_pass() {
    for template in ["minimal", "scripts", "forecast"] {
        let folder = new_system(template);
        let text = succeeds(folder.path(), &["config", "check"]);
        assert!(!text.contains("warning") && text.contains("is valid"), "{template}: {text}");
        let text = succeeds(folder.path(), &["rules", "check"]);
        assert!(text.contains(" 0 errors, 0 warnings"), "{template}: {text}");
        let text = succeeds(folder.path(), &["rules", "test"]);
        assert!(text.contains(" passed, 0 failed"), "{template}: {text}");
        assert!(folder.path().join("rules/.types/nowcast.lua").is_file());
        let config = fs::read_to_string(folder.path().join("nowcast.yaml")).expect("the configuration");
        assert!(config.starts_with("# yaml-language-server: $schema=nowcast.schema.json\n"), "{config}");
        let schema = fs::read_to_string(folder.path().join("nowcast.schema.json")).expect("the schema");
        assert_eq!(schema, succeeds(folder.path(), &["generate", "schema"]));
    }
}

#[test]
fn a_minimal_system_runs_workers_in_shell_and_python_and_a_built_in_one() {
    let folder = new_system("minimal");
    let log = succeeds(folder.path(), &["up", "--launch", "get_obs", "--exit-when-idle"]);
    let runs = succeeds(folder.path(), &["runs", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    let runs: Vec<_> =
        runs.as_array().expect("runs").iter().map(|run| (&run["worker"], &run["state"])).collect();
    let expected = ["rotate_logs", "make_plots", "get_obs"].map(|worker| (worker.into(), "succeeded".into()));
    assert_eq!(runs, expected.iter().map(|(worker, state)| (worker, state)).collect::<Vec<_>>(), "{log}");
    let plot = fs::read_to_string(folder.path().join("results/obs.html")).expect("a plot");
    assert!(plot.starts_with("<p>"), "{plot}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = new_system("minimal");
    let before = files(folder.path());
    let (status, text) = nowcast(folder.path(), &["init", "--template", "forecast"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("nowcast.yaml exists, and is not overwritten; nothing was written"), "{text}");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_worker_is_added_to_configuration_rules_tests_and_scripts() {
    for (name, option, script) in
        [("get_ice", "--shell", "workers/get_ice.sh"), ("get_tides", "--python", "workers/get_tides.py")]
    {
        let folder = new_system("minimal");
        let rules = folder.path().join("rules/next_workers.lua");
        let before = fs::read_to_string(&rules).expect("rules");
        succeeds(folder.path(), &["init", "--worker", name, option]);
        assert!(folder.path().join(script).is_file(), "{script}");
        assert!(fs::read_to_string(&rules).expect("rules").starts_with(&before), "what was there stays");
        let text = succeeds(folder.path(), &["rules", "check"]);
        assert!(text.contains("4 rules") && text.contains(" 0 errors, 0 warnings"), "{text}");
        let text = succeeds(folder.path(), &["rules", "test"]);
        assert!(text.contains(&format!("{name} > launches nothing")), "{text}");
        let names = fs::read_to_string(folder.path().join("rules/.types/system.lua")).expect("declarations");
        assert!(names.contains(&format!("---| \"{name}\"\n")), "{names}");
        succeeds(folder.path(), &["up", "--launch", name, "--exit-when-idle"]);
        assert_eq!(succeeds(folder.path(), &["checklist", "get", name, "done"]), "true\n");

        let before = files(folder.path());
        let (status, text) = nowcast(folder.path(), &["init", "--worker", name]);
        assert_eq!(status, Some(1));
        assert!(text.contains(&format!("nowcast.yaml has a worker {name} already")), "{text}");
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_worker_that_cannot_be_added_changes_nothing() {
    let folder = new_system("minimal");
    let write = |text: &str| fs::write(folder.path().join("nowcast.yaml"), text).expect("written");
    for (name, config, expected) in [
        ("a-b", None, "invalid name \"a-b\"; use letters, digits and `_`"),
        ("end;x", None, "invalid name"),
        ("on", None, "a worker's name must be text"),
        (
            "new",
            Some("message registry: {workers: {a: }}\n"),
            "nothing was written; add `new:` below `message registry: workers:` by hand",
        ),
        ("new", Some("message registry: ["), "not valid YAML"),
    ] {
        if let Some(config) = config {
            write(config);
        }
        let before = files(folder.path());
        let (status, text) = nowcast(folder.path(), &["init", "--worker", name]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(expected), "{expected}: {text}");
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_worker_without_a_system_is_refused_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (status, text) = nowcast(folder.path(), &["init", "--worker", "get_obs"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("nowcast.yaml does not exist") && text.contains("make a system with \"nowcast init\""),
        "{text}"
    );
    let (_, text) = nowcast(folder.path(), &["init", "obs", "--worker", "get_obs"]);
    assert!(text.contains("make a system with \"nowcast init obs\""), "{text}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_worker_whose_rule_is_there_keeps_it_and_a_command_that_was_killed_can_be_repeated() {
    let folder = new_system("minimal");
    let rules = folder.path().join("rules/next_workers.lua");
    let own =
        fs::read_to_string(&rules).expect("rules") + "after_get_ice = function (msg)\n  return {}\nend\n";
    fs::write(&rules, &own).expect("written");
    let before = fs::read_to_string(folder.path().join("nowcast.yaml")).expect("readable");
    let text = succeeds(folder.path(), &["init", "--worker", "get_ice"]);
    assert_eq!(fs::read_to_string(&rules).expect("rules"), own, "{text}");
    // As if it had been killed before the configuration was written.
    fs::write(folder.path().join("nowcast.yaml"), before).expect("written");
    let text = succeeds(folder.path(), &["init", "--worker", "get_ice"]);
    assert!(text.contains("workers/get_ice.sh is unchanged"), "{text}");
    assert!(text.contains("nowcast.yaml has the worker get_ice"), "{text}");
}

#[test]
fn supervisor_runs_the_daemons() {
    let folder = new_system("minimal");
    let scripts = python::venv();
    let program = |name: &str| {
        let mut command = Command::new(scripts.parent().expect("the scripts").join(name));
        command.args(["-c", "supervisord.ini"]).current_dir(folder.path()).stdout(Stdio::null());
        command
    };
    let mut supervisor = program("supervisord").arg("-n").spawn().expect("it starts");
    let is_running = || {
        let (_, status) = nowcast(folder.path(), &["status"]);
        (status.contains("HEALTHY") && status.contains("3/3 daemons")).then_some(())
    };
    let text = || fs::read_to_string(folder.path().join("logs/supervisor.log")).unwrap_or_default();
    wait_for("three daemons", is_running, text);
    succeeds(folder.path(), &["launch", "get_obs"]);
    let is_plotted = || folder.path().join("results/obs.html").is_file().then_some(());
    wait_for("a plot", is_plotted, text);
    assert!(program("supervisorctl").arg("shutdown").status().expect("it runs").success());
    assert!(supervisor.wait().expect("it ends").success(), "{}", text());
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    succeeds(folder.path(), &["init", "a %b"]);
    let units = folder.path().join("a %b/systemd");
    let names = fs::read_dir(&units).expect("units").map(|unit| unit.expect("a unit").path());
    let output =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(names).output().expect("systemd");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[test]
fn a_worker_is_added_to_the_files_that_have_the_sections() {
    let folder = new_system("minimal");
    let file = folder.path().join("nowcast.yaml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let at = text.find("\nworkers:").expect("a section") + 1;
    let section = |text: &str| text[..text.find("\n\n").map_or(text.len(), |end| end + 1)].to_owned();
    let workers = section(&text[at..]);
    fs::write(folder.path().join("workers.yaml"), &workers).expect("written");
    fs::write(&file, format!("include: workers.yaml\n{}", text.replace(&workers, ""))).expect("written");
    let said = succeeds(folder.path(), &["init", "--worker", "get_ice"]);
    assert!(
        said.contains("nowcast.yaml has the worker") && said.contains("workers.yaml has the worker"),
        "{said}"
    );
    assert!(
        fs::read_to_string(folder.path().join("workers.yaml"))
            .expect("readable")
            .contains("  get_ice: {exec: [sh, ")
    );
    let text = fs::read_to_string(&file).expect("readable");
    assert!(text.contains("    get_ice:\n") && !text.contains("exec:"), "{text}");
    assert!(succeeds(folder.path(), &["config", "check"]).contains("is valid"));
}
