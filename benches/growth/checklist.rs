//! Message cost against the size of the checklist.

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use crate::support::system::system;

/// Bytes of YAML, with their labels.
const SIZES: [(u32, &str); 6] = [
    (1_000, "1 kB"),
    (10_000, "10 kB"),
    (100_000, "100 kB"),
    (1_000_000, "1 MB"),
    (10_000_000, "10 MB"),
    (50_000_000, "50 MB"),
];

/// Bytes of one entry of the checklist.
const ENTRY: u32 = 65;

/// Entries that one message adds.
const ENTRIES: u32 = 5_000;

/// The rule looks into the checklist, as rules do.
const RULES: &str = "function after_sleep(msg, config, checklist)
    if checklist.sleepyhead['entry 1'] == nil then return { NextWorker('awaken') } end
    return {}
end";

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> =
        settings.of(&SIZES).into_iter().map(|(bytes, label)| subject(bytes, label)).collect();
    let curve = Curve {
        name: "checklist",
        title: "Size of the checklist",
        axis: "checklist",
        many: "64 in flight",
        setup: "The message changes one entry of a mapping that makes up almost the whole checklist, and its rule reads another one.",
        reason: "A rule sees the checklist through a view, the journal keeps what a message changes, and a thread of its own writes the \
            checklist file. After thousands of changes the journal gets a snapshot of the whole checklist, which is the longest pause.",
        is_logarithmic: true,
    };
    vec![curve.measure(settings, &subjects)]
}

fn subject(bytes: u32, label: &str) -> Subject {
    let subject = Subject::new(f64::from(bytes), label.to_owned(), system().rules(RULES).start());
    let text = "x".repeat(50);
    let entry = |number: u32| format!("entry {number}: {text}");
    let entries: Vec<String> = (0..bytes / ENTRY).map(entry).collect();
    subject.send_all(
        entries
            .chunks(ENTRIES as usize)
            .map(|part| format!("payload: {{{}}}\nsource: sleep\ntype: success\n", part.join(", "))),
    );
    subject
}
