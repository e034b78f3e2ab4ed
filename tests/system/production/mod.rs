//! A production system of NEMO_Nowcast runs here with its configuration unchanged: 'nowcast.yaml' has every setting that
//! NEMO_Nowcast knows. The test fills in only ports, folders and a time other than the current one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::ports::free_ports;
use crate::support::python;
use crate::support::servers::Server;
use crate::support::system::{System, system};

/// A stand-in for ssh: everything after the host's name is a line for the shell there.
const SSH: &str = "#!/bin/bash\nshift\nexport WHERE=there\nexec bash -c \"$*\"\n";

fn production(mail: &Server, web: &Server) -> System {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/production/files");
    let read = |name: &str| fs::read_to_string(files.join(name)).expect("a file of the test's");
    let python = python::venv();
    let environment = python.parent().and_then(Path::parent).expect("a virtual environment");
    let mut builder = system()
        .env("NOWCAST_ENV", &environment.display().to_string())
        .env("SLACK_DAILY_PROGRESS", &web.url("/daily"))
        .file("envvars.sh", "export SOURCED=yes\n")
        .file("bin/ssh", SSH);
    for entry in fs::read_dir(files.join("nowcast/workers")).expect("the workers").flatten() {
        let name = format!("nowcast/workers/{}", entry.file_name().display());
        builder = builder.file(&name, read(&name));
    }
    let mut system = builder.file("nowcast/__init__.py", "").only_rules(&read("next_workers.lua")).prepare();
    fs::set_permissions(system.path("bin/ssh"), fs::Permissions::from_mode(0o755)).expect("it can be run");
    let folder = system.path("").display().to_string().trim_end_matches('/').to_owned();
    system.set_env("NOWCAST_LOGS", &folder);
    system.set_env("PYTHONPATH", &folder);
    let path = std::env::var("PATH").unwrap_or_default();
    system.set_env("PATH", &format!("{}:{path}", system.path("bin").display()));
    let port = || free_ports().0.to_string();
    let pool: Vec<String> = (0..6).map(|_| port()).collect();
    // Half a day away, whatever time it is.
    let never_now =
        jiff::ZonedDateTime::now().checked_add(jiff::SignedDuration::from_hours(12)).expect("a time");
    let mut config = read("nowcast.yaml");
    for (what, with) in [
        ("FOLDER", folder),
        ("PYTHON", python.display().to_string()),
        ("MAIL_PORT", mail.port.to_string()),
        ("NEVER_NOW", never_now.strftime("%H:%M").to_string()),
        ("MANAGER_PORT", system.manager_port.to_string()),
        ("WORKERS_PORT", system.workers_port.to_string()),
        ("BROKER_LOG_PORT", port()),
        ("MANAGER_LOG_PORT", port()),
        ("SCHEDULER_LOG_PORT", port()),
        ("POOL", pool.join(", ")),
        ("RUN_LOG_PORT", port()),
        ("PLOTS_LOG_PORT", port()),
    ] {
        config = config.replace(what, &with);
    }
    fs::write(system.config(), config).expect("written");
    system
}

#[test]
fn a_production_system_runs_with_its_configuration_as_it_is() {
    let (mail, web) = (Server::mail(None), Server::web());
    let mut system = production(&mail, &web);
    let checked = system.operate(&["config", "check"]);
    assert!(checked.ends_with("nowcast.yaml is valid: 9 workers registered\n"), "{checked}");
    assert!(!checked.contains("error") && !checked.contains("warning"), "{checked}");
    let rules = system.operate(&["rules", "check"]);
    assert!(rules.ends_with(": 0 errors, 0 warnings\n"), "{rules}");

    let up = system.command(&["up", "--launch", "nowcast.workers.download_weather 12 2.5km"]);
    system.spawn("up", up);
    let log = || fs::read_to_string(system.path("nowcast.debug.log")).unwrap_or_default();
    system.wait_for("the end of the day", || {
        let runs: Value = serde_json::from_str(&system.operation(&["runs", "--json"]).1).ok()?;
        let done = |name: &str| {
            runs.as_array()?.iter().find(|run| run["worker"] == name && run["state"] == "succeeded")
        };
        done("clear_checklist").map(|_| ())
    });

    // Each worker has run once, and the join has waited for three of them.
    let runs: Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let names: Vec<&str> =
        runs.as_array().expect("a list").iter().filter_map(|run| run["worker"].as_str()).collect();
    let expected = [
        "clear_checklist",
        "rotate_logs",
        "make_plots",
        "run_NEMO",
        "make_ssh_files",
        "make_runoff_file",
        "collect_weather",
        "download_weather",
    ];
    assert_eq!(names, expected, "{}", system.describe());
    let on_host =
        runs.as_array().expect("a list").iter().find(|run| run["worker"] == "run_NEMO").expect("a run");
    assert_eq!(
        (on_host["host"].as_str(), on_host["args"].clone()),
        (Some("salish-nowcast"), json!(["nowcast"]))
    );

    // The checklist before it was cleared: strings are strings, a set is a set, `need` was answered.
    let cleared = fs::read_to_string(system.path("checklist.log")).expect("the checklist's log");
    for part in [
        "'forecasts': ['00', '06', '12', '18']",
        "'NEMO run': {'nowcast': {'host': 'there', 'weather': 'collected'}}",
        "'rivers forcing': {'number': '08MF005', 'station': 'Fraser'}",
        "'sshNeahBay': {'files': {'2026-03-14', '2026-03-15'}}",
    ] {
        assert!(cleared.contains(part), "{part}\n{cleared}");
    }

    // Everybody's lines have come together, also from the host.
    for line in [
        "INFO [message_broker] running in process ",
        "INFO [manager] publishing logging messages to tcp://127.0.0.1:",
        "INFO [scheduler] running in process ",
        "INFO [download_weather] download_weather works with ['12', '2.5km']",
        "INFO [run_NEMO] run_NEMO works with ['nowcast']",
        "INFO [manager] launching NextWorker(module='nowcast.workers.run_NEMO', args=['nowcast'], host='salish-nowcast')",
        "CRITICAL [manager] no plots today",
        "INFO [clear_checklist] ",
    ] {
        let old = || fs::read_to_string(system.path("nowcast.debug.log.1")).unwrap_or_default();
        system.wait_for(line, || (old() + &log()).contains(line).then_some(()));
    }
    let command = format!(
        "cmd = ['ssh', 'salish-nowcast', 'source', '{0}/envvars.sh', ';', '{1}', '-m', 'nowcast.workers.run_NEMO', '{0}/nowcast.yaml', 'nowcast']",
        system.path("").display().to_string().trim_end_matches('/'),
        python::venv().display()
    );
    let old = fs::read_to_string(system.path("nowcast.debug.log.1")).expect("rotated");
    assert!(old.contains(&command), "{command}\n{old}");

    // Slack and the mail of what is critical.
    web.wait_for(2, || system.describe());
    let bodies: Vec<String> =
        web.kept().iter().map(|kept| kept["body"].as_str().unwrap_or_default().to_owned()).collect();
    let text = |worker| {
        format!(
            "{{\"text\": \"{worker}: success\\nLog: https://example.org/nowcast.log\\nChecklist: https://example.org/nowcast_checklist.yaml\"}}"
        )
    };
    assert_eq!(bodies, [text("collect_weather"), text("run_NEMO")]);
    mail.wait_for(1, || system.describe());
    let sent = mail.kept()[0].to_string();
    assert!(
        sent.contains("CRITICAL message from the nowcast system")
            && sent.contains("[manager] no plots today"),
        "{sent}"
    );

    // What is next, and that all daemons are there.
    let all = ["broker", "manager", "log-aggregator", "scheduler"];
    let status = system.wait_for("all daemons", || {
        let status: Value = serde_json::from_str(&system.operation(&["status", "--json"]).1).expect("JSON");
        let running = |daemon: &&Value| daemon["state"] == "running";
        let daemons = status["daemons"].as_array().expect("a list");
        let names: Vec<&Value> = daemons.iter().filter(running).map(|daemon| &daemon["name"]).collect();
        (names == all).then_some(status)
    });
    let scheduled = status["schedule"].as_array().expect("a list");
    assert!(
        scheduled
            .iter()
            .any(|next| next["item"] == "nemo_nowcast.workers.rotate_logs (every monday at 06:30)"),
        "{status}"
    );
}
