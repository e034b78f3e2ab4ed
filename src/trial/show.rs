//! Launches as a line of text for people.

use nowcast_core::cycles::NoteScope;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{JoinRequest, NextWorker};

/// Format a launch, such as `make_plots nowcast+ on arbutus (delay 10m, retries 3)`.
#[must_use]
pub fn launch(worker: &NextWorker) -> String {
    let mut text = worker.name().to_owned();
    if !worker.args.is_empty() {
        text.push(' ');
        text.push_str(&crate::shell_words::joined(&worker.args));
    }
    if worker.host != LOCALHOST {
        text.push_str(" on ");
        text.push_str(&worker.host);
    }
    let options = options(worker);
    if options.is_empty() { text } else { format!("{text} ({})", options.join(", ")) }
}

/// Format which messages count in a join: the key of `Join{ … }` and its value; `None` if they are those from its opening on.
#[must_use]
pub fn scope(join: &JoinRequest) -> Option<(&'static str, String)> {
    Some(match join.scope.as_ref()? {
        NoteScope::Cycle(cycle) => ("cycle", cycle.to_string()),
        NoteScope::Since(moment) => ("since", moment.to_string()),
    })
}

fn options(worker: &NextWorker) -> Vec<String> {
    let options = &worker.options;
    let span = |name: &str, span: Option<jiff::SignedDuration>| span.map(|span| format!("{name} {span:#}"));
    let mut shown: Vec<String> = [
        span("delay", options.delay),
        options.at.map(|at| format!("at {at}")),
        span("timeout", options.timeout),
        options.retries.map(|retries| format!("retries {retries}")),
        span("retry_delay", options.retry_delay),
    ]
    .into_iter()
    .flatten()
    .collect();
    shown.extend(options.cycle.as_ref().map(|cycle| format!("cycle {cycle}")));
    shown.extend(options.env.iter().map(|(name, value)| format!("{name}={value}")));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_core::next_worker::LaunchOptions;

    #[test]
    fn default_options_and_hosts_are_not_shown() {
        let plain = NextWorker::new("nowcast.workers.make_plots", vec!["a b".into(), "--debug".into()]);
        assert_eq!(launch(&plain), "make_plots 'a b' --debug");
        let options = LaunchOptions {
            delay: Some(jiff::SignedDuration::from_mins(10)),
            retries: Some(3),
            env: vec![("A".into(), "1".into())],
            ..LaunchOptions::default()
        };
        let other = NextWorker { host: "arbutus".into(), options, ..NextWorker::new("x", Vec::new()) };
        assert_eq!(launch(&other), "x on arbutus (delay 10m, retries 3, A=1)");
    }
}
