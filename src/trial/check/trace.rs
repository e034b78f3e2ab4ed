//! Calls rules with all cases, one after the other, within limits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cases::{CaseSource, CheckCase};
use super::functions::types_for_rules;
use crate::clock::thread_cpu_time;
use crate::config::Config;
use crate::rules::Engine;
use nowcast_core::{RuleCallResult, RuleInput, Rules};

/// The maximum number of calls.
pub(in crate::trial) const MOST_CALLS: usize = 20_000;
/// The maximum time for all calls together; a call in progress is stopped by its own limits.
const MOST_TIME: Duration = Duration::from_secs(60);

/// The extent of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::trial) struct Traced {
    pub(in crate::trial) calls: usize,
    /// Whether cases were left out.
    pub(in crate::trial) is_cut: bool,
}

/// Call each rule with its cases, and report each result. A rule that exceeded a limit is not called again.
pub(in crate::trial) fn trace(
    config: &Config,
    engine: &Engine,
    world: &CaseSource,
    mut report: impl FnMut(&CheckCase, &RuleCallResult),
) -> Traced {
    let begun = thread_cpu_time();
    let mut traced = Traced::default();
    let mut stopped = BTreeSet::new();
    let has_function =
        |worker: &str| engine.functions().iter().any(|function| function.name == format!("after_{worker}"));
    let mut read = Vec::new();
    let mut call_all = |worker: &String, cases: Vec<CheckCase>, keys_read: &mut Vec<String>| {
        for case in cases {
            if stopped.contains(worker) {
                return;
            }
            if traced.calls == MOST_CALLS || thread_cpu_time().saturating_sub(begun) > MOST_TIME {
                traced.is_cut = true;
                return;
            }
            traced.calls += 1;
            let call = engine.call_after(&RuleInput {
                message: &case.message,
                config: &config.value,
                checklist: &case.checklist,
                cycles: case.cycles.as_ref(),
                now: &case.now,
            });
            if engine.was_stopped() {
                stopped.insert(worker.clone());
            }
            for key in &call.keys_read {
                if !keys_read.contains(key) {
                    keys_read.push(key.clone());
                }
            }
            report(&case, &call);
        }
    };
    // Cases that the system really has come first for all rules, in case there are too many.
    for (worker, registered) in config.registry.workers.iter().filter(|(worker, _)| has_function(worker)) {
        for r#type in types_for_rules(registered) {
            let mut keys_read = Vec::new();
            call_all(worker, world.cases(config, worker, r#type), &mut keys_read);
            read.push((worker, r#type, keys_read));
        }
    }
    for (worker, r#type, keys_read) in read {
        let cases = world.cases_without(config, (worker, r#type), &keys_read);
        call_all(worker, cases, &mut Vec::new());
    }
    traced
}
