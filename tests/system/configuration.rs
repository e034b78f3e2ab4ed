//! `nowcast config check`, and what a daemon says to a configuration that it cannot use.

use std::fs;

use crate::support::system::{System, system};

/// Changes the good configuration and checks it: output and exit status.
fn check(change: impl FnOnce(String) -> String) -> (String, Option<i32>) {
    let system = system().prepare();
    let text = fs::read_to_string(system.config()).expect("the configuration");
    fs::write(system.config(), change(text)).expect("written");
    let output = system.command(&["config", "check"]).output().expect("it runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn a_valid_file_is_reported_as_valid() {
    let (text, status) = check(|config| config);
    assert_eq!((text.as_str(), status), ("nowcast.yaml is valid: 5 workers registered\n", Some(0)));
}

#[test]
fn it_is_checked_with_the_same_defaults_as_other_commands() {
    let system = system().prepare();
    let text = fs::read_to_string(system.config()).expect("the configuration");
    let folder = system.path("").display().to_string();
    let logs = format!("filename: {}", folder.trim_end_matches('/'));
    fs::write(system.config(), text.replace(&logs, "filename: $(NOWCAST.ENV.NOWCAST_LOGS)"))
        .expect("written");
    let text = system.operate(&["config", "check"]);
    assert!(text.contains("note: nowcast.yaml: the environment variable NOWCAST_LOGS is not set"), "{text}");
    assert!(text.ends_with("nowcast.yaml is valid: 5 workers registered\n"), "{text}");
    assert!(!system.path("logs").exists());
    let config = system.config().display().to_string();
    let text = system.operate(&["config", "check", "-c", &config, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((report["is_usable"].as_bool(), report["workers"].as_u64()), (Some(true), Some(5)));
    assert_eq!(report["problems"][0]["severity"], "note");
}

#[test]
fn without_a_configuration_every_command_says_how_to_name_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["status"][..], &["up"], &["config", "check"], &["manager"]] {
        let mut command = system().prepare().command(arguments);
        let output = command.current_dir(&folder).output().expect("it runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("-c CONFIG") && text.contains("NOWCAST_YAML"), "{arguments:?}: {text}");
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 0, "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let system = system().prepare();
    for file in ["nowcast.yaml", "nothing.yaml"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = system.command(&["config", "check", file]);
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), text.as_str()),
            (Some(if file == "nowcast.yaml" { 0 } else { 2 }), "")
        );
    }
}

#[test]
fn one_that_has_become_a_pipe_is_refused_and_the_old_one_stays() {
    let system = system().start();
    let (config, pipe) = (system.config(), system.path("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    fs::rename(pipe, config).expect("in its place");
    system.signal("manager", rustix::process::Signal::HUP);
    system.wait_for_log("manager", "the new configuration is refused, the old one stays");
    assert!(system.log("manager").contains("it is not a regular file"), "{}", system.describe());
    system.works();
}

#[test]
fn every_error_has_file_line_key_and_remedy() {
    for (from, to, expected) in [
        (
            "checklist file:",
            "checklist_file:",
            "error: nowcast.yaml: `checklist file` is missing; did you mean `checklist_file`? (line 1)",
        ),
        ("  ports:", "  portz:", "error: nowcast.yaml, line 14, zmq: `ports` is missing"),
        (
            "{manager: ",
            "{manager: many, x: ",
            "error: nowcast.yaml, line 16, zmq: ports: manager: wrong type: string \"many\", expected a whole number from 0 to 65535",
        ),
        (
            "  next workers module: next_workers\n",
            "  next workrs module: x\n",
            "message registry: `next workers module` is missing",
        ),
        (
            "next workers module: next_workers",
            "next workers module: nowhere",
            "message registry: next workers module",
        ),
        (
            "    keyless: {success: it went well, crash: it crashed}",
            "    keyless: yes",
            "message registry: workers: keyless: must be a mapping of message types",
        ),
        ("zmq:", "zmq: [", "not valid YAML"),
        (
            "host: localhost",
            "host: 'a b'",
            "line 15, zmq: host: must be the name or the IPv4 address of a host",
        ),
        (
            "host: localhost",
            "host: localhost\n  bind: ''",
            "zmq: bind: must be the name or the IPv4 address of a host",
        ),
        (
            "python: ",
            "python: $(NOWCAST.ENV.NO_SUCH_VARIABLE)",
            "error: nowcast.yaml, line 2, python: the environment variable NO_SUCH_VARIABLE is not set",
        ),
        (
            "checklist file: ",
            "checklist file: $(NOWCAST.ENV.NO_SUCH_VARIABLE)",
            "error: nowcast.yaml, line 1, checklist file: the environment variable NO_SUCH_VARIABLE is not set",
        ),
        (
            "zmq:",
            "workers: {sleep: {max running: 0}}\nzmq:",
            "workers: sleep: max running: must be at least 1",
        ),
        (
            "zmq:",
            "workers: {sleep: {timeout: soon}}\nzmq:",
            "workers: sleep: timeout: \"soon\" is not a span of time; write it as 30s, 10m, 3h, 1h 30m or 90d",
        ),
        (
            "zmq:",
            "workers: {sleep: {retries: 1, retry delay: 5}}\nzmq:",
            "workers: sleep: retry delay: wrong type: integer `5`, expected a text",
        ),
        ("zmq:", "journal: {keep: 2 years}\nzmq:", "journal: keep: \"2 years\" is not a span of time"),
        (
            "zmq:",
            "journal: {keeps: 90d}\nzmq:",
            "there is no setting `keeps` here; did you mean `keep`?; known: `folder`, `keep`",
        ),
        ("zmq:", "cycles: {keep: 1mo}\nzmq:", "cycles: keep: \"1mo\" is not a span of time"),
        ("zmq:", "cycles: {keep: 30}\nzmq:", "cycles: keep: wrong type: integer `30`, expected a text"),
        (
            "zmq:",
            "cycles: {keeps: 30d}\nzmq:",
            "there is no setting `keeps` here; did you mean `keep`?; known: `keep`",
        ),
        (
            "zmq:",
            "workers: {sleep: {comand: [x]}}\nzmq:",
            "workers: sleep: comand: there is no setting `comand` here; did you mean `command`?; known: `command`",
        ),
        ("zmq:", "workers: {sleep: {command: []}}\nzmq:", "workers: sleep: command: must name a program"),
        ("  root: {level: DEBUG", "  root: {level: LOUD", "LOUD"),
    ] {
        let (text, status) = check(|config| {
            assert!(config.contains(from), "{from}");
            config.replace(from, to)
        });
        assert!(text.contains(expected), "{from} -> {to}: expected {expected:?}\n{text}");
        assert_eq!(status, Some(2), "{text}");
    }
}

/// Nothing but what a system must say.
const SMALLEST: &str = "
message registry:
  workers:
    get_obs:
    make_plots:
workers:
  get_obs: {exec: [sh, -c, 'echo \"hours: 6\" > $NOWCAST_PAYLOAD']}
  make_plots: {exec: ['true']}
zmq: {ports: {manager: MANAGER, workers: WORKERS}}
";

/// A system whose configuration has its ports and nothing else that has a default.
fn smallest() -> System {
    let rules = "function after_get_obs(msg)
  if msg.type == 'success' then return { NextWorker('make_plots') } end
  return {}
end
function after_make_plots(msg) return {} end\n";
    let system = system().only_rules(rules).prepare();
    let written = fs::read_to_string(system.config()).expect("readable");
    let port = |name: &str| {
        let (_, after) = written.split_once(&format!("{name}: ")).expect("a port");
        after.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let text = SMALLEST.replace("MANAGER", &port("{manager")).replace("WORKERS", &port("workers"));
    fs::write(system.config(), text).expect("written");
    system
}

#[test]
fn a_configuration_may_leave_out_all_that_has_a_default() {
    let mut system = smallest();
    let (status, text) = system.operation(&["config", "check"]);
    assert_eq!((status, text.trim_end()), (Some(0), "nowcast.yaml is valid: 2 workers registered"));
    let (status, log) = system.run_to_end(&["up", "--launch", "get_obs", "--exit-when-idle"]);
    assert_eq!(status, Some(0), "{log}");
    assert!(
        log.contains("INFO [manager] checklist updated with [get_obs] items from get_obs worker"),
        "{log}"
    );
    assert!(!log.contains(" DEBUG "), "the console has INFO: {log}");
    let checklist = system.path("logs/nowcast_checklist.yaml");
    let checklist = fs::read_to_string(checklist).expect("written");
    assert!(checklist.contains("get_obs:\n  hours: 6\n"), "{checklist}");
    for file in ["nowcast.log", "nowcast.debug.log", "checklist.log"] {
        assert!(system.path("logs").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_effective_configuration_is_shown_with_the_origin_of_each_value() {
    let system = smallest();
    let shown = system.operate(&["config", "show", "--origin"]);
    let line = |start: &str| {
        shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {shown}"))
    };
    assert!(line("zmq: host ").ends_with("  default"), "{shown}");
    assert!(line("zmq: ports: workers ").ends_with("  nowcast.yaml, line 9"), "{shown}");
    assert!(line("message registry: workers: get_obs: crash ").contains("  get_obs crashed  "), "{shown}");
    assert!(line("workers: make_plots: exec: 0 ").ends_with("  nowcast.yaml, line 8"), "{shown}");
    assert_eq!(system.operate(&["config", "show", "zmq", "host"]), "localhost\n");
    let json = system.operate(&["config", "show", "--origin", "--json", "zmq", "host"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!([{"setting": ["zmq", "host"], "value": "localhost", "file": null, "line": null}])
    );

    // What is shown is a configuration without anything left out.
    fs::create_dir(system.path("logs")).expect("a folder");
    fs::write(system.config(), system.operate(&["config", "show"])).expect("written");
    let complete = system.operate(&["config", "show", "--origin"]);
    assert!(!complete.contains("  default"), "{complete}");
    assert_eq!(system.operate(&["config", "check"]), "nowcast.yaml is valid: 2 workers registered\n");
}

#[test]
fn several_errors_are_reported_together() {
    let (text, _) =
        check(|config| config.replace("checklist file:", "checklist_file:").replace("  ports:", "  portz:"));
    assert!(text.contains("checklist file") && text.contains("zmq: `ports` is missing"), "{text}");
}

#[test]
fn a_missing_file_is_reported() {
    let system = system().prepare();
    let output = system.command(&["config", "check", "nowhere.yaml"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(
            "error: nowhere.yaml: the configuration file cannot be read: No such file or directory"
        ),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_daemon_with_an_invalid_configuration_exits_with_status_2() {
    let system = system().prepare();
    fs::write(system.config(), "zmq: [").expect("written");
    for daemon in ["broker", "manager", "up"] {
        let output = system.command(&[daemon]).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("nowcast.yaml, line 1: not valid YAML"), "{daemon}: {text}");
        assert_eq!(output.status.code(), Some(2), "{daemon}: {text}");
    }
}

#[test]
fn the_users_sections_reach_the_rules_untouched_and_in_order() {
    let system = system()
        .section("weather: {zebra: '00', apple: 1_000, mango: [12:30, null, yes]}")
        .rules(
            "function after_keyless(msg, config)
               log.info(table.concat(keys(config.weather), ' '), config.weather.apple, config.weather.mango[1], config.weather.zebra, config.weather.mango[3])
               return {}
             end",
        )
        .start();
    system.works();
    system.wait_for_log("manager", "INFO [manager] zebra apple mango 1000 750 00 true");
}

#[test]
fn nowcast_yaml_names_the_configuration() {
    let system = system().prepare();
    fs::rename(system.config(), system.path("other.yaml")).expect("renamed");
    let output =
        system.command(&["config", "check"]).env("NOWCAST_YAML", "other.yaml").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "other.yaml is valid: 5 workers registered\n");
}

#[test]
fn the_broker_binds_loopback_only_when_its_host_is_loopback() {
    let mut system = system().start();
    let out = fs::read_to_string("/proc/net/tcp").expect("the open ports");
    let line = |port: u16| {
        out.lines()
            .find(|line| line.contains(&format!(":{port:04X} ")) && line.contains(" 0A "))
            .map(str::to_owned)
    };
    let bound = line(system.workers_port).expect("a listening port");
    assert!(bound.contains("0100007F:"), "{bound}");
    system.signal("broker", rustix::process::Signal::TERM);
    system.wait_for_end("broker");
    let text = fs::read_to_string(system.config()).expect("the configuration");
    fs::write(system.config(), text.replace("  host: localhost", "  host: localhost\n  bind: 0.0.0.0"))
        .expect("written");
    system.start_broker();
    let out = fs::read_to_string("/proc/net/tcp").expect("the open ports");
    let port = format!("00000000:{:04X} ", system.workers_port);
    assert!(out.contains(&port), "{out}");
}

/// The worker `get_obs` with a setting of its own.
fn with_worker(config: &str, settings: &str) -> String {
    let config = config
        .replace("    keyless:", "    get_obs: {success: it went well, crash: it crashed}\n    keyless:");
    config.replace("zmq:", &format!("workers: {{get_obs: {settings}}}\nzmq:"))
}

#[test]
fn a_misspelt_section_is_a_warning_and_others_are_for_the_rules() {
    for (section, known) in [("scheduled worker", "scheduled workers"), ("notification", "notifications")] {
        let (text, status) = check(|config| format!("{config}\n{section}: []\n"));
        let expected = format!("{section}: unknown section, left to the rules; did you mean `{known}`?");
        assert!(text.contains("warning: nowcast.yaml, line ") && text.contains(&expected), "{text}");
        assert_eq!(status, Some(0), "{text}");
    }
    let (text, status) = check(|config| format!("{config}\nrun types: {{}}\nweather: {{}}\nrivers: {{}}\n"));
    assert_eq!((text.as_str(), status), ("nowcast.yaml is valid: 5 workers registered\n", Some(0)));
}

#[test]
fn a_repeated_key_fails_the_check_with_all_its_lines() {
    let (text, status) = check(|config| {
        format!("workers: {{sleep: {{retries: 1}}}}\n{config}\nweather:\n  a: 1\n  a: 2\nworkers: {{}}\n")
    });
    assert_eq!(status, Some(2), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{text}");
    assert!(errors[0].contains(", workers: this key appears 2 times, in lines 1, "), "{text}");
    assert!(errors[1].contains(", weather: a: this key appears 2 times, in lines "), "{text}");
    assert!(!text.contains("is valid"), "{text}");
}

#[test]
fn daemons_start_with_a_repeated_key_and_log_it() {
    let mut system = system().prepare();
    let text = fs::read_to_string(system.config()).expect("the configuration");
    fs::write(system.config(), format!("{text}\nweather: 1\nweather: 2\n")).expect("written");
    system.start_broker();
    system.start_manager(&[]);
    system.wait_for_log("manager", "WARNING");
    assert!(
        system.log("manager").contains("weather: this key appears 2 times, in lines "),
        "{}",
        system.describe()
    );
    system.works();
}

#[test]
fn a_program_that_is_not_there_is_a_warning() {
    for (settings, key, why) in [
        ("{exec: [no-such-program, x]}", "exec", "it is not in PATH"),
        ("{command: [/no/such/program]}", "command", "the program does not exist"),
        ("{exec: ['{folder}/bin/none']}", "exec", "the program does not exist"),
    ] {
        let (text, status) = check(|config| with_worker(&config, settings));
        let expected = format!(", workers: get_obs: {key}: cannot run `");
        assert!(text.contains("warning: nowcast.yaml, line ") && text.contains(&expected), "{text}");
        assert!(text.contains(why), "{text}");
        assert_eq!(status, Some(0), "{text}");
    }
    for settings in ["{exec: [sh, -c, 'true']}", "{command: [/bin/sh]}"] {
        let (text, _) = check(|config| with_worker(&config, settings));
        assert_eq!(text, "nowcast.yaml is valid: 6 workers registered\n");
    }
    let hosts = "hosts: {far: {launch command: [sh, -c, '{command}']}}\n";
    let (text, _) = check(|config| with_worker(&config, "{exec: [no-such-program]}") + "\n" + hosts);
    assert!(text.contains("or correct the name (only if it is launched on this machine)"), "{text}");
}

#[test]
fn a_script_that_does_not_exist_is_a_warning() {
    let settings = |script: &str| format!("{{exec: [sh, '{{folder}}/{script}', -x]}}");
    let (text, status) = check(|config| with_worker(&config, &settings("missing.sh")));
    assert_eq!(status, Some(0), "{text}");
    let is_reported = |line: &str| {
        line.starts_with("warning: ")
            && line.contains("exec: `sh` cannot read `")
            && line.contains("/missing.sh`: the file does not exist")
    };
    assert!(text.lines().any(is_reported), "{text}");
    for fine in [
        settings("nowcast.yaml"),
        "{exec: [sh, -c, 'cat /no/file']}".to_owned(),
        "{exec: [cat, /no/file]}".to_owned(),
    ] {
        let (text, _) = check(|config| with_worker(&config, &fine));
        assert_eq!(text, "nowcast.yaml is valid: 6 workers registered\n");
    }
}

#[test]
fn a_worker_that_rules_launch_and_that_has_no_program_is_a_warning() {
    let checked = |rules: &str| {
        let system = system().rules(rules).worker("publish: {success: done}").prepare();
        system
            .command(&["config", "check"])
            .output()
            .map(|output| String::from_utf8(output.stdout))
            .expect("it runs")
            .expect("text")
    };
    let text = checked("function after_publish() return { NextWorker('publish') } end");
    let expected = "message registry: workers: publish: `/usr/bin/python3` cannot find module `publish`; install its package there, \
                    correct the name, or give the worker a program in `workers:`";
    assert!(text.contains(expected), "{text}");
    for fine in ["NextWorker('json.decoder')", "NextWorker('sleep')"] {
        let text = checked(&format!("function after_publish() return {{ {fine} }} end"));
        assert!(!text.contains("cannot find module"), "{text}");
    }
}

#[test]
fn an_hour_that_comes_twice_in_autumn_with_one_cycle_is_a_warning() {
    let schedule = |format: &str| {
        format!(
            "scheduled workers: [sleep: {{cron: '30 * * * *', timezone: America/Vancouver, cycle: '{format}'}}]\n"
        )
    };
    let (text, status) = check(|config| format!("{config}\n{}", schedule("%Y-%m-%dT%H")));
    assert_eq!(status, Some(0), "{text}");
    let warning = text.lines().find(|line| line.contains("the clocks are set back")).expect("a warning");
    for part in [
        "warning: nowcast.yaml, line ",
        "scheduled workers: entry 1: sleep: cycle: the clocks are set back on 20",
        ": 01:30:00 comes twice, and both launches get the cycle 20",
        "T01; add the zone's offset: '%Y-%m-%dT%H%z'",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    for format in ["%Y-%m-%dT%H%z", "%Y-%m-%d"] {
        let (text, _) = check(|config| format!("{config}\n{}", schedule(format)));
        assert_eq!(text, "nowcast.yaml is valid: 5 workers registered\n");
    }
}

#[test]
fn a_python_module_that_is_not_there_is_a_warning() {
    let schedule = "scheduled workers:\n  - no_such_package.workers.keyless: {every: day, at: '05:15'}\n  \
                    - json.decoder: {every: day, at: '05:15'}\n";
    let (text, status) = check(|config| format!("{config}\n{schedule}"));
    assert_eq!(status, Some(0), "{text}");
    let expected =
        "`/usr/bin/python3` cannot find module `no_such_package.workers.keyless`; install its package there";
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("cannot find module")).collect();
    assert!(
        matches!(lines[..], [line] if line.contains(expected) && line.starts_with("warning: ")),
        "{text}"
    );
    let there = schedule.replace("{every: day,", "{host: far, every: day,");
    let (text, _) = check(|config| format!("{config}\n{there}"));
    assert!(!text.contains("cannot find module"), "{text}");
}

#[test]
fn each_error_in_what_ends_and_limits_cycles_is_reported_once() {
    let entry =
        |settings: &str| format!("scheduled workers: [sleep: {{every: day, at: '05:15', {settings}}}]");
    for (section, expected) in [
        (
            "cycles: {max active: 0}".to_owned(),
            "cycles: max active: must be at least 1; to pause launches, use nowcast hold",
        ),
        (
            "cycles: {max active: 3}".to_owned(),
            "cycles: max active: no cycle is ever done, so launches stop after 3; name the last messages",
        ),
        (
            "workers: {sleep: {max cycles: 2}}".to_owned(),
            "workers: sleep: max cycles: no cycle is ever done, so launches stop after 2; name the last messages",
        ),
        (
            "cycles: {done: [{worker: slepe}]}".to_owned(),
            "cycles: done: entry 1: worker: no worker `slepe` is in the message registry; did you mean `sleep`?",
        ),
        (
            "cycles: {done: [{worker: sleep}, {worker: sleep, type: sucess}]}".to_owned(),
            "cycles: done: entry 2: type: sleep has no message type `sucess` in the message registry; did you mean `success`?",
        ),
        (
            "cycles: {done: [{worker: sleep, type: need}]}".to_owned(),
            "cycles: done: entry 1: type: `need` is not a report of a worker",
        ),
        (entry("shift: 1d"), "sleep: shift: moves the time of `cycle:`, which is missing"),
        (
            entry("cycle: '%Y-%m-%d', shift: soon"),
            "sleep: shift: \"soon\" is not a span of time; write 1d, 6h or -1d",
        ),
        (entry("cycle: '%Y/%m/%d'"), "sleep: cycle: invalid cycle \"1970/01/01\""),
    ] {
        let (text, status) = check(|config| format!("{config}\n{section}\n"));
        assert_eq!(status, Some(2), "{section}: {text}");
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(matches!(errors[..], [error] if error.contains(expected)), "{section}: {text}");
    }
    let good = "cycles: {done: [{worker: sleep}], max active: 3}";
    let (text, status) = check(|config| format!("{config}\n{good}\n"));
    assert_eq!((text.as_str(), status), ("nowcast.yaml is valid: 5 workers registered\n", Some(0)));
}
