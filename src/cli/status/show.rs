//! The status as text.

use std::fmt::Write as _;

use jiff::{SignedDuration, ZonedDateTime};

use crate::cli::table::Table;
use crate::cli::times;
use crate::view::attention;
use crate::view::entries::arguments;
use crate::view::system::{Health, Status};

/// How far ahead the schedule is shown.
const SOON: SignedDuration = SignedDuration::from_hours(12);

/// How much of it is shown; `--json` has each entry.
const MOST_SCHEDULED: usize = 10;

impl Status {
    pub(super) fn to_text(&self, now: &ZonedDateTime) -> String {
        let state = match self.state {
            Health::Healthy => "HEALTHY",
            Health::Degraded => "DEGRADED",
            Health::Down => "DOWN",
        };
        let mut text = format!(
            "{}  {state}  daemons {}/{}  rules generation {}           {}\n",
            self.name,
            self.daemons.running(),
            self.daemons.all(),
            self.rules_generation,
            now.strftime("%H:%M")
        );
        for part in [self.attention(now), self.running(now), self.waiting(now)] {
            text.push_str(&part);
        }
        text
    }

    fn attention(&self, now: &ZonedDateTime) -> String {
        if self.attention.is_empty() {
            return String::new();
        }
        let mut table = Table::indented(2);
        let more = table.rows(&self.attention, "nowcast status --json", |item| {
            [
                item.kind.heading().to_owned(),
                item.number.map(|number| format!("#{number}")).unwrap_or_default(),
                item.about.clone(),
                item.since.map(|since| times::minute(since, now)).unwrap_or_default(),
                item.help.clone().unwrap_or_default(),
                // More would tear the table; `nowcast why` has all of it.
                item.text.lines().next().unwrap_or_default().to_owned(),
            ]
        });
        format!("ATTENTION {}\n{table}{more}", self.attention.len())
    }

    fn running(&self, now: &ZonedDateTime) -> String {
        if self.running.is_empty() {
            return "RUNNING nothing\n".to_owned();
        }
        let mut table = Table::new(&["RUNNING", "", "ARGS", "HOST", "FOR", "USUAL", ""]);
        let more = table.rows(&self.running, "nowcast runs --open -n 100", |running| {
            let run = &running.run;
            let usual = running.usual_seconds.map(SignedDuration::from_secs_f64);
            [
                format!("  {}", run.worker),
                format!("#{}", run.number),
                arguments(&run.args),
                run.host.clone(),
                run.lasted().map(times::span).unwrap_or_default(),
                usual.map(times::span).unwrap_or_default(),
                match (run.state, &run.told_to_end) {
                    ("running", _) => String::new(),
                    ("contact lost", _) => "contact lost".to_owned(),
                    ("ending", Some(why)) => format!("ending: {why}"),
                    _ => format!("{}; its report is awaited", run.fate(now)),
                },
            ]
        });
        format!("{table}{more}")
    }

    /// Joins, holds, and runs that wait for their time or behind something.
    fn waiting(&self, now: &ZonedDateTime) -> String {
        let mut table = Table::indented(0);
        for join in &self.joins {
            let mut text = attention::waits_for(&join.needs, join.launches);
            if let Some(deadline) = join.deadline {
                let _ = write!(text, "; overdue at {}", times::minute(deadline, now));
            }
            table.row(["JOIN".into(), format!("#{}", join.number), join.name.clone(), text]);
        }
        for hold in &self.holds {
            let until = hold.until.map(|until| format!("until {}, ", times::minute(until, now)));
            let reason = hold.reason.as_ref().map(|reason| format!(" ({reason})"));
            let text = format!(
                "{}by {}{}; nowcast release {} ends it",
                until.unwrap_or_default(),
                hold.user,
                reason.unwrap_or_default(),
                hold.number
            );
            table.row(["HOLD".into(), format!("#{}", hold.number), hold.target.clone(), text]);
        }
        let soon: Vec<_> =
            self.scheduled.iter().filter(|next| next.next.duration_since(now.timestamp()) <= SOON).collect();
        for scheduled in soon.into_iter().take(MOST_SCHEDULED) {
            let next = times::second(scheduled.next, now);
            table.row(["DUE".into(), String::new(), scheduled.item.clone(), next]);
        }
        let more = table.rows(&self.waiting, "nowcast runs --open -n 100", |waiting| {
            let due = waiting.run.due.filter(|due| *due > now.timestamp());
            let (kind, text) = match (due, &waiting.behind) {
                (Some(due), Some(behind)) => {
                    ("DUE", format!("{}, blocked: {behind}", times::second(due, now)))
                }
                (Some(due), None) => ("DUE", times::second(due, now)),
                (None, Some(behind)) => ("QUEUED", format!("behind {behind}")),
                (None, None) => ("QUEUED", "for the manager".to_owned()),
            };
            [kind.into(), format!("#{}", waiting.run.number), waiting.run.label(), text]
        });
        format!("{table}{more}")
    }
}
