//! The commands of a host with a `launch command:` in the configuration. Pure: it starts nothing.

use super::launch_command::{LaunchCommand, LauncherKind, RemoteCommands, worker_line};
use super::worker_argv::{LaunchError, LaunchRequest};
use crate::config::{StartSettings, TemplateSettings};

pub(super) fn command(
    request: &LaunchRequest,
    settings: &TemplateSettings,
) -> Result<LaunchCommand, LaunchError> {
    let file = request.local_file();
    let words = request.prepared(request.local_words()?, &request.start_settings(&file), &file);
    let values = [
        ("{command}", worker_line(&words, request.host.envvars.as_deref())),
        ("{host}", request.worker.host.clone()),
        ("{run}", request.run.0.to_string()),
        ("{worker}", request.worker.name().to_owned()),
        ("{name}", request.job_name()),
        ("{folder}", super::worker_argv::folder_of(&file)),
        ("{output}", request.location.output()),
        ("{config}", file),
    ];
    let fill = |words: &[String], signal: &str| -> Vec<String> {
        let values = values.iter().map(|(name, value)| (*name, value.as_str())).chain([("{signal}", signal)]);
        let values: Vec<(&str, &str)> = values.collect();
        words.iter().map(|word| filled(word, &values)).collect()
    };
    let kill = |signal| settings.kill.as_ref().map(|words| fill(words, signal));
    Ok(LaunchCommand {
        argv: fill(&settings.launch, ""),
        exec: None,
        remote: Some(RemoteCommands {
            host: request.worker.host.clone(),
            launcher: LauncherKind::Template,
            lost_status: settings.lost_status.clone(),
            ask: settings.alive.as_ref().map(|words| fill(words, "")),
            terminate: kill("TERM"),
            kill: kill("KILL"),
        }),
        start: StartSettings::default(),
        argv_without_values: None,
    })
}

/// Replace the placeholders in a word. Placeholders in the values are not replaced.
fn filled(word: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, value) =
            values.iter().find(|(name, _)| rest.starts_with(name)).copied().unwrap_or(("{", "{"));
        text.push_str(value);
        rest = &rest[name.len()..];
    }
    text + rest
}
