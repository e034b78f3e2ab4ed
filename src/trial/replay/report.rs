//! [`ReplayReport`]: the result of a replay, collected while it runs, as text and JSON.
//!
//! It keeps one difference of each kind, and only the numbers of the others.

use std::fmt::Write as _;

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::difference::Difference;
use nowcast_core::counted::counted;

/// Seconds in an hour.
const HOUR: i64 = 3_600;

/// The maximum number of examples that are shown.
const EXAMPLES: usize = 5;

/// The result of a replay.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// The counts.
    pub summary: ReplaySummary,
    /// The messages that could not be compared, by reason.
    not_comparable: IndexMap<String, Vec<u64>>,
    not_reproducible: Vec<NotReproducible>,
    differences: IndexMap<String, Difference>,
    /// Whether each difference is kept separately.
    each: bool,
}

/// The counts of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplaySummary {
    /// The number of replayed messages.
    pub messages: u64,
    /// The time from which on messages are replayed.
    pub since: Option<Timestamp>,
    /// The time before which messages are replayed.
    pub until: Option<Timestamp>,
    /// The number of messages that these very rules had decided, with the same result, so that nothing can differ.
    pub same_rules: u64,
    /// The number of messages whose results differ.
    pub differ: u64,
    /// The number of those whose rule fails now, but did not before.
    pub newly_fail: u64,
    /// The number of those whose rule failed before, but does not now.
    pub no_longer_fail: u64,
    /// The number of messages that could not be compared.
    pub not_comparable: u64,
    /// The number of messages for which the historical rules now return another result.
    pub not_reproducible: u64,
}

/// A message for which the historical rules now return another result.
#[derive(Debug, Clone, Serialize)]
struct NotReproducible {
    number: u64,
    /// The recorded result, for people.
    then: String,
    /// The current result.
    now: String,
}

/// The JSON document of a replay.
#[derive(Debug, Serialize)]
pub struct ReplayDocument<'a> {
    summary: &'a ReplaySummary,
    differences: Vec<&'a Difference>,
    not_comparable: Vec<ReplayReason<'a>>,
    /// The first examples.
    not_reproducible: &'a [NotReproducible],
}

#[derive(Debug, Serialize)]
struct ReplayReason<'a> {
    reason: &'a str,
    messages: &'a [u64],
}

impl ReplayReport {
    /// Return an empty report. With `each`, differences are not grouped.
    #[must_use]
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>, each: bool) -> Self {
        let summary = ReplaySummary { since, until, ..ReplaySummary::default() };
        Self { summary, each, ..Self::default() }
    }

    /// Count a message that cannot be compared.
    pub fn cannot_compare(&mut self, number: u64, reason: &str) {
        self.summary.not_comparable += 1;
        self.not_comparable.entry(reason.to_owned()).or_default().push(number);
    }

    /// Count a message for which the historical rules now return another result.
    pub fn cannot_reproduce(&mut self, number: u64, then: String, now: String) {
        self.summary.not_reproducible += 1;
        if self.not_reproducible.len() < EXAMPLES {
            self.not_reproducible.push(NotReproducible { number, then, now });
        }
    }

    /// Add a difference.
    pub fn add(&mut self, difference: Difference) {
        self.summary.differ += 1;
        self.summary.newly_fail += u64::from(difference.newly_fails());
        self.summary.no_longer_fail += u64::from(difference.no_longer_fails());
        let shape = if self.each { difference.number.to_string() } else { difference.shape() };
        match self.differences.get_mut(&shape) {
            Some(first) => first.more.push(difference.number),
            None => drop(self.differences.insert(shape, difference)),
        }
    }

    /// Return the differences, one of each kind.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.differences.values()
    }

    /// Return the whole report for programs.
    #[must_use]
    pub fn document(&self) -> ReplayDocument<'_> {
        ReplayDocument {
            summary: &self.summary,
            differences: self.differences.values().collect(),
            not_comparable: self
                .not_comparable
                .iter()
                .map(|(reason, messages)| ReplayReason { reason, messages })
                .collect(),
            not_reproducible: &self.not_reproducible,
        }
    }

    /// Return the whole report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.text_of_differences();
        if self.summary.same_rules > 0 {
            let count = grouped(self.summary.same_rules);
            let were = if self.summary.same_rules == 1 { "was" } else { "were" };
            let _ = writeln!(
                text,
                "{count} of them {were} decided by these very rules, so nothing can differ there"
            );
        }
        for (reason, messages) in &self.not_comparable {
            let count = grouped(messages.len() as u64);
            let _ = writeln!(text, "{count} not comparable: {reason}: {}", numbers(messages));
        }
        if self.summary.not_reproducible > 0 {
            let count = grouped(self.summary.not_reproducible);
            let _ = writeln!(
                text,
                "{count} not reproducible: the historical rules, called again, return another result. Is the \
                 configuration another one by now?"
            );
            for NotReproducible { number, then, now } in &self.not_reproducible {
                let _ = writeln!(text, "    #{number}: then {then}; now {now}");
            }
        }
        let ReplaySummary { messages, differ, newly_fail, no_longer_fail, not_comparable, .. } =
            &self.summary;
        let _ = writeln!(
            text,
            "{} {}{} replayed: {} {}, {} would fail that did not, {} would no longer fail, {} not comparable",
            grouped(*messages),
            if *messages == 1 { "message" } else { "messages" },
            self.span(),
            grouped(*differ),
            if *differ == 1 { "differs" } else { "differ" },
            grouped(*newly_fail),
            grouped(*no_longer_fail),
            grouped(*not_comparable)
        );
        text
    }

    /// Return the differences for people, with like ones grouped.
    #[must_use]
    pub fn text_of_differences(&self) -> String {
        let mut text = String::new();
        for difference in self.differences.values() {
            let _ = writeln!(text, "{}", difference.heading());
            for line in difference.lines() {
                let _ = writeln!(text, "    {line}");
            }
            if !difference.more.is_empty() {
                let count = grouped(difference.more.len() as u64);
                let _ = writeln!(text, "    and {count} more like it: {}", numbers(&difference.more));
            }
            text.push('\n');
        }
        text
    }

    /// Return the length of the period, such as ` of 7 days`, or an empty text if the period is open.
    fn span(&self) -> String {
        let ReplaySummary { since: Some(since), until: Some(until), .. } = self.summary else {
            return String::new();
        };
        let seconds = until.duration_since(since).max(SignedDuration::ZERO).as_secs();
        let (count, one, many) = match seconds {
            0..HOUR => ((seconds + 30) / 60, "minute", "minutes"),
            HOUR..172_800 => ((seconds + HOUR / 2) / HOUR, "hour", "hours"),
            _ => ((seconds + 12 * HOUR) / (24 * HOUR), "day", "days"),
        };
        format!(" of {}", counted(count, one, many))
    }
}

/// Format the first of some numbers: `#12, #15, …`.
fn numbers(numbers: &[u64]) -> String {
    let mut shown: Vec<String> = numbers.iter().take(EXAMPLES).map(|number| format!("#{number}")).collect();
    if numbers.len() > EXAMPLES {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// Format a count with separators: `1,234`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for (at, digit) in digits[first..].chars().enumerate() {
        if at % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_grouped() {
        for (count, text) in [(0, "0"), (12, "12"), (123, "123"), (1_234, "1,234"), (1_234_567, "1,234,567")]
        {
            assert_eq!(super::grouped(count), text);
        }
    }
}
