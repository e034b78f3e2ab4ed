//! Message cost against the number of open joins.

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use super::texts::count;
use crate::support::system::system;

/// Open joins.
const SIZES: [u32; 6] = [1, 10, 100, 1_000, 10_000, 20_000];

const RULES: &str = "function after_opener(msg)
    return {}, Join{ name = 'join ' .. msg.payload, wait_for = { 'never' }, timeout = '3h' }
end";

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> = settings.of(&SIZES).into_iter().map(subject).collect();
    let curve = Curve {
        name: "joins",
        title: "Open joins",
        axis: "open joins",
        many: "64 in flight",
        setup: "The joins have a timeout, and wait for a worker other than that of the message.",
        reason: "A message concerns only the joins that wait for its worker.",
        is_logarithmic: true,
    };
    vec![curve.measure(settings, &subjects)]
}

fn subject(joins: u32) -> Subject {
    let worker = |name: &str| format!("{name}: {{success: it went well, crash: it crashed}}");
    let system = system().worker(&worker("opener")).worker(&worker("never")).rules(RULES).start();
    let subject = Subject::new(f64::from(joins), count(joins.into()), system);
    subject.send_all((0..joins).map(|number| format!("payload: {number}\nsource: opener\ntype: success\n")));
    subject
}
