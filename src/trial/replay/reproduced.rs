//! Checks whether the historical rules, called again, return what the journal has.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::difference::{RuleResult, label, without};
use crate::store::journal::RuleOutcome;
use nowcast_core::NextWorker;
use nowcast_core::joins::Join;

/// `None` if an answer leads to what the historical one led to; else what that was and what it is now, for people.
pub(super) fn mismatch(
    then: &RuleOutcome,
    again: &RuleResult,
    at: &ZonedDateTime,
) -> Option<(String, String)> {
    let mut launches = again.launches.clone();
    launches.extend(again.join.iter().flat_map(|join| join.launch.iter().cloned()));
    let launched: Vec<NextWorker> =
        then.launches.iter().map(|launch| NextWorker { location: None, ..launch.clone() }).collect();
    let join_then = then.join.as_ref().map(|join| opened(join, at));
    // A join that waits for nothing is not opened.
    let join_now = again.join.as_ref().filter(|join| !join.wait_for.is_empty()).map(|join| JoinIdentity {
        name: join.name.clone(),
        waits_for: join.wait_for.iter().map(|wanted| u64::from(wanted.count)).sum(),
        timeout: join.timeout,
    });
    let is_same = without(&launched, &launches).is_empty()
        && without(&launches, &launched).is_empty()
        && join_then == join_now;
    (!is_same).then(|| (words(&launched, join_then.as_ref(), at), words(&launches, join_now.as_ref(), at)))
}

/// What stays the same of a join from its first moment to its end.
#[derive(PartialEq, Eq)]
struct JoinIdentity {
    name: String,
    /// How many messages, those included that have come.
    waits_for: u64,
    /// Seconds.
    timeout: Option<i64>,
}

fn opened(join: &Join, at: &ZonedDateTime) -> JoinIdentity {
    let missing: u64 = join.requires.iter().map(|wanted| u64::from(wanted.count)).sum();
    let seconds = |deadline: Timestamp| deadline.duration_since(at.timestamp()).as_secs();
    JoinIdentity {
        name: join.name.clone(),
        waits_for: missing + join.received.len() as u64,
        timeout: join.deadline.map(seconds),
    }
}

fn words(launches: &[NextWorker], join: Option<&JoinIdentity>, at: &ZonedDateTime) -> String {
    let mut parts: Vec<String> = launches.iter().map(|launch| label(launch, at)).collect();
    if let Some(JoinIdentity { name, waits_for, timeout }) = join {
        let mut text = format!("join {name} for {waits_for}");
        if let Some(timeout) = timeout {
            // Writing to a String cannot fail.
            let _ = write!(text, " (timeout {:#})", SignedDuration::from_secs(*timeout));
        }
        parts.push(text);
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}
