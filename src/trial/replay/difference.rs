//! [`Difference`]: how the results of two rules for one message differ, and its text.

use std::fmt::Write as _;

use jiff::ZonedDateTime;
use serde::Serialize;

use crate::rules::place;
use nowcast_core::cycles::NoteScope;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{JoinRequest, LaunchOptions, NextWorker, Requirement, ReturnedLaunches, RuleCallResult};

/// The result of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleResult {
    /// The place of the rule, such as `next_workers.lua:12`.
    pub place: Option<String>,
    /// The launches, in order.
    pub launches: Vec<NextWorker>,
    /// The join that it opens.
    pub join: Option<ReplayedJoin>,
    /// The reason why there is no result.
    pub error: Option<String>,
    /// Whether the rule called `last(…)` without the notes, so that the result says nothing.
    pub lacks_notes: bool,
}

impl RuleResult {
    /// Return the result of a call for a message of this worker.
    #[must_use]
    pub fn new(call: RuleCallResult, worker: &str) -> Self {
        let (answer, error) = match call.result {
            Ok(answer) => (answer, None),
            Err(error) => (ReturnedLaunches::default(), Some(error.to_string())),
        };
        Self {
            place: call.location,
            launches: answer.next_workers.into_iter().map(without_place).collect(),
            join: answer.join.map(|join| ReplayedJoin::new(join, worker)),
            error,
            lacks_notes: call.lacks_notes,
        }
    }

    /// Return the result of a rule that failed.
    #[must_use]
    pub fn failed(error: &str) -> Self {
        Self { error: Some(error.to_owned()), ..Self::default() }
    }
}

/// A join that a rule opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayedJoin {
    /// Its name; for a race set, that of the worker.
    pub name: String,
    /// The messages that it requires.
    pub wait_for: Vec<Requirement>,
    /// The launches when it is complete, in addition to those that wait in it.
    pub launch: Vec<NextWorker>,
    /// The timeout in seconds.
    pub timeout: Option<i64>,
    /// The messages that count in it, if that is a join by cycle or since a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<NoteScope>,
}

impl ReplayedJoin {
    pub(super) fn new(request: JoinRequest, worker: &str) -> Self {
        Self {
            name: request.name.unwrap_or_else(|| worker.to_owned()),
            wait_for: request.wait_for,
            launch: request.launch.into_iter().map(without_place).collect(),
            timeout: request.timeout.map(|timeout| timeout.as_secs()),
            scope: request.scope,
        }
    }
}

/// Remove the place of a launch in the rules, which has no effect on the launch.
fn without_place(launch: NextWorker) -> NextWorker {
    NextWorker { location: None, ..launch }
}

/// The difference between two results for one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The message.
    pub number: u64,
    /// Its time.
    pub time: ZonedDateTime,
    /// The worker that sent it.
    pub worker: String,
    /// Its type.
    pub r#type: String,
    /// The previous place of the rule.
    pub rule_before: Option<String>,
    /// The new place of the rule.
    pub rule_after: Option<String>,
    /// The launches that are no longer returned.
    pub removed: Vec<NextWorker>,
    /// The launches that were not returned before.
    pub added: Vec<NextWorker>,
    /// The new launches, if only their order differs; otherwise empty.
    pub reordered: Vec<NextWorker>,
    /// The previous join, if it is gone or has changed.
    pub join_removed: Option<ReplayedJoin>,
    /// The new join, if it was added or has changed.
    pub join_added: Option<ReplayedJoin>,
    /// The previous error, if it is gone or has changed.
    pub error_before: Option<String>,
    /// The new error, if there was none or another one.
    pub error_after: Option<String>,
    /// The numbers of other messages that differ in the same way.
    pub more: Vec<u64>,
}

/// A message that is replayed.
#[derive(Debug, Clone, Copy)]
pub struct ReplayedMessage<'a> {
    /// Its number.
    pub number: u64,
    /// Its time.
    pub time: &'a ZonedDateTime,
    /// The worker that sent it.
    pub worker: &'a str,
    /// Its type.
    pub r#type: &'a str,
}

impl Difference {
    /// Compare two results, and return `None` if they are alike. The place of a launch in the rules does not count.
    #[must_use]
    pub fn between(asked: ReplayedMessage<'_>, before: &RuleResult, after: &RuleResult) -> Option<Self> {
        let is_same_error = match (&before.error, &after.error) {
            (Some(before), Some(after)) => reason(before) == reason(after),
            (before, after) => before == after,
        };
        let is_same_join = before.join == after.join;
        if is_same_error && is_same_join && before.launches == after.launches {
            return None;
        }
        let removed = without(&before.launches, &after.launches);
        let added = without(&after.launches, &before.launches);
        let is_reordered = removed.is_empty() && added.is_empty() && before.launches != after.launches;
        Some(Self {
            number: asked.number,
            time: asked.time.clone(),
            worker: asked.worker.to_owned(),
            r#type: asked.r#type.to_owned(),
            rule_before: before.place.clone(),
            rule_after: after.place.clone(),
            removed,
            added,
            reordered: if is_reordered { after.launches.clone() } else { Vec::new() },
            join_removed: before.join.clone().filter(|_| !is_same_join),
            join_added: after.join.clone().filter(|_| !is_same_join),
            error_before: before.error.clone().filter(|_| !is_same_error),
            error_after: after.error.clone().filter(|_| !is_same_error),
            more: Vec::new(),
        })
    }

    /// Return whether the rule fails now, but did not before.
    #[must_use]
    pub fn newly_fails(&self) -> bool {
        self.error_after.is_some() && self.error_before.is_none()
    }

    /// Return whether the rule failed before, but does not now.
    #[must_use]
    pub fn no_longer_fails(&self) -> bool {
        self.error_before.is_some() && self.error_after.is_none()
    }

    /// Return the first line for people: time, message and rule.
    #[must_use]
    pub fn heading(&self) -> String {
        let time = self.time.strftime("%Y-%m-%d %H:%M:%S");
        let mut text = format!("{time}  #{}  {} {}", self.number, self.worker, self.r#type);
        match (&self.rule_before, &self.rule_after) {
            (Some(before), Some(after)) if before != after => {
                let _ = write!(text, "   {before} → {after}");
            }
            (Some(place), _) | (None, Some(place)) => {
                let _ = write!(text, "   {place}");
            }
            (None, None) => {}
        }
        text
    }

    /// Return the differences, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let zoned = |launch: &NextWorker| label(launch, &self.time);
        let of_module = |launch: &NextWorker| label_as(&launch.module, launch, &self.time);
        let (removed, added) = distinguished(&self.removed, &self.added, &[&zoned, &of_module, &in_full]);
        let mut lines: Vec<String> = Vec::new();
        lines.extend(removed.iter().map(|launch| format!("- {launch}")));
        lines.extend(added.iter().map(|launch| format!("+ {launch}")));
        if !self.reordered.is_empty() {
            let order: Vec<String> = self.reordered.iter().map(zoned).collect();
            lines.push(format!("~ the same launches in another order: {}", order.join(", ")));
        }
        let zoned = |join: &ReplayedJoin| join_label(join, &self.time);
        let (removed, added) =
            distinguished(self.join_removed.as_slice(), self.join_added.as_slice(), &[&zoned, &in_full]);
        lines.extend(removed.iter().map(|join| format!("- join {join}")));
        lines.extend(added.iter().map(|join| format!("+ join {join}")));
        lines.extend(self.error_before.as_ref().map(|error| format!("- error: {}", first_line(error))));
        lines.extend(self.error_after.as_ref().map(|error| format!("! error: {}", first_line(error))));
        lines
    }

    /// Return a text that is the same for differences that count as alike: those of the same worker, type and lines,
    /// apart from dates.
    #[must_use]
    pub fn shape(&self) -> String {
        format!("{} {}\n{}", self.worker, self.r#type, without_dates(&self.lines().join("\n")))
    }
}

/// Format old and new values with the first function that makes no line equal on both sides, otherwise with the last.
fn distinguished<T>(
    before: &[T],
    after: &[T],
    words: &[&dyn Fn(&T) -> String],
) -> (Vec<String>, Vec<String>) {
    let mut formatted = (Vec::new(), Vec::new());
    for words in words {
        formatted = (before.iter().map(words).collect(), after.iter().map(words).collect());
        if !formatted.0.iter().any(|line| formatted.1.contains(line)) {
            break;
        }
    }
    formatted
}

/// Return a value as in the JSON document.
fn in_full(what: &impl Serialize) -> String {
    serde_json::to_string(what).unwrap_or_default()
}

/// Return the launches of one list that the other lacks. Repeated launches are counted.
pub(super) fn without(these: &[NextWorker], those: &[NextWorker]) -> Vec<NextWorker> {
    let mut rest: Vec<&NextWorker> = those.iter().collect();
    let mut left = Vec::new();
    for launch in these {
        match rest.iter().position(|other| *other == launch) {
            Some(at) => drop(rest.remove(at)),
            None => left.push(launch.clone()),
        }
    }
    left
}

/// Return the text of an error without its place and its traceback.
fn reason(error: &str) -> &str {
    let line = first_line(error);
    place(line).map_or(line, |(_, _, reason)| reason)
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Replace each date, such as `2026-03-14` or `20260314`, and each time after a date by `…`.
fn without_dates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let is_digital = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | ':' | 'T' | '.');
        let end = from.find(|letter| !is_digital(letter)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_date = digits >= 8 || (word.contains(':') && out.ends_with("… "));
        out.push_str(if is_date { "…" } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Format a launch for people: its worker, arguments, host and options.
#[must_use]
pub fn label(launch: &NextWorker, zone: &ZonedDateTime) -> String {
    label_as(launch.name(), launch, zone)
}

fn label_as(name: &str, launch: &NextWorker, zone: &ZonedDateTime) -> String {
    let args = &launch.args;
    let shown = crate::shell_words::joined(args);
    let mut text = name.to_owned();
    if !shown.is_empty() {
        let _ = write!(text, " {shown}");
    }
    if launch.host != LOCALHOST {
        let _ = write!(text, " on {}", launch.host);
    }
    let options = options(&launch.options, zone);
    if !options.is_empty() {
        let _ = write!(text, " ({})", options.join(", "));
    }
    text
}

fn options(options: &LaunchOptions, zone: &ZonedDateTime) -> Vec<String> {
    let LaunchOptions { delay, at, timeout, retries, retry_delay, env, cycle } = options;
    let at = at.map(|at| at.to_zoned_datetime(zone.time_zone().clone()));
    let mut shown = Vec::new();
    shown.extend(delay.map(|delay| format!("delay {delay:#}")));
    shown.extend(at.map(|at| format!("at {}", at.strftime("%Y-%m-%d %H:%M:%S"))));
    shown.extend(timeout.map(|timeout| format!("timeout {timeout:#}")));
    shown.extend(retries.map(|retries| format!("retries {retries}")));
    shown.extend(retry_delay.map(|delay| format!("retry_delay {delay:#}")));
    shown.extend(cycle.as_ref().map(|cycle| format!("cycle {cycle}")));
    shown.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
    shown
}

pub(super) fn join_label(join: &ReplayedJoin, zone: &ZonedDateTime) -> String {
    let wants: Vec<String> = join
        .wait_for
        .iter()
        .map(|requirement| {
            let count =
                if requirement.count > 1 { format!(" × {}", requirement.count) } else { String::new() };
            let kind = requirement.r#type.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
            let cycle =
                requirement.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
            format!("{}{kind}{cycle}{count}", requirement.worker)
        })
        .collect();
    let scope = match &join.scope {
        Some(NoteScope::Cycle(cycle)) => format!(" of cycle {cycle}"),
        Some(NoteScope::Since(moment)) => {
            let moment = moment.to_zoned_datetime(zone.time_zone().clone());
            format!(" since {}", moment.strftime("%Y-%m-%d %H:%M:%S"))
        }
        None => String::new(),
    };
    let mut text = format!("{}{scope}: {}", join.name, wants.join(", "));
    if !join.launch.is_empty() {
        let launch: Vec<String> = join.launch.iter().map(|launch| label(launch, zone)).collect();
        let _ = write!(text, "; then {}", launch.join(", "));
    }
    if let Some(timeout) = join.timeout {
        let _ = write!(text, " (timeout {:#})", jiff::SignedDuration::from_secs(timeout));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(launches: &[(&str, &str)]) -> RuleResult {
        let launch = |(name, arg): &(&str, &str)| NextWorker::new(*name, vec![(*arg).to_owned()]);
        RuleResult { launches: launches.iter().map(launch).collect(), ..RuleResult::default() }
    }

    fn lines(before: &RuleResult, after: &RuleResult) -> Vec<String> {
        let time = "2026-03-14T05:15:03-07:00[America/Vancouver]".parse().unwrap();
        let asked = ReplayedMessage { number: 1, time: &time, worker: "w", r#type: "success" };
        Difference::between(asked, before, after).map(|difference| difference.lines()).unwrap_or_default()
    }

    #[test]
    fn each_launch_counts_as_often_as_it_is_there_and_the_order_counts() {
        let before = answered(&[("a", "1"), ("a", "1"), ("b", "2")]);
        assert!(lines(&before, &before).is_empty());
        assert_eq!(lines(&before, &answered(&[("a", "1"), ("b", "2")])), ["- a 1"]);
        let other = answered(&[("b", "2"), ("a", "1"), ("a", "1")]);
        assert_eq!(lines(&before, &other), ["~ the same launches in another order: b 2, a 1, a 1"]);
    }

    #[test]
    fn similar_launches_are_shown_in_full() {
        let of = |module: &str, nanoseconds: i32| {
            let delay = Some(jiff::SignedDuration::new(60, nanoseconds));
            let options = LaunchOptions { delay, ..LaunchOptions::default() };
            let launch = NextWorker { options, ..NextWorker::new(module, Vec::new()) };
            let join = ReplayedJoin {
                name: "j".to_owned(),
                wait_for: Vec::new(),
                launch: vec![launch.clone()],
                timeout: None,
                scope: None,
            };
            RuleResult { launches: vec![launch], join: Some(join), ..RuleResult::default() }
        };
        let shown = lines(&of("old.workers.a", 0), &of("new.workers.a", 0));
        assert_eq!(shown[..2], ["- old.workers.a (delay 1m)", "+ new.workers.a (delay 1m)"]);
        assert!(shown[2].starts_with("- join {") && shown[2].contains("old.workers.a"), "{shown:?}");
        assert!(shown[3].starts_with("+ join {") && shown[3].contains("new.workers.a"), "{shown:?}");
    }

    #[test]
    fn an_error_on_another_line_is_not_a_difference() {
        let before = RuleResult::failed("next_workers.lua:3: no\nstack traceback:\n  next_workers.lua:3");
        assert!(lines(&before, &RuleResult::failed("edited.lua:44: no\nstack traceback:\n  …")).is_empty());
        let other = RuleResult::failed("edited.lua:44: not that");
        assert_eq!(
            lines(&before, &other),
            ["- error: next_workers.lua:3: no", "! error: edited.lua:44: not that"]
        );
    }

    #[test]
    fn dates_make_no_other_shape() {
        let shape = without_dates("+ a --run-date 2026-03-14 12 (at 2026-03-14 05:15:00, retries 3)");
        assert_eq!(shape, "+ a --run-date … 12 (at … …, retries 3)");
        assert_eq!(without_dates("20260314T05 forecast2"), "… forecast2");
    }
}
