//! Checks each host on which workers are launched, all hosts at once.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::probe::{self, HostReport};
use super::{DoctorCheck, bounded};
use crate::config::{Config, Host, Launcher};
use crate::launch::launch_command::{over_ssh, quoted};

/// The time limit of one command on a host.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest harmless difference of two clocks, in seconds: with more, rules and schedules of two hosts disagree.
const CLOCK_DIFFERENCE: i64 = 5;

/// Check all hosts, in the configuration's order.
pub(super) fn checks(config: &Config) -> Vec<DoctorCheck> {
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (name, host) in &config.hosts {
            threads.push((name, scope.spawn(move || of_host(name, host, config))));
        }
        let mut checks = Vec::new();
        for (name, thread) in threads {
            // A panic in a thread, which would be a bug, must not lose the results of the other hosts.
            checks.extend(thread.join().unwrap_or_default().into_iter().map(|check| check.on(name)));
        }
        checks
    })
}

fn of_host(name: &str, host: &Host, config: &Config) -> Vec<DoctorCheck> {
    match &host.launcher {
        Launcher::Ssh => over_ssh_checks(name, name, host, config),
        Launcher::Slurm(settings) => {
            let mut checks = match &settings.submit_host {
                None => Vec::new(),
                Some(submit_host) => over_ssh_checks(name, submit_host, host, config),
            };
            if checks.len() != 1 {
                checks.push(slurm(settings.submit_host.as_deref()));
            }
            checks
        }
        Launcher::Template(settings) => {
            let program = settings.launch.first().cloned().unwrap_or_default();
            let words = ["sh", "-c", "command -v \"$1\"", "nowcast-doctor", &program].map(str::to_owned);
            vec![match bounded::run(&words, TIMEOUT) {
                Ok(path) => DoctorCheck::ok("launch command", path.trim()),
                Err(_) => DoctorCheck::failed(
                    "launch command",
                    format!("the program {program} does not exist"),
                    "install it, or give its full path in `launch command:`",
                ),
            }]
        }
    }
}

/// Check a host over ssh. If ssh fails, return that one check.
fn over_ssh_checks(name: &str, ssh: &str, host: &Host, config: &Config) -> Vec<DoctorCheck> {
    let begin = Timestamp::now();
    if let Err(why) = bounded::run(&over_ssh(ssh, ["true".to_owned()]), TIMEOUT) {
        let help = format!(
            "`ssh -o BatchMode=yes {ssh} true` must work without a password: check key, agent and network"
        );
        return vec![DoctorCheck::failed("ssh", why, help)];
    }
    let took = Timestamp::now().duration_since(begin).as_millis();
    let mut checks = vec![DoctorCheck::ok("ssh", format!("{ssh} responds in {took} ms"))];
    let missing = [("envvars", &host.envvars), ("python", &host.python), ("config file", &host.config_file)];
    let missing: Vec<&str> =
        missing.into_iter().filter(|(_, set)| set.is_none()).map(|(key, _)| key).collect();
    let needs_all = host.launcher == Launcher::Ssh;
    if needs_all && !missing.is_empty() {
        let text = format!("`run: enabled hosts: {name}:` has no {}", missing.join(", "));
        checks.push(DoctorCheck::warning(
            "configuration",
            text,
            "add them, or no worker can be launched there",
        ));
        return checks;
    }
    let text = |setting: &Option<String>| setting.clone().unwrap_or_else(|| "''".to_owned());
    // As for a launch, the host's shell expands the words.
    let mut words: Vec<String> = Vec::new();
    if let Some(envvars) = &host.envvars {
        words.extend(["source".to_owned(), envvars.clone(), ";".to_owned()]);
    }
    words.extend(["sh".to_owned(), "-c".to_owned(), quoted(probe::SCRIPT), "nowcast-doctor".to_owned()]);
    words.extend([&host.envvars, &host.python, &host.config_file].map(text));
    words.extend([config.zmq.host.clone(), config.zmq.workers_port.to_string()]);
    let begin = Timestamp::now();
    // The last command of the script may fail: only its output counts.
    words.extend([";".to_owned(), "true".to_owned()]);
    match bounded::run(&over_ssh(ssh, words), TIMEOUT) {
        Err(why) => {
            checks.push(DoctorCheck::failed("shell", why, format!("run `ssh {ssh}` to see the error")));
        }
        Ok(output) => {
            let middle = begin.as_second().midpoint(Timestamp::now().as_second());
            checks.extend(checks_of(&HostReport::read(&output), host, config, middle));
        }
    }
    checks
}

/// Return the checks of a host's report. `now` is our clock in the middle between request and report.
fn checks_of(report: &HostReport, host: &Host, config: &Config, now: i64) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    if let Some(envvars) = &host.envvars {
        checks.push(if report.has_environment {
            DoctorCheck::ok("environment file", format!("{envvars} can be read"))
        } else {
            let help = "check the file, or `envvars:` in `run: enabled hosts:`";
            DoctorCheck::failed("environment file", format!("{envvars} cannot be read"), help)
        });
    }
    if let Some(python) = &host.python {
        checks.push(match &report.python {
            Some(version) if report.has_packages => {
                DoctorCheck::ok("python", format!("{version}, with PyYAML and pyzmq"))
            }
            Some(version) => {
                let help = "Python workers need PyYAML and pyzmq: install them there";
                DoctorCheck::warning("python", format!("{version}, without PyYAML or pyzmq"), help)
            }
            None => DoctorCheck::failed(
                "python",
                format!("{python} does not run"),
                "check `python:` in `run: enabled hosts:`",
            ),
        });
    }
    if let Some(path) = &host.config_file {
        checks.push(probe::registry(&config.value, &report.file, path));
    }
    let broker = format!("{}:{}", config.zmq.host, config.zmq.workers_port);
    checks.push(if report.reaches_broker {
        DoctorCheck::ok("broker's port", format!("{broker} can be reached from there"))
    } else {
        let help = "check that the broker runs, that `zmq: host:` is its name for that host, and that a firewall lets the port through";
        DoctorCheck::failed("broker's port", format!("{broker} cannot be reached from there"), help)
    });
    checks.push(match report.clock.map(|clock| clock - now) {
        Some(difference) if difference.abs() <= CLOCK_DIFFERENCE => {
            DoctorCheck::ok("clock", "the same as on this machine")
        }
        Some(difference) => {
            let help = "synchronise the clocks with chrony or systemd-timesyncd";
            DoctorCheck::warning(
                "clock",
                format!(
                    "{} s {} this machine",
                    difference.abs(),
                    if difference > 0 { "ahead of" } else { "behind" }
                ),
                help,
            )
        }
        None => DoctorCheck::warning(
            "clock",
            "the host did not report its time",
            "run `date +%s` there to see the error",
        ),
    });
    checks
}

/// Check whether Slurm responds.
fn slurm(submit_host: Option<&str>) -> DoctorCheck {
    let words = ["squeue", "--noheader", "--name=nowcast-doctor"].map(str::to_owned);
    let argv = match submit_host {
        None => words.to_vec(),
        Some(host) => over_ssh(host, words),
    };
    match bounded::run(&argv, TIMEOUT) {
        Ok(_) => DoctorCheck::ok("slurm", "squeue responds"),
        Err(why) => {
            DoctorCheck::failed("slurm", why, "make squeue work there: check slurmctld, munge, SLURM_CONF")
        }
    }
}
