//! Growth curves. Each is measured on systems that run side by side and differ in one size. In reading order:
//!
//! 1. `settings`: how thoroughly to measure
//! 2. `subject`: one system, and what a message costs it
//! 3. `curve`: the subjects of a curve, measured in turns
//! 4. `checklist`, `journal`, `rules`, `workers`, `joins`, `fsync`: how the subjects of each curve are made
//! 5. `commands`: what operators' commands cost, on journals like those of `journal`
//! 6. `page`, `chart`, `machine`, `texts`: the page
//!
//! It must not look into daemons: what it measures is what a worker or an operator waits for.

mod chart;
mod checklist;
mod commands;
mod curve;
mod fsync;
mod joins;
mod journal;
mod machine;
mod page;
mod rules;
pub mod settings;
mod subject;
mod texts;
mod workers;

use std::fs;
use std::path::Path;

use page::Section;
use settings::Settings;

/// Measures one curve.
type Measure = fn(&Settings) -> Vec<Section>;

/// The curves by name, in the order of the page.
const CURVES: [(&str, Measure); 7] = [
    ("checklist", checklist::measure),
    ("journal", journal::measure),
    ("commands", commands::measure),
    ("rules", rules::measure),
    ("workers", workers::measure),
    ("joins", joins::measure),
    ("fsync", fsync::measure),
];

/// Measure the curves of these names, all without any, and write `growth.md` and `growth/*.svg` in a folder.
///
/// # Panics
/// If a name is unknown, a system does not work as it should, or the page cannot be written.
pub fn write(settings: &Settings, names: &[String], folder: &Path) {
    for name in names {
        let is_known = CURVES.iter().any(|(known, _)| known == name);
        assert!(is_known, "unknown curve {name:?}; the curves are {:?}", CURVES.map(|(known, _)| known));
    }
    let machine = machine::describe();
    let mut sections = Vec::new();
    for (name, measure) in CURVES {
        if names.is_empty() || names.iter().any(|selected| selected == name) {
            eprintln!("measuring: {name}");
            sections.extend(measure(settings));
        }
    }
    let charts = folder.join("growth");
    fs::create_dir_all(&charts).expect("a folder for the charts");
    for section in &sections {
        fs::write(charts.join(format!("{}.svg", section.name)), chart::draw(&section.plot)).expect("a chart");
    }
    fs::write(folder.join("growth.md"), page::text(settings, &machine, &sections)).expect("the page");
}
