//! Launches as lines of tests, such as `make_plots nowcast on basin (delay 10m)`.

use crate::config::Config;
use crate::rules::Argument;
use crate::shell_words;
use crate::trial::show;
use nowcast_core::NextWorker;
use pyyaml::Value;

const WRITE: &str = "a launch is a line as \"make_plots nowcast\", a table as { \"make_plots\", args = { \"nowcast\" } }, or worker(…)";

/// Split a line into its words and the options in parentheses at its end.
fn parts(line: &str) -> Result<(Vec<String>, &str), String> {
    let line = line.trim();
    let (command, options) = match line.rfind(" (") {
        Some(at) if line.ends_with(')') => line.split_at(at),
        _ => (line, ""),
    };
    match shlex::split(command) {
        Some(words) if !words.is_empty() => Ok((words, options)),
        Some(_) => Err(format!("{line:?} names no worker; {WRITE}")),
        None => Err(format!("{line:?}: a quote is not closed")),
    }
}

/// Return a launch in the form that is compared, with uniform quotes.
pub(super) fn compared(given: &Argument) -> Result<String, String> {
    match given {
        Argument::Launch(worker) => Ok(show::launch(worker)),
        Argument::Value(Value::Str(line)) => {
            let (words, options) = parts(line)?;
            Ok(shell_words::joined(&words) + options)
        }
        _ => Err(WRITE.to_owned()),
    }
}

/// Return the words of a line that has no options.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    match parts(line)? {
        (words, "") => Ok(words),
        (_, options) => Err(format!("{:?}: write the options as keys of the table", options.trim_start())),
    }
}

/// Return the launch of an argument.
pub(super) fn launch(given: &Argument, config: &Config) -> Result<NextWorker, String> {
    let line = match given {
        Argument::Launch(worker) => return Ok((**worker).clone()),
        Argument::Value(Value::Str(line)) => line,
        _ => return Err(WRITE.to_owned()),
    };
    let mut words = words(line)?;
    let host = match words.as_slice() {
        [_, .., on, host] if on == "on" => Some(host.clone()),
        _ => None,
    };
    if host.is_some() {
        words.truncate(words.len() - 2);
    }
    let name = words.remove(0);
    let package = config.registry.workers_package.as_ref().filter(|_| !name.contains('.'));
    let module = package.map_or(name.clone(), |package| format!("{package}.{name}"));
    let worker = NextWorker::new(module, words);
    Ok(match host {
        Some(host) => NextWorker { host, ..worker },
        None => worker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Result<String, String> {
        compared(&Argument::Value(Value::from(line)))
    }

    #[test]
    fn quotes_and_spaces_do_not_matter() {
        assert_eq!(shown("  x   \"a b\"  c"), Ok("x 'a b' c".to_owned()));
        assert_eq!(shown("x on basin (delay 10m, A=1 2)"), Ok("x on basin (delay 10m, A=1 2)".to_owned()));
        assert_eq!(shown("x '(a b)'"), Ok("x '(a b)'".to_owned()));
    }

    #[test]
    fn values_other_than_launches_are_refused() {
        assert_eq!(shown("x 'a"), Err("\"x 'a\": a quote is not closed".to_owned()));
        assert!(shown(" ").unwrap_err().starts_with("\"\" names no worker; a launch is a line as"));
        assert_eq!(
            words("x (delay 1h)"),
            Err("\"(delay 1h)\": write the options as keys of the table".to_owned())
        );
    }
}
