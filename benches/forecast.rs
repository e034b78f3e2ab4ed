//! How fast days are simulated: `cargo bench --bench forecast`.
//!
//! A synthetic system of 130 messages a day, with 74 days of the past: 1,000 simulated days on one core, and a forecast of the rest of
//! a day in 200 draws as `nowcast forecast` makes it, the reading of the journal included. Prints figures, fails on nothing.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nowcast::forecast::draw::Odds;
use nowcast::forecast::history::SentMessages;
use nowcast::forecast::simulate::Simulation;
use nowcast::forecast::{Draws, Forecast, ForecastOptions, ForecastRules, Span, Start, WhatIf, forecast};
use nowcast::store::History;
use support::builder::system;
use support::past::{Past, PastLaunch, PastRun, reports_after};
use support::system::System;

/// Chains of workers, and how long each is. With the first worker and the last one there are 130 messages a day.
const CHAINS: usize = 16;
const LENGTH: usize = 8;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let system = chains();
    let mut past = Past::new(&system, "2026-01-01T00:00[UTC]");
    past.live("2026-03-16T06:30[UTC]", &mut go);
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let rules = ForecastRules::in_force(past.config(), &history).expect("rules");

    let begun = Instant::now();
    let start = Start::read(past.config(), &history, &past.now().into(), Span::default()).expect("a start");
    println!("the journal of 75 days:          {:9.1?}", begun.elapsed());

    let engine = rules.load().expect("rules");
    let (what_if, now) = (WhatIf::default(), start.begin.timestamp());
    let odds = Odds::new(&start.past, &start.running, 0, now, start.today);
    let sent = SentMessages::new(History::open(&start.journal).expect("a journal"));
    let mut simulation = Simulation::new(&start, &odds, &what_if, &engine, sent);
    for (count, what) in [(1_000, "1,000 simulated days, one core:"), (1_000, "the same again:")] {
        let begun = Instant::now();
        let mut messages = 0;
        for draw in 0..count {
            let trace = simulation.run(draw, &|| false).expect("readable").expect("there is time");
            messages += trace.runs.iter().filter(|run| run.reported.is_some()).count();
        }
        let took = begun.elapsed();
        println!(
            "{what:32} {took:9.1?}, {messages} messages, {:.1?} each",
            took / u32::try_from(messages).expect("a count")
        );
    }

    let draws = Draws { count: 200, seed: 0, limit: None };
    let begun = Instant::now();
    let summed = Forecast::of(&start, &rules, &what_if, draws).expect("a forecast");
    println!("200 draws, all cores:            {:9.1?}, {} runs", begun.elapsed(), summed.runs.len());
    let options = ForecastOptions { draws, ..ForecastOptions::default() };
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let history = History::open(&past.config().journal.folder).expect("a journal");
            forecast(past.config(), &history, &past.now().into(), &rules, &options).expect("a forecast");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("a live forecast of 200 draws:    {:9.1?}", times[2]);
}

/// A worker begins chains of others, and one follows all of them.
fn chains() -> System {
    let mut rules = String::from("function after_first(msg)\n  local launches = {}\n");
    let mut builder = system().worker("first: {checklist key: first, success: done, crash: crashed}");
    for chain in 0..CHAINS {
        let _ =
            writeln!(rules, "  add(launches, NextWorker('chain_{chain}_0', {{ msg.payload['run date'] }}))");
    }
    let ends: Vec<String> = (0..CHAINS).map(|chain| format!("'chain_{chain}_{}'", LENGTH - 1)).collect();
    let _ = writeln!(
        rules,
        "  return launches, Join{{ name = 'all', cycle = msg.cycle, wait_for = {{ {} }}, launch = {{ NextWorker('last') }} }}\nend",
        ends.join(", ")
    );
    for chain in 0..CHAINS {
        for place in 0..LENGTH {
            let name = format!("chain_{chain}_{place}");
            builder = builder.worker(&format!(
                "{name}: {{checklist key: {name}, success: done, failure: no, crash: crashed}}"
            ));
            let next = place + 1;
            let body = if next == LENGTH {
                "return {}".to_owned()
            } else {
                format!(
                    "if msg.type == 'success' then return {{ NextWorker('chain_{chain}_{next}', {{ need(checklist, '{name}', 'run date') }}) }} end return {{}}"
                )
            };
            let _ = writeln!(rules, "function after_{name}(msg, config, checklist) {body} end");
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
fn go(launch: PastLaunch<'_>) -> Option<PastRun> {
    let date = launch.at.date();
    let files: String = (0..8)
        .map(|part| {
            format!("f{part}: /results/{}/{}_{part}.nc, ", date.strftime("%d%b%y"), date.strftime("%Y%m%d"))
        })
        .collect();
    let payload = format!("{{run date: '{date}', {files} host: nibi}}");
    let minutes = 10 + (launch.index * 7919) % 21;
    Some(reports_after(f64::from(u32::try_from(minutes).expect("small")), "success", &payload))
}
