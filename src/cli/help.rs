//! `nowcast --help`: the commands in groups, the most needed first.

use std::fmt::Write as _;

use clap::Command;

/// Every visible command, under its heading. A test fails if one is missing.
const GROUPS: [(&str, &[&str]); 8] = [
    ("Start here", &["up", "status", "why", "launch", "rules check"]),
    ("Operate", &["send", "retry", "rerun", "ack", "kill", "hold", "release", "discard", "checklist"]),
    ("Cycles", &["cycles", "cycle", "forecast", "backfill"]),
    ("History and output", &["runs", "messages", "tail", "logs"]),
    ("Rules", &["rules"]),
    ("Workers and their scripts", &["worker", "exec", "tell", "need", "fetch"]),
    ("Daemons", &["restart", "reload", "shutdown", "broker", "manager", "scheduler", "log-aggregator"]),
    (
        "Set up and maintain",
        &["init", "config", "doctor", "keys", "generate", "notify", "journal", "backup", "restore"],
    ),
];

/// Return the definition with its commands grouped.
pub(super) fn grouped(definition: Command) -> Command {
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or_default();
    let mut commands = String::new();
    for (heading, names) in GROUPS {
        // Writing to a String cannot fail.
        let _ = writeln!(commands, "{heading}:");
        for name in names {
            let about = find(&definition, name).and_then(Command::get_about).map(ToString::to_string);
            let _ = writeln!(commands, "  {name:width$}  {}", about.unwrap_or_default());
        }
        commands.push('\n');
    }
    definition.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{commands}Options:\n{{options}}{{after-help}}"
    ))
}

/// Return a command by its full name, such as `launch` or `rules check`.
fn find<'a>(definition: &'a Command, name: &str) -> Option<&'a Command> {
    name.split(' ').try_fold(definition, |command, word| command.find_subcommand(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_visible_command_is_in_a_group_and_every_listed_command_exists() {
        let definition = crate::cli::definition();
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        for name in &listed {
            assert!(find(&definition, name).is_some(), "{name} is not a command");
        }
        let listed: BTreeSet<&str> = listed.into_iter().filter(|name| !name.contains(' ')).collect();
        let visible = definition.get_subcommands().filter(|command| !command.is_hide_set());
        assert_eq!(visible.map(Command::get_name).collect::<BTreeSet<_>>(), listed);
    }

    #[test]
    fn the_first_commands_are_those_that_an_operator_needs_first() {
        let help = crate::cli::definition().render_help().to_string();
        let commands: Vec<&str> =
            help.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next()).take(5).collect();
        assert_eq!(commands, ["up", "status", "why", "launch", "rules check"]);
    }
}
