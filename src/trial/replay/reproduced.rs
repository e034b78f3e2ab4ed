//! Checks whether the historical rules, called again, return what the journal has.

use std::fmt::Write as _;

use jiff::{SignedDuration, ZonedDateTime};

use super::difference::{ReplayedJoin, RuleResult, join_label, label, without};
use crate::store::journal::{HistoricalCall, RuleOutcome};
use nowcast_core::Join;
use nowcast_core::NextWorker;

/// Return `None` if a result has the same effect as the historical one, otherwise both effects as text: then and now.
pub(super) fn mismatch(
    then: &RuleOutcome,
    called: &HistoricalCall<'_>,
    again: &RuleResult,
) -> Option<(String, String)> {
    let at = called.at;
    let requested_then =
        called.kept.join_request.clone().map(|request| ReplayedJoin::new(request, &called.message.source));
    // A join by cycle or since a moment may have existed already, so it is compared as requested, and its launches are its own.
    let (requested_now, opened_now) = match &again.join {
        Some(join) if join.scope.is_some() => (Some(join), None),
        join => (None, join.as_ref()),
    };
    let mut launches = again.launches.clone();
    launches.extend(opened_now.iter().flat_map(|join| join.launch.iter().cloned()));
    let launched: Vec<NextWorker> =
        then.launches.iter().map(|launch| NextWorker { location: None, ..launch.clone() }).collect();
    let join_then = then.join.as_ref().map(|join| opened(join, at));
    // A join that waits for nothing is not opened.
    let join_now = opened_now.filter(|join| !join.wait_for.is_empty()).map(|join| OpenedJoin {
        name: join.name.clone(),
        waits_for: join.wait_for.iter().map(|requirement| u64::from(requirement.count)).sum(),
        timeout: join.timeout,
    });
    let is_same = without(&launched, &launches).is_empty()
        && without(&launches, &launched).is_empty()
        && join_then == join_now
        && requested_then.as_ref() == requested_now;
    (!is_same).then(|| {
        let then = words(&launched, join_then.as_ref(), requested_then.as_ref(), at);
        (then, words(&launches, join_now.as_ref(), requested_now, at))
    })
}

/// The properties of a join that never change while it is open.
#[derive(PartialEq, Eq)]
struct OpenedJoin {
    name: String,
    /// The number of required messages, including those received.
    waits_for: u64,
    /// The timeout in seconds.
    timeout: Option<i64>,
}

fn opened(join: &Join, at: &ZonedDateTime) -> OpenedJoin {
    let missing: u64 = join.requires.iter().map(|requirement| u64::from(requirement.count)).sum();
    // Before steady time was known, a join had its deadline only.
    let timeout = join.timeout.or_else(|| Some(join.deadline?.0.duration_since(at.timestamp())));
    OpenedJoin {
        name: join.name.clone(),
        waits_for: missing + join.received.len() as u64,
        timeout: timeout.map(|timeout| timeout.as_secs()),
    }
}

fn words(
    launches: &[NextWorker],
    join: Option<&OpenedJoin>,
    requested: Option<&ReplayedJoin>,
    at: &ZonedDateTime,
) -> String {
    let mut parts: Vec<String> = launches.iter().map(|launch| label(launch, at)).collect();
    if let Some(OpenedJoin { name, waits_for, timeout }) = join {
        let mut text = format!("join {name} for {waits_for}");
        if let Some(timeout) = timeout {
            // Writing to a String cannot fail.
            let _ = write!(text, " (timeout {:#})", SignedDuration::from_secs(*timeout));
        }
        parts.push(text);
    }
    parts.extend(requested.map(|join| format!("join {}", join_label(join, at))));
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}
