//! Message cost against the number of functions in the rules.

use std::fmt::Write as _;

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use super::texts::count;
use crate::support::system::system;

/// Functions in the rules file, each of a registered worker.
const SIZES: [u32; 4] = [10, 100, 1_000, 5_000];

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> = settings.of(&SIZES).into_iter().map(subject).collect();
    let curve = Curve {
        name: "rules",
        title: "Size of the rules",
        axis: "functions",
        many: "64 in flight",
        setup: "One file has a function of four lines for each registered worker.",
        reason: "The rules' files run again for each message, so that no variable of theirs lasts from one message to the next. \
            That defines each function again.",
        is_logarithmic: true,
    };
    vec![curve.measure(settings, &subjects)]
}

fn subject(functions: u32) -> Subject {
    let mut builder = system();
    let mut rules = "function after_sleep() return {} end\n".to_owned();
    for number in 1..functions {
        builder = builder.worker(&format!("worker_{number}: {{success: it went well, crash: it crashed}}"));
        let _ = writeln!(
            rules,
            "function after_worker_{number}(msg, config, checklist)
  if msg.type == 'success' then return {{ NextWorker('nowcast.workers.sleep', {{ '--debug', '{number}' }}) }} end
  return {{}}
end"
        );
    }
    let system = builder.only_rules(&rules).start();
    Subject::new(f64::from(functions), count(functions.into()), system)
}
