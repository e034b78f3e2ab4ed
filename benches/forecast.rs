//! How fast days are simulated: `cargo bench --bench forecast`.
//!
//! A synthetic system of 130 messages a day, with 74 days of the past: 1,000 simulated days on one core, and a forecast of the rest of
//! a day in 200 draws as `nowcast forecast` makes it, the reading of the journal included. Prints the processor time, which other programs
//! on the machine hardly change, and the time by the clock. Fails on nothing.
//!
//! `cargo bench --bench forecast -- 50` simulates so many days and nothing else: a profiler makes them slow.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nowcast::forecast::draw::Odds;
use nowcast::forecast::history::SentMessages;
use nowcast::forecast::simulate::Simulation;
use nowcast::forecast::{Draws, Forecast, ForecastOptions, ForecastRules, Span, Start, WhatIf, forecast};
use nowcast::store::History;
use rustix::time::{ClockId, clock_gettime};
use support::builder::system;
use support::past::{Past, PastLaunch, PastRun, reports_after};
use support::system::System;

/// Launches of each of the [`STEPS`]. With the first worker and the last one there are 130 messages a day.
const CHAINS: usize = 16;

/// Workers that follow each other in a chain. Each chain is of one of [`KINDS`], so there are 42 workers, about as many as a production
/// system has.
const STEPS: usize = 8;
const KINDS: usize = 5;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let system = chains();
    let mut past = Past::new(&system, "2026-01-01T00:00[UTC]");
    past.live("2026-03-16T06:30[UTC]", &mut |launch| Some(go(&launch)));
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let rules = ForecastRules::in_force(past.config(), &history).expect("rules");

    let read = || Start::read(past.config(), &history, &past.now().into(), Span::default()).expect("a start");
    let start = measured("the journal of 75 days", read);
    let engine = rules.load().expect("rules");
    let (what_if, now) = (WhatIf::default(), start.begin.timestamp());
    let odds = Odds::new(&start.past, &start.running, 0, now, start.today);
    let sent = SentMessages::new(History::open(&start.journal).expect("a journal"));
    let mut simulation = Simulation::new(&start, &odds, &what_if, &engine, sent);
    let few = std::env::args().find_map(|argument| argument.parse().ok());
    let days = few.unwrap_or(1_000);
    for what in [&format!("{days} simulated days on one core"), "the same again"] {
        let messages: usize = measured(what, || {
            let mut messages = 0;
            for draw in 0..days {
                let trace = simulation.run(draw, &|| false).expect("readable").expect("in time").trace;
                messages += trace.runs.iter().filter(|run| run.reported.is_some()).count();
            }
            messages
        });
        assert_eq!(messages, days as usize * (2 + CHAINS * STEPS));
    }
    if few.is_some() {
        return;
    }
    let draws = Draws { count: 200, seed: 0, limit: None, threads: None };
    let forecast_of = || Forecast::of(&start, &rules, &what_if, draws).expect("a forecast");
    let summed = measured("200 draws on all cores", forecast_of);
    assert_eq!(summed.runs.len(), 2 + CHAINS * STEPS);
    let options = ForecastOptions { draws, ..ForecastOptions::default() };
    for _ in 0..3 {
        measured("a live forecast of 200 draws", || {
            let history = History::open(&past.config().journal.folder).expect("a journal");
            forecast(past.config(), &history, &past.now().into(), &rules, &options).expect("a forecast")
        });
    }
}

/// Print how long something takes.
fn measured<T>(what: &str, does: impl FnOnce() -> T) -> T {
    let (begun, processor) = (Instant::now(), cpu_time());
    let done = does();
    let processor = cpu_time().saturating_sub(processor);
    println!("{what:36} {processor:9.1?} of the processor, {:9.1?} by the clock", begun.elapsed());
    done
}

/// The processor time of this process, of all threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it counts from 0")
}

/// A worker begins chains of others, and one follows all of them.
fn chains() -> System {
    let mut builder = system().worker("first: {checklist key: first, success: done, crash: crashed}");
    let mut rules = format!(
        "function after_first(msg)
           local launches = {{}}
           for chain = 0, {} do
             add(launches, NextWorker('step_0_' .. chain % {KINDS}, {{ tostring(chain), msg.payload['run date'] }}))
           end
           return launches, Join{{ name = 'all', cycle = msg.cycle, wait_for = {{ ",
        CHAINS - 1
    );
    for kind in 0..KINDS {
        let of_kind = (0..CHAINS).filter(|chain| chain % KINDS == kind).count();
        let _ = write!(rules, "{{ worker = 'step_{}_{kind}', count = {of_kind} }}, ", STEPS - 1);
    }
    let _ = writeln!(rules, "}}, launch = {{ NextWorker('last') }} }}\nend");
    for step in 0..STEPS {
        for kind in 0..KINDS {
            let name = format!("step_{step}_{kind}");
            builder = builder.worker(&format!(
                "{name}: {{checklist key: {name}, success: done, failure: no, crash: crashed}}"
            ));
            let _ = if step + 1 == STEPS {
                writeln!(rules, "function after_{name}(msg, config, checklist) return {{}} end")
            } else {
                writeln!(
                    rules,
                    "function after_{name}(msg, config, checklist)
                       if msg.type ~= 'success' then return {{}} end
                       return {{ NextWorker('step_{}_{kind}', {{ msg.payload.chain, need(checklist, 'first', 'run date') }}) }}
                     end",
                    step + 1
                )
            };
        }
    }
    let _ = writeln!(rules, "function after_last() return {{}} end");
    builder
        .worker("last: {checklist key: last, success: done, crash: crashed}")
        .only_rules(&rules)
        .section("scheduled workers:\n  - first: {every: day, at: '07:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .section("expect:\n  - {worker: last, type: success, by: '12:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .prepare()
}

/// Each run takes 10 to 30 minutes, and reports a payload of about 500 bytes with dates in it.
fn go(launch: &PastLaunch<'_>) -> PastRun {
    let date = launch.at.date();
    let (written, plain) = (date.strftime("%d%b%y"), date.strftime("%Y%m%d"));
    let files: Vec<String> =
        (0..8).map(|part| format!("f{part}: /results/{written}/{plain}_{part}.nc")).collect();
    let files = files.join(", ");
    let chain = launch.worker.args.first().map_or("first", String::as_str);
    let payload = format!("{{run date: '{date}', chain: '{chain}', {files}, host: nibi}}");
    let minutes = 10 + (launch.index * 7919) % 21;
    reports_after(f64::from(u32::try_from(minutes).expect("small")), "success", &payload)
}
