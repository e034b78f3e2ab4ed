//! The command line of a worker, and the commands that launch it. Pure: it starts nothing.

use std::path::Path;

use super::launch_command::{LaunchCommand, RunLocation};
use super::worker_argv::{LaunchError, LaunchRequest, absolute_file, filled, working_folder};
use super::{slurm, ssh, template};
use crate::config::{Config, Host, Launcher};
use nowcast_core::next_worker::{LOCALHOST, NextWorker};
use nowcast_core::{Cycle, Number, RunId};

/// Return the commands for a run of a worker: on this machine, its command line. That is the first of: its command in the
/// configuration, a built-in worker (which `nowcast_binary` contains), a Python module as NEMO_Nowcast starts it. A remote
/// host is reached by ssh, as NEMO_Nowcast does, unless the configuration has another launcher; there, a built-in
/// worker is NEMO_Nowcast's. The environment of this process does not reach a remote host, so the command line there sets the cycle.
///
/// # Errors
/// When the configuration lacks something that this launch needs.
pub fn build_launch_command(
    worker: &NextWorker,
    run: RunId,
    cycle: Option<&Cycle>,
    config: &Config,
    nowcast_binary: &Path,
    location: RunLocation,
) -> Result<LaunchCommand, LaunchError> {
    let local = Host::default();
    let host = if worker.host == LOCALHOST { Some(&local) } else { config.hosts.get(&worker.host) };
    let host = host.ok_or_else(|| LaunchError::UnknownHost {
        host: worker.host.clone(),
        known: if config.hosts.is_empty() { "none".to_owned() } else { keys(config) },
    })?;
    let request =
        LaunchRequest { worker, run, cycle, config, nowcast_binary, location, host, shows_values: true };
    if worker.host == LOCALHOST {
        return request.local_command();
    }
    request.check_remote_file()?;
    let hidden = command_for_remote_host(&LaunchRequest { shows_values: false, ..request })?.argv;
    let command = command_for_remote_host(&request)?;
    let argv_without_values = (hidden != command.argv).then_some(hidden);
    Ok(LaunchCommand { argv_without_values, ..command })
}

fn command_for_remote_host(request: &LaunchRequest) -> Result<LaunchCommand, LaunchError> {
    match &request.host.launcher {
        Launcher::Ssh => ssh::command(request),
        Launcher::Slurm(settings) => slurm::command(request, settings),
        Launcher::Template(settings) => template::command(request, settings),
    }
}

/// Return the program that a worker's `command:` or `exec:` names, as it is started on this machine.
#[must_use]
pub fn worker_program(config: &Config, worker: &str) -> Option<String> {
    word(config, worker, 0)
}

/// Programs that read a script from the file that their first argument names.
const INTERPRETERS: [&str; 14] = [
    "Rscript", "bash", "csh", "dash", "julia", "ksh", "lua", "node", "perl", "python", "python3", "ruby",
    "sh", "zsh",
];

/// Return the script that the program of a worker's `command:` or `exec:` reads, if it is an interpreter with a script whose path is known
/// before a launch.
#[must_use]
pub fn worker_script(config: &Config, worker: &str) -> Option<String> {
    let program = worker_program(config, worker)?;
    let name = Path::new(&program).file_name()?.to_str()?;
    let script = word(config, worker, 1)?;
    let settings = config.workers.get(worker)?;
    let written = settings.command.as_ref().or(settings.exec.as_ref())?.get(1)?;
    // Another path is looked for from the manager's working folder.
    let is_known = written.starts_with("{folder}") || Path::new(&script).is_absolute();
    (INTERPRETERS.contains(&name) && is_known && !written.contains("{run}")).then_some(script)
}

/// Return a word of a worker's `command:` or `exec:`, as it is on this machine.
fn word(config: &Config, worker: &str, at: usize) -> Option<String> {
    let settings = config.workers.get(worker)?;
    let word = settings.command.as_ref().or(settings.exec.as_ref())?.get(at)?;
    Some(match working_folder(config, worker) {
        // A path is looked for from there.
        Some(folder) if word.contains('/') => {
            let word = filled(word, &absolute_file(config), worker, Number(0));
            folder.join(word).to_string_lossy().into_owned()
        }
        _ => filled(word, &config.file.to_string_lossy(), worker, Number(0)),
    })
}

fn keys(config: &Config) -> String {
    config.hosts.keys().cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StartSettings;

    const CONFIG: &str = "
checklist file: checklist.yaml
python: /env/bin/python
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry: {next workers module: next_workers, workers: {}}
workers: {run_model: {command: [run, '{config}', '{run}']}, plot: {exec: ['{folder}/plot.sh', '{worker}']}}
run: {enabled hosts: {robot: {envvars: env.sh, python: py, config file: there.yaml}, head: {python: py, config file: there.yaml}}}
hosts:
  queue: {launcher: slurm, submit host: localhost, options: [--partition=main, --output=mine]}
  head: {launcher: slurm}
  pod: {launch command: [run, '--name={name}', '{{', sh, -c, '{command}'], kill command: [end, '{host}', '{run}', '{signal}'], alive command: [ask, '{worker} {config} {folder} {output}']}
";

    fn launch(module: &str, host: &str) -> LaunchCommand {
        launch_in(None, module, host)
    }

    fn launch_in(cycle: Option<&Cycle>, module: &str, host: &str) -> LaunchCommand {
        let (config, _) = crate::config::parse(Path::new("here.yaml"), CONFIG.as_bytes(), &|_| None).unwrap();
        let args = vec!["-x".to_owned()];
        let worker = NextWorker { host: host.to_owned(), ..NextWorker::new(module, args) };
        let location = RunLocation { folder: Path::new("/journal/runs/2026-03-14/7"), machine: "salish" };
        build_launch_command(&worker, nowcast_core::Number(7), cycle, &config, Path::new("nowcast"), location)
            .unwrap()
    }

    fn words(module: &str, host: &str) -> String {
        launch(module, host).argv.join(" ")
    }

    #[test]
    fn a_command_in_the_configuration_takes_precedence_on_every_host() {
        assert_eq!(words("nowcast.workers.run_model", "localhost"), "run here.yaml 7 -x");
        assert_eq!(words("run_model", "robot"), "ssh robot source env.sh ; run there.yaml 7 -x");
    }

    #[test]
    fn a_remote_command_line_sets_the_cycle_before_the_workers_words() {
        let cycle = Cycle::parse("2026-03-14T06").unwrap();
        let words = |module: &str, host: &str| launch_in(Some(&cycle), module, host).argv.join(" ");
        assert_eq!(words("run_model", "localhost"), "run here.yaml 7 -x", "its environment has it");
        assert_eq!(
            words("run_model", "robot"),
            "ssh robot source env.sh ; export NOWCAST_CYCLE=2026-03-14T06 ; run there.yaml 7 -x"
        );
        for host in ["queue", "head", "pod"] {
            let line = words("run_model", host);
            assert!(line.contains("env NOWCAST_CYCLE=2026-03-14T06 run "), "{line}");
        }
    }

    #[test]
    fn settings_of_a_process_reach_every_host_before_the_workers_words() {
        let settings = "workers: {run_model: {command: [run, '{config}'], folder: 'work dir/{worker}', umask: '027', nice: 5, \
                        memory limit: 2 GB, environment: {A: 1, B: 'at {folder}'}}}\n";
        let (before, rest) = CONFIG.split_once("workers: {run_model").unwrap();
        let config = format!("{before}{settings}{}", rest.split_once('\n').unwrap().1);
        let read = |text: &str| {
            crate::config::parse(Path::new("/here/here.yaml"), text.as_bytes(), &|_| None).unwrap().0
        };
        let build = |config: &Config, host: &str| {
            let mut worker = NextWorker { host: host.to_owned(), ..NextWorker::new("run_model", Vec::new()) };
            worker.options.env = vec![("A".to_owned(), "it's 2".to_owned())];
            let location = RunLocation { folder: Path::new("/journal/runs/2026-03-14/7"), machine: "salish" };
            build_launch_command(&worker, Number(7), None, config, Path::new("nowcast"), location)
        };
        let error = build(&read(&config), "robot").unwrap_err().to_string();
        assert!(
            error.starts_with("`config file: there.yaml` of the host robot must begin with `/`"),
            "{error}"
        );
        let config = read(&config.replace("there.yaml", "/there/there.yaml"));
        let on = |host: &str| build(&config, host).unwrap();
        let here = on("localhost");
        assert_eq!(here.argv, ["run", "/here/here.yaml"]);
        assert_eq!(here.start.folder.as_deref(), Some("/here/work dir/run_model"));
        assert_eq!(here.start.memory_limit, Some(2 << 30));
        let script = "umask 0027 && ulimit -S -d 2097152 && cd '/here/work dir/run_model' && exec \"$@\"";
        let without_runner = here.without_runner(Path::new("nowcast"));
        assert_eq!(without_runner, ["nice", "-n", "5", "sh", "-c", script, "sh", "run", "/here/here.yaml"]);

        let line = on("robot").argv[2..].join(" ");
        let words = shlex::split(line.strip_prefix("source env.sh ; ").unwrap()).unwrap();
        let script = "umask 0027 && ulimit -S -d 2097152 && cd '/there/work dir/run_model' && exec \"$@\"";
        let file = "/there/there.yaml";
        let there =
            ["nice", "-n", "5", "env", "A=it's 2", "B=at /there", "sh", "-c", script, "sh", "run", file];
        assert_eq!(words, there);
        assert_eq!(on("robot").start, StartSettings::default());
        for host in ["robot", "queue"] {
            let logged = on(host).for_log(Path::new("nowcast")).join(" ");
            assert!(logged.contains("A=…") && logged.contains("B=…"), "{logged}");
            assert!(!logged.contains("s 2") && !logged.contains("at "), "{logged}");
        }

        let job = on("queue").argv;
        assert!(job.contains(&"--mem=2048M".to_owned()), "{job:?}");
        let wrapped = job.iter().find_map(|word| word.strip_prefix("--wrap=")).unwrap();
        let script = "umask 0027 && cd '/here/work dir/run_model' && exec \"$@\"";
        let words = shlex::split(wrapped).unwrap();
        assert_eq!(words[..6], ["nice", "-n", "5", "env", "A=it's 2", "B=at /here"]);
        assert_eq!(words[6..], ["sh", "-c", script, "sh", "run", "/here/here.yaml"]);
    }

    #[test]
    fn a_program_of_exec_is_executed_by_the_runner_here_and_by_nowcast_exec_elsewhere() {
        let here = launch("plot", "localhost");
        assert_eq!(here.argv, ["./plot.sh", "plot", "-x"]);
        assert_eq!(here.exec.as_ref().unwrap().name, "plot");
        let without_runner = here.without_runner(Path::new("nowcast")).join(" ");
        assert_eq!(without_runner, "nowcast exec plot here.yaml -- ./plot.sh plot -x");
        let there =
            "ssh robot source env.sh ; nowcast exec plot there.yaml --print-exit -- ./plot.sh plot -x";
        assert_eq!(words("plot", "robot"), there);
    }

    #[test]
    fn a_built_in_worker_is_nemo_nowcasts_on_a_remote_host() {
        assert_eq!(words("sleep", "localhost"), "nowcast worker sleep here.yaml -x");
        let there = "ssh robot source env.sh ; py -m nemo_nowcast.workers.sleep there.yaml -x";
        assert_eq!(words("sleep", "robot"), there);
        assert_eq!(words("nemo_nowcast.workers.sleep", "robot"), there);
    }

    #[test]
    fn anything_else_is_a_python_module() {
        assert_eq!(
            words("nowcast.workers.sleep", "localhost"),
            "/env/bin/python -m nowcast.workers.sleep here.yaml -x"
        );
    }

    #[test]
    fn the_question_by_ssh_has_the_words_of_the_worker() {
        let remote = launch("run_model", "robot").remote.unwrap();
        let ask = remote.ask.unwrap();
        assert_eq!(ask[..6], ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "robot"]);
        assert_eq!(ask[6..11], ["source", "env.sh", ";", "sh", "-c"]);
        let rest =
            ["nowcast-ask", "0", "'source env.sh ; run there.yaml 7 -x'", "run", "there.yaml", "7", "-x"];
        assert_eq!(ask[12..], rest);
        assert_eq!(remote.kill.unwrap()[12..14], ["nowcast-ask", "KILL"]);
        let terminate = launch("nowcast.workers.weather", "robot").remote.unwrap().terminate.unwrap();
        let words = ["-m", "nowcast.workers.weather", "there.yaml", "-x"];
        assert_eq!(terminate[13], "TERM");
        assert_eq!(terminate[15..], words);
    }

    #[test]
    fn a_slurm_job_has_the_runs_name_and_writes_to_its_output() {
        let LaunchCommand { argv, remote, .. } = launch("sleep", "queue");
        let name = argv.iter().find_map(|word| word.strip_prefix("--job-name=")).unwrap().to_owned();
        assert!(name.starts_with("nowcast-7-"), "{name}");
        let expected = [
            "sbatch",
            "--output=/journal/runs/2026-03-14/7/output.log",
            "--open-mode=append",
            "--partition=main",
            "--output=mine",
            "--wait",
            &format!("--job-name={name}"),
            "--wrap=nowcast worker sleep here.yaml -x",
        ];
        assert_eq!(argv, expected);
        let remote = remote.unwrap();
        assert_eq!(remote.terminate.unwrap(), ["scancel".to_owned(), format!("--name={name}")]);
        assert!(remote.lost_status.is_empty());
        assert_eq!(remote.ask.unwrap()[..2], ["squeue", "--noheader"]);
    }

    #[test]
    fn slurm_on_a_remote_host_is_called_by_ssh() {
        let LaunchCommand { argv, remote, .. } = launch("sleep", "head");
        assert_eq!(argv[..4], ["ssh", "head", "sh", "-c"]);
        let script = shlex::split(&argv[4]).unwrap().remove(0);
        let words = shlex::split(&script).unwrap();
        assert_eq!(words[..2], ["sbatch".to_owned(), format!("--output=.{}.out", name_of(&words))]);
        assert!(
            words.contains(&"--wrap=py -m nemo_nowcast.workers.sleep there.yaml -x".to_owned()),
            "{words:?}"
        );
        let ask = remote.unwrap().ask.unwrap();
        assert_eq!(ask[..6], ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "head"]);
        assert_eq!(shlex::split(&ask[6]).unwrap()[0], "squeue");
    }

    fn name_of(words: &[String]) -> String {
        words.iter().find_map(|word| word.strip_prefix("--job-name=")).unwrap().to_owned()
    }

    #[test]
    fn placeholders_in_values_are_not_replaced() {
        let LaunchCommand { argv, remote, .. } = launch("run_model", "pod");
        let name = argv[1].strip_prefix("--name=").unwrap();
        assert!(name.starts_with("nowcast-7-"), "{name}");
        assert_eq!(argv[2..], ["{{", "sh", "-c", "run here.yaml 7 -x"]);
        let remote = remote.unwrap();
        assert_eq!(remote.terminate.unwrap(), ["end", "pod", "7", "TERM"]);
        assert_eq!(remote.kill.unwrap(), ["end", "pod", "7", "KILL"]);
        let asked = "run_model here.yaml . /journal/runs/2026-03-14/7/output.log";
        assert_eq!(remote.ask.unwrap(), ["ask", asked]);
        assert_eq!(remote.lost_status, [255]);
    }
}
