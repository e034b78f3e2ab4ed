//! The time of operators' commands against the length of the journal.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::chart::{Line, Plot};
use super::journal;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use super::texts::{factor, table, time};

/// Events in the journal.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// An entry count that no journal here reaches.
const ALL: &str = "100000000";

/// The commands. `MIDDLE` is the number of an event half-way.
const COMMANDS: [&[&str]; 7] = [
    &["status"],
    &["why", "awaken"],
    &["why", "MIDDLE"],
    &["runs"],
    &["messages"],
    &["runs", "--json", "-n", ALL],
    &["messages", "--json", "-n", ALL],
];

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> = settings.of(&SIZES).into_iter().map(journal::subject).collect();
    for subject in &subjects {
        subject.wait_until_idle();
    }
    let round = || -> Vec<Vec<Duration>> {
        COMMANDS.map(|command| subjects.iter().map(|subject| run(subject, command)).collect()).into()
    };
    let mut times = round();
    for _ in 1..settings.rounds {
        for (best, again) in times.iter_mut().flatten().zip(round().into_iter().flatten()) {
            *best = again.min(*best);
        }
    }
    vec![section(&subjects, &times)]
}

/// Run a command to its end, without its output.
fn run(subject: &Subject, command: &[&str]) -> Duration {
    // There are three numbers for two events: a run has one, too.
    let middle = format!("{:.0}", (subject.size / 4.0).floor() * 3.0 + 1.0);
    let arguments: Vec<&str> =
        command.iter().map(|argument| if *argument == "MIDDLE" { &middle } else { *argument }).collect();
    let mut command = subject.system.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().expect("the command runs");
    let time = start.elapsed();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    time
}

fn section(subjects: &[Subject], times: &[Vec<Duration>]) -> Section {
    let name =
        |command: &[&str]| format!("`{}`", command.join(" ").replace(ALL, "…").replace("MIDDLE", "NUMBER"));
    let mut head = vec!["events"];
    head.extend(subjects.iter().map(|subject| subject.label.as_str()));
    head.push("relative time");
    let growth = |times: &[Duration]| times[times.len() - 1].div_duration_f64(times[0]);
    let rows = COMMANDS.iter().zip(times).map(|(command, times)| {
        let mut row = vec![name(command)];
        row.extend(times.iter().copied().map(time));
        row.push(factor(growth(times)));
        row
    });
    let (lists, pages): (Vec<_>, Vec<_>) =
        COMMANDS.iter().zip(times).partition(|(command, _)| command.contains(&ALL));
    let most = |of: &[(_, &Vec<Duration>)]| of.iter().map(|(_, times)| growth(times)).fold(0.0, f64::max);
    let reading = format!(
        "From {} to {} events, no command that shows a page takes more than {} times as long, since it finds by an index what it shows. `status` also searches the runs of the \
         last week for failures, which are more in a longer journal here. A list \
         of everything takes as long as it has entries, and is written while it is read.",
        subjects[0].label,
        subjects[subjects.len() - 1].label,
        factor(most(&pages)),
    );
    assert!(!lists.is_empty(), "there are both kinds");
    let line = |(command, times): (&&[&str], &Vec<Duration>)| Line {
        name: name(command).replace('`', ""),
        values: times.iter().map(Duration::as_secs_f64).collect(),
    };
    Section {
        name: "commands",
        title: "Operators' commands",
        setup: "The journals are like those of the section before. The output of the commands is discarded."
            .to_owned(),
        table: table(&head, rows),
        reading,
        plot: Plot {
            x_title: "events",
            y_title: "seconds",
            sizes: subjects.iter().map(|subject| (subject.size.log10(), subject.label.clone())).collect(),
            lines: COMMANDS.iter().zip(times).map(line).collect(),
        },
    }
}
