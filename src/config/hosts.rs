//! `hosts:`, a section of ours: how workers are launched on a host.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::ConfigCheck;
use super::checked::{Host, Launcher, SlurmSettings, TemplateSettings};
use super::problem::Severity;
use pyyaml::Value;

/// The section's name.
const NAME: &str = "hosts";

/// The name of this machine, where workers are started without a launcher.
const HERE: &str = "localhost";

/// The placeholders of a command.
pub const PLACEHOLDERS: [&str; 8] =
    ["command", "host", "run", "worker", "name", "config", "folder", "output"];

/// The additional placeholder of a `kill command`.
const SIGNAL: &str = "signal";

/// How workers are launched on a host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLauncher {
    /// The way to launch workers: by ssh, or as a Slurm job.
    launcher: Option<RawKind>,
    /// The host on which `sbatch` is called. Without it: this host; `localhost` for this machine.
    #[serde(rename = "submit host")]
    submit_host: Option<String>,
    /// Additional arguments of `sbatch`.
    options: Option<Vec<String>>,
    /// A command of your own that runs the worker and exits when the worker does; `{command}` is the worker's command line.
    #[serde(rename = "launch command")]
    launch_command: Option<Vec<String>>,
    /// A command that stops the worker; `{signal}` is TERM or KILL.
    #[serde(rename = "kill command")]
    kill_command: Option<Vec<String>>,
    /// A command that prints something if the worker exists, and nothing if it does not.
    #[serde(rename = "alive command")]
    alive_command: Option<Vec<String>>,
    /// Exit statuses of the launch command that do not tell how the worker ended. Without it: 255, that of ssh.
    #[serde(rename = "lost status")]
    lost_status: Option<Vec<i32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawKind {
    Ssh,
    Slurm,
}

impl ConfigCheck<'_> {
    /// Return the hosts of `run: enabled hosts:` and `hosts:`, with the way to launch workers on each.
    pub(super) fn launchers(
        &mut self,
        value: &Value,
        mut hosts: IndexMap<String, Host>,
    ) -> Option<IndexMap<String, Host>> {
        let Some(section) = value.get(NAME).filter(|section| !section.is_null()) else { return Some(hosts) };
        let raw: IndexMap<String, Option<RawLauncher>> = self.decode(section, &[NAME])?;
        for (host, raw) in raw {
            if host == HERE {
                let text = "localhost is this machine, where workers are started directly; give the launcher a host's name \
                            of its own (`cluster:`), which rules launch on";
                self.report(Severity::Error, &[NAME, &host], text.to_owned());
                continue;
            }
            if !hosts.contains_key(&host)
                && let Some(question) = error_text::question(&host, hosts.keys())
            {
                let text = format!("is not a host of `run: enabled hosts:`; {question}");
                self.report(Severity::Warning, &[NAME, &host], text);
            }
            let launcher = self.launcher(&host, raw.unwrap_or_default());
            hosts.entry(host).or_default().launcher = launcher?;
        }
        Some(hosts)
    }

    fn launcher(&mut self, host: &str, raw: RawLauncher) -> Option<Launcher> {
        let is_slurm = raw.launcher == Some(RawKind::Slurm);
        let is_template = raw.launch_command.is_some();
        let slurms = [("submit host", raw.submit_host.is_some()), ("options", raw.options.is_some())];
        let templates = [
            ("kill command", raw.kill_command.is_some()),
            ("alive command", raw.alive_command.is_some()),
            ("lost status", raw.lost_status.is_some()),
        ];
        let mut is_sound = true;
        let mut refuse = |check: &mut Self, key: &str, text: String| {
            check.report(Severity::Error, &[NAME, host, key], text);
            is_sound = false;
        };
        if is_template && raw.launcher.is_some() {
            let text = "is one way to launch and `launcher:` another; write one of them".to_owned();
            refuse(self, "launch command", text);
        }
        for (key, _) in slurms.into_iter().filter(|(_, is_there)| *is_there && !is_slurm) {
            refuse(self, key, format!("`{key}:` belongs to `launcher: slurm`"));
        }
        for (key, _) in templates.into_iter().filter(|(_, is_there)| *is_there && !is_template) {
            refuse(self, key, format!("`{key}:` belongs to a `launch command:`, which is not there"));
        }
        let commands = [
            ("launch command", &raw.launch_command),
            ("kill command", &raw.kill_command),
            ("alive command", &raw.alive_command),
        ];
        for (key, words) in commands {
            let Some(words) = words else { continue };
            if words.is_empty() {
                refuse(self, key, format!("must name a program: `{key}: [/path/to/program, --option]`"));
            }
            let is_known =
                |name: &str| PLACEHOLDERS.contains(&name) || (name == SIGNAL && key == "kill command");
            for name in words.iter().flat_map(|word| placeholders(word)).filter(|name| !is_known(name)) {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}"));
                let name = format!("{{{name}}}");
                let text = format!(
                    "{name} is replaced by nothing here{}; there are: {}, and {{{SIGNAL}}} in a kill command",
                    error_text::did_you_mean(&name, &known),
                    known.join(", ")
                );
                refuse(self, key, text);
            }
        }
        if raw
            .launch_command
            .as_ref()
            .is_some_and(|words| !words.iter().any(|word| word.contains("{command}")))
        {
            let text =
                "has no {command}, the worker's command line, so that no worker would be started".to_owned();
            refuse(self, "launch command", text);
        }
        if !is_sound {
            return None;
        }
        Some(match raw.launch_command {
            Some(launch) => Launcher::Template(TemplateSettings {
                launch,
                kill: raw.kill_command,
                alive: raw.alive_command,
                lost_status: raw.lost_status.unwrap_or_else(|| vec![SSH_LOST]),
            }),
            None if is_slurm => {
                let submit_host = raw.submit_host.unwrap_or_else(|| host.to_owned());
                Launcher::Slurm(SlurmSettings {
                    submit_host: Some(submit_host).filter(|name| name != HERE),
                    options: raw.options.unwrap_or_default(),
                })
            }
            None => Launcher::Ssh,
        })
    }
}

/// The exit status with which ssh reports a failure of its own, from ssh(1).
pub const SSH_LOST: i32 = 255;

/// Return the names in braces, such as `{host}`. Other braces, such as those of JSON, are text.
fn placeholders(word: &str) -> impl Iterator<Item = &str> {
    word.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase());
        is_name.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, parse};

    const BASE: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry: {next workers module: next_workers, workers: {}}
run: {enabled hosts: {robot.nibi: {envvars: env.sh, shared storage: true}}}
";

    fn config(hosts: &str) -> Result<Config, String> {
        let text = format!("{BASE}hosts:\n  {hosts}\n");
        parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| Some(String::new()))
            .map(|(config, _)| config)
            .map_err(|error| error.to_string())
    }

    fn refused(hosts: &str, expected: &str) {
        let error = config(hosts).unwrap_err();
        assert!(error.contains(expected), "{hosts}: {error}");
    }

    #[test]
    fn a_launcher_is_added_to_the_host_of_nemo_nowcast_s_section() {
        let robot = |hosts: &str| config(hosts).unwrap().hosts["robot.nibi"].clone();
        assert_eq!(robot("{}").launcher, Launcher::Ssh);
        assert_eq!(robot("robot.nibi: {launcher: ssh}").launcher, Launcher::Ssh);
        let host = robot("robot.nibi: {launcher: slurm, options: [--partition=main]}");
        assert_eq!(host.envvars.as_deref(), Some("env.sh"));
        let options = vec!["--partition=main".to_owned()];
        let slurm = |submit_host| Launcher::Slurm(SlurmSettings { submit_host, options: options.clone() });
        assert_eq!(host.launcher, slurm(Some("robot.nibi".to_owned())));
        let here = config("queue: {launcher: slurm, submit host: localhost, options: [--partition=main]}");
        assert_eq!(here.unwrap().hosts["queue"].launcher, slurm(None));
    }

    #[test]
    fn contradictory_input_is_refused_with_a_remedy() {
        refused("a: {lancher: slurm}", "did you mean `launcher`?");
        refused("a: {launcher: slrum}", "did you mean `slurm`?");
        refused("a: {options: [-x]}", "`options:` belongs to `launcher: slurm`");
        refused("a: {kill command: [x]}", "belongs to a `launch command:`");
        refused("a: {launcher: slurm, launch command: [x, '{command}']}", "write one of them");
        refused("a: {launch command: []}", "must name a program");
        refused("a: {launch command: [x]}", "has no {command}");
        refused("a: {launch command: [x, '{comand}', '{command}']}", "did you mean `{command}`?");
        refused(
            "a: {launch command: [x, '{command}'], alive command: [x, '{signal}']}",
            "{signal} is replaced",
        );
        refused("localhost: {launcher: slurm}", "is this machine");
    }

    #[test]
    fn other_braces_are_text() {
        let host = "a: {launch command: [x, '{\"spec\": {}}', '{command}'], kill command: [y, '{signal}']}";
        assert!(matches!(config(host).unwrap().hosts["a"].launcher, Launcher::Template(_)));
    }
}
