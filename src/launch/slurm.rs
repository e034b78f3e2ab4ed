//! The commands of `launcher: slurm`. Pure: it starts nothing.
//!
//! A job is found by its unique name, so that it can be found when its number is not known.

use super::launch_command::{
    LaunchCommand, LauncherKind, RemoteCommands, line, over_ssh, quoted, worker_line,
};
use super::worker_argv::{LaunchError, LaunchRequest};
use crate::config::hosts::SSH_LOST;
use crate::config::{SlurmSettings, StartSettings};

/// The columns of `squeue`: a job's state, and its exit status as wait(2) encodes it.
const FORMAT: &str = "--Format=State:30,exit_code:20";

pub(super) fn command(
    request: &LaunchRequest,
    settings: &SlurmSettings,
) -> Result<LaunchCommand, LaunchError> {
    let (words, file) = match &settings.submit_host {
        None => (request.local_words()?, request.local_file()),
        Some(_) => (request.remote_words()?, request.remote_file()?),
    };
    // The memory of a job is Slurm's to limit. As this is before the options of the configuration, these take precedence.
    let mut start = request.start_settings(&file);
    let memory = start.memory_limit.take().map(|limit| format!("--mem={}M", limit >> 20));
    let name = request.job_name();
    let job = format!("--name={name}");
    // After the options of the configuration, so that these take precedence: nothing works without them.
    let required = [
        "--wait".to_owned(),
        format!("--job-name={name}"),
        format!(
            "--wrap={}",
            worker_line(&request.prepared(words, &start, &file), request.host.envvars.as_deref())
        ),
    ];
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let ask = words(&["squeue", "--noheader", "--states=all", &job, FORMAT]);
    let terminate = words(&["scancel", &job]);
    let kill = words(&["scancel", "--signal=KILL", "--full", &job]);
    let sbatch = |output: &str| {
        // A percent sign begins a pattern in the names of output files.
        let output = format!("--output={}", output.replace('%', "%%"));
        let first = words(&["sbatch", &output, "--open-mode=append"]);
        first
            .into_iter()
            .chain(memory.clone())
            .chain(settings.options.iter().cloned())
            .chain(required.clone())
            .collect::<Vec<_>>()
    };
    let argv = match &settings.submit_host {
        None => sbatch(&request.location.output()),
        Some(host) => {
            // The host does not share the run's folder: the output stays there until the end, and is then fetched.
            let output = format!(".{name}.out");
            let script = format!(
                "{} ; status=$? ; cat {output} ; rm -f {output} ; exit $status",
                line(sbatch(&output))
            );
            words(&["ssh", host, "sh", "-c", &quoted(&script)])
        }
    };
    let on_submit_host = |command: Vec<String>| match &settings.submit_host {
        None => command,
        Some(host) => over_ssh(host, [line(command)]),
    };
    Ok(LaunchCommand {
        argv,
        exec: None,
        remote: Some(RemoteCommands {
            host: request.worker.host.clone(),
            launcher: LauncherKind::Slurm,
            lost_status: settings.submit_host.iter().map(|_| SSH_LOST).collect(),
            ask: Some(on_submit_host(ask)),
            terminate: Some(on_submit_host(terminate)),
            kill: Some(on_submit_host(kill)),
        }),
        start: StartSettings::default(),
        argv_without_values: None,
    })
}
