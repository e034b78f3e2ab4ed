//! The page.

use std::fmt::Write as _;

use super::chart::Plot;
use super::settings::Settings;

/// What the page says of one curve.
pub struct Section {
    /// The name of its chart.
    pub name: &'static str,
    pub title: &'static str,
    /// What was measured.
    pub setup: String,
    /// The figures, in Markdown.
    pub table: String,
    /// What they say, in one sentence.
    pub reading: String,
    pub plot: Plot,
}

const HEAD: &str = "# Growth

How the cost of a message grows with the size of the system, and the time of a command with the length of the journal.
`cargo bench --bench growth` measures the release binary and writes this page; `cargo bench --bench growth -- joins` prints one section.

Each section compares systems that differ in one size. A client sends messages that change one entry of the checklist; each is acknowledged once it is
decided and on the disk. *One at a time* is the median time from a message to its reply. *64 in flight* is the rate of replies while 64 messages
wait, *processor* the manager's processor time for each of them, and *longest pause* the longest time without a reply. *Relative cost* is the cost of a message
divided by that of the smallest size; it carries over to other machines, and 1.00 means that size does not matter.
";

/// Write the page.
pub fn text(settings: &Settings, machine: &str, sections: &[Section]) -> String {
    let mut page = HEAD.to_owned();
    let _ = write!(
        page,
        "\nThe figures are the best of {} rounds. All sizes take turns in a round, so that other programs on the machine disturb all alike.\nMachine: {machine}.\n",
        settings.rounds
    );
    for section in sections {
        let _ = write!(
            page,
            "\n## {title}\n\n{setup}\n\n{table}\n{reading}\n\n![{title}](growth/{name}.svg)\n",
            title = section.title,
            setup = section.setup,
            table = section.table,
            reading = section.reading,
            name = section.name,
        );
    }
    page
}
