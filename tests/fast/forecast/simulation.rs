//! What is predicted, on pasts that were lived ahead of time.

#![allow(clippy::float_cmp, reason = "shares are counts divided by the same number")]

use nowcast::forecast::draw::Odds;
use nowcast::forecast::futures;
use nowcast::forecast::history::SentMessages;
use nowcast::forecast::simulate::Simulation;
use nowcast::forecast::summary::{OpenState, UnknownEnd};
use nowcast::forecast::{
    Comparison, Draws, ExpectationForecast, Forecast, ForecastOptions, ForecastRules, RunForecast, Slower,
    Slowness, Span, Start, Supposed, SupposedFailure, WhatIf, compare, forecast,
};
use nowcast::store::History;
use nowcast_core::Ending;
use std::sync::Arc;

use crate::support::builder::{Builder, system};
use crate::support::past::{Past, PastLaunch, PastRun, reports_after, success_after};
use crate::support::system::System;

const RULES: &str = "
function after_model(msg)
  if msg.type == 'success' then return { NextWorker('plots', { msg.payload }) } end
  return {}
end
function after_plots() return {} end
";

fn model_and_plots() -> Builder {
    system()
        .worker("model: {checklist key: model, success: done, failure: blew up, crash: crashed}")
        .worker("plots: {checklist key: plots, success: done, failure no data: none, crash: crashed}")
        .only_rules(RULES)
}

/// The model runs at six, its plots follow, and they are expected at eight.
fn plots_after_model() -> System {
    model_and_plots()
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .section("expect:\n  - {worker: plots, type: success, by: '08:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .prepare()
}

/// The model reports the date of its cycle.
fn model(launch: &PastLaunch<'_>, minutes: f64) -> PastRun {
    reports_after(minutes, "success", launch.cycle.expect("a cycle").as_str())
}

/// Ten days on which the model takes an hour and the plots half an hour, until five o'clock of the eleventh.
fn ten_days(system: &System) -> Past {
    let mut past = Past::new(system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(if launch.worker.name() == "model" { model(&launch, 60.0) } else { success_after(30.0) })
    });
    past
}

fn history(past: &Past) -> (History, ForecastRules) {
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let rules = ForecastRules::in_force(past.config(), &history).expect("rules");
    (history, rules)
}

fn options(draws: u32, span: Span) -> ForecastOptions {
    ForecastOptions { draws: Draws { count: draws, seed: 7, limit: None, threads: None }, span }
}

/// Predict what comes after the past.
fn predict(past: &Past, draws: u32) -> Forecast {
    predict_span(past, draws, Span::default())
}

fn predict_span(past: &Past, draws: u32, span: Span) -> Forecast {
    let (history, rules) = history(past);
    forecast(past.config(), &history, &past.now().into(), &rules, &options(draws, span)).expect("a forecast")
}

/// Compare the future in which something is supposed with the other one.
fn suppose(past: &Past, what_if: WhatIf) -> Comparison {
    let (history, rules) = history(past);
    let supposed = Supposed { what_if, rules: None };
    let options = options(50, Span::default());
    compare(past.config(), &history, &past.now().into(), &rules, &supposed, &options).expect("a comparison")
}

fn run<'a>(forecast: &'a Forecast, worker: &str) -> &'a RunForecast {
    forecast.runs.iter().find(|run| run.worker == worker).expect("such a run")
}

fn clock(moment: jiff::Timestamp) -> String {
    moment.strftime("%m-%d %H:%M").to_string()
}

/// When a run ends: the median.
fn end(run: &RunForecast) -> String {
    clock(run.end.expect("an end").median)
}

fn only(expected: &[ExpectationForecast]) -> &ExpectationForecast {
    assert_eq!(expected.len(), 1, "{expected:?}");
    &expected[0]
}

#[test]
fn a_run_to_come_goes_as_past_ones_and_a_payload_has_the_date_of_its_day() {
    let system = plots_after_model();
    let forecast = predict(&ten_days(&system), 20);
    let (model, plots) = (run(&forecast, "model"), run(&forecast, "plots"));
    assert_eq!((model.cycle.as_deref(), model.state), (Some("2026-03-11"), OpenState::ToCome));
    assert_eq!(
        (clock(model.begin.expect("a begin").median), end(model)),
        ("03-11 06:00".into(), "03-11 07:00".into())
    );
    assert_eq!(plots.args, ["2026-03-11"]);
    assert_eq!((plots.probability, plots.fails, end(plots)), (1.0, 0.0, "03-11 07:30".into()));
    assert_eq!(plots.path, ["model", "plots 2026-03-11"]);
    let expected = only(&forecast.expected);
    assert_eq!(
        (expected.late, clock(expected.time.expect("a time").median)),
        (Some(0.0), "03-11 07:30".into())
    );
    assert_eq!(expected.cycle.as_deref(), Some("2026-03-11"));
}

/// On each third day both are slow. Drawn by themselves, one of them would be slow on most days.
#[test]
fn slowness_that_runs_of_a_cycle_share_stays_together() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-31T05:00[UTC]", &mut |launch| {
        let is_slow = launch.at.day() % 3 == 0;
        let minutes = if is_slow { 90.0 } else { 30.0 };
        Some(if launch.worker.name() == "model" { model(&launch, minutes) } else { success_after(minutes) })
    });
    let forecast = predict(&past, 300);
    let plots = run(&forecast, "plots").end.expect("an end");
    assert_eq!((clock(plots.p10), clock(plots.p90)), ("03-31 07:00".into(), "03-31 09:00".into()));
    let late = only(&forecast.expected).late.expect("known");
    // Of 31 days, 27 are drawn from: weekdays count only if there are enough of them. About a third of them are slow.
    assert!((0.2..0.47).contains(&late), "{late}");
}

#[test]
fn a_run_that_takes_longer_than_on_fast_days_has_a_slow_one_and_so_have_those_behind_it() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    let mut go = |launch: PastLaunch<'_>| {
        let minutes = if launch.at.day() % 3 == 1 { 90.0 } else { 30.0 };
        Some(if launch.worker.name() == "model" { model(&launch, minutes) } else { success_after(minutes) })
    };
    // At 06:45 of a slow day.
    past.live("2026-03-31T06:45[UTC]", &mut go);
    let forecast = predict(&past, 50);
    let model = run(&forecast, "model");
    assert_eq!((model.state, end(model)), (OpenState::Running, "03-31 07:30".into()));
    assert_eq!(end(run(&forecast, "plots")), "03-31 09:00");
    assert_eq!(only(&forecast.expected).late, Some(1.0));
}

#[test]
fn a_run_beyond_each_past_one_has_no_end_and_its_message_is_late() {
    let system = plots_after_model();
    let mut past = ten_days(&system);
    past.live("2026-03-11T07:10[UTC]", &mut |launch| Some(model(&launch, 600.0)));
    let forecast = predict(&past, 10);
    let model = run(&forecast, "model");
    assert_eq!((model.unknown, model.end), (Some(UnknownEnd::LongerThanEver), None));
    let expected = only(&forecast.expected);
    assert_eq!((expected.late, expected.time), (Some(1.0), None));
    // Nothing follows it on that day; the next day goes on.
    assert!(
        forecast.runs.iter().all(|run| run.worker != "plots" || run.cycle.as_deref() != Some("2026-03-11"))
    );
}

#[test]
fn a_run_that_nothing_is_like_has_no_history_and_what_depends_on_it_is_unknown() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-01T05:00[UTC]", &mut |_| None);
    let forecast = predict(&past, 10);
    assert_eq!(run(&forecast, "model").unknown, Some(UnknownEnd::NoHistory));
    assert!(forecast.runs.iter().all(|run| run.worker != "plots"));
    // The state had no expectation yet when the day's window began.
    assert!(forecast.expected.iter().all(|message| message.late.is_none()), "{:?}", forecast.expected);
}

#[test]
fn a_run_that_is_like_none_does_not_make_what_is_known_unknown() {
    let system = plots_after_model();
    let mut past = ten_days(&system);
    past.launch("2026-03-11T05:10[UTC]", "sleep", &["new"], None);
    past.live("2026-03-11T05:20[UTC]", &mut |_| None);
    let forecast = predict(&past, 10);
    assert_eq!(run(&forecast, "sleep").unknown, Some(UnknownEnd::NoHistory));
    assert_eq!(only(&forecast.expected).late, Some(0.0));
}

/// On two of ten days the model fails, and is launched again at once.
#[test]
fn retries_go_as_the_retries_of_the_past_cycle() {
    let system = model_and_plots()
        .section("workers:\n  model: {retries: 1}")
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(match (launch.worker.name(), launch.attempt, launch.at.day() % 5) {
            ("model", 1, 0) => reports_after(20.0, "failure", "~"),
            ("model", 2, _) => model(&launch, 45.0),
            ("model", ..) => model(&launch, 60.0),
            _ => success_after(30.0),
        })
    });
    let forecast = predict(&past, 200);
    let retry = forecast.runs.iter().find(|run| run.attempt == 2).expect("a retry");
    assert!((0.1..0.3).contains(&retry.probability), "{retry:?}");
    assert_eq!(
        (clock(retry.begin.expect("a begin").median), end(retry)),
        ("03-11 06:20".into(), "03-11 07:05".into())
    );
    assert_eq!(retry.path, ["model", "model"]);
    let first = run(&forecast, "model");
    assert_eq!(first.fails, retry.probability);
    // Whether it failed or not, the plots come.
    assert_eq!(run(&forecast, "plots").probability, 1.0);
}

/// The core reports a crash for a run that ends without a word.
#[test]
fn a_run_that_crashed_in_the_past_crashes() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(PastRun { messages: Vec::new(), ending: Ending::Killed(11), ..model(&launch, 10.0) })
    });
    let forecast = predict(&past, 10);
    // The plots have never run, so it is not known whether they will.
    assert_eq!((run(&forecast, "model").fails, only(&forecast.expected).late), (1.0, None));
}

/// The worker waits for data that come at seven: whenever it is launched, it ends then.
#[test]
fn a_worker_that_waits_for_data_ends_by_the_clock() {
    let system = model_and_plots().prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    for day in 1..=10 {
        let at = format!("2026-03-{day:02}T05:{:02}[UTC]", day * 5);
        past.launch(&at, "plots", &[], Some(&format!("2026-03-{day:02}")));
    }
    past.launch("2026-03-11T06:40[UTC]", "plots", &[], Some("2026-03-11"));
    past.live("2026-03-11T06:41[UTC]", &mut |launch| {
        let seven =
            launch.at.date().at(7, 0, 0, 0).to_zoned_datetime(launch.at.time_zone().clone()).expect("a time");
        let wait = seven.timestamp().duration_since(launch.at.timestamp());
        Some(success_after(wait.as_secs_f64() / 60.0))
    });
    assert_eq!(end(run(&predict(&past, 20), "plots")), "03-11 07:00");
}

#[test]
fn a_rule_that_fails_makes_what_follows_unknown() {
    let system = plots_after_model();
    let past = ten_days(&system);
    system.write_rules(&format!("{RULES}\nfunction after_model() error('broken') end"));
    let edited = ForecastRules::edited(past.config(), &system.path("rules/next_workers.lua")).expect("rules");
    let (history, _) = history(&past);
    let forecast =
        forecast(past.config(), &history, &past.now().into(), &edited, &options(10, Span::default()))
            .expect("a forecast");
    let failed = &forecast.failed_rules[0];
    assert_eq!((failed.message.as_str(), failed.probability), ("model: (success)", 1.0));
    assert!(failed.reason.contains("broken"), "{failed:?}");
    assert_eq!((only(&forecast.expected).late, run(&forecast, "model").ends), (None, 1.0));
}

#[test]
fn rules_that_loop_stop_at_a_limit_and_say_so() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| Some(model(&launch, 0.01)));
    system.write_rules(&format!(
        "{RULES}\nfunction after_plots(msg) return {{ NextWorker('plots', {{ '2026-01-01' }}) }} end"
    ));
    let edited = ForecastRules::edited(past.config(), &system.path("rules/next_workers.lua")).expect("rules");
    let (history, _) = history(&past);
    let begin = past.now().into();
    let forecast =
        forecast(past.config(), &history, &begin, &edited, &options(1, Span::default())).expect("a forecast");
    assert_eq!(forecast.endless, 1.0);
    assert_eq!(only(&forecast.expected).late, Some(0.0), "what came before that is predicted");
}

#[test]
fn where_clocks_are_set_what_ends_by_the_clock_and_the_schedule_follow_the_clock() {
    // Clocks go forward at two on 8 March. The plots wait for data that is there at nine; the model runs at six by the clock.
    let system = model_and_plots()
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: America/Vancouver}")
        .prepare();
    let mut past = Past::new(&system, "2026-02-25T00:00[America/Vancouver]");
    for day in 0..11 {
        let date = jiff::civil::date(2026, 2, 25).checked_add(jiff::Span::new().days(day)).expect("a date");
        past.launch(&format!("{date}T0{}:00[America/Vancouver]", 1 + day % 5), "plots", &[], None);
    }
    past.launch("2026-03-08T00:15[America/Vancouver]", "plots", &[], None);
    past.live("2026-03-08T00:30[America/Vancouver]", &mut |launch| match launch.worker.name() {
        "model" => Some(reports_after(10.0, "failure", "~")),
        _ if launch.at.day() == 8 && launch.at.month() == 3 => None,
        _ => Some(success_after(f64::from(9 - launch.at.hour()) * 60.0)),
    });
    let forecast = predict(&past, 20);
    let end = run(&forecast, "plots").end.expect("an end").median;
    assert_eq!(end.to_string(), "2026-03-08T16:00:00Z", "at nine by the new clock");
    let begin = run(&forecast, "model").begin.expect("a begin").median;
    assert_eq!(begin.to_string(), "2026-03-08T13:00:00Z", "at six by the new clock");
}

#[test]
fn a_checklist_that_a_simulated_worker_clears_is_empty_for_the_rules_that_follow() {
    let rules = "
function after_model() return { NextWorker('clear') } end
function after_clear(msg, config, checklist)
  return { NextWorker('plots', { checklist.model and 'kept' or 'cleared' }) }
end
function after_plots() return {} end
";
    let system = model_and_plots()
        .worker("clear: {clear checklist: clear it, success: done, crash: crashed}")
        .only_rules(rules)
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(match launch.worker.name() {
            "model" => model(&launch, 60.0),
            "clear" => {
                let mut run = success_after(5.0);
                run.messages.insert(0, ("clear checklist".to_owned(), "~".to_owned()));
                run
            }
            _ => success_after(30.0),
        })
    });
    let plots = run(&predict(&past, 20), "plots").clone();
    assert_eq!((plots.args, plots.probability), (vec!["cleared".to_owned()], 1.0));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-21T06:10[UTC]", &mut |launch| Some(model(&launch, f64::from(launch.at.day()) + 30.0)));
    let (history, rules) = history(&past);
    // Until before the next day's model, so that one cycle is to come.
    let until = past.now().timestamp() + jiff::SignedDuration::from_hours(20);
    let span = Span { at: None, until: Some(until) };
    let start = Start::read(past.config(), &history, &past.now().into(), span).expect("a start");
    let draws = Draws { count: 40, seed: 7, limit: None, threads: None };
    let what_if = WhatIf::default();
    let together = futures::simulate(&start, &rules, &what_if, draws).expect("futures");
    let odds = Odds::new(&start.past, &start.running, 7, start.begin.timestamp(), start.today);
    let engine = rules.load().expect("rules");
    let mut simulation = Simulation::new(&start, &odds, &what_if, &engine, SentMessages::new(history));
    // Backwards, since a draw must not depend on those before it.
    for (draw, trace) in (0..40).zip(&together).rev() {
        let simulated = simulation.run(draw, &|| false).expect("readable").expect("in time");
        assert_eq!(simulated.trace, **trace, "{draw}");
    }
    // Draws that go as the same past day share their future.
    let distinct = together.iter().filter(|trace| Arc::strong_count(trace) == 1).count();
    assert!(distinct < 30, "{distinct} of 40");
}

#[test]
fn the_same_seed_gives_the_same_forecast_and_another_one_another() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-21T05:00[UTC]", &mut |launch| {
        let minutes = f64::from(i32::from(launch.at.day()) * 7 % 20 + 30);
        Some(if launch.worker.name() == "model" { model(&launch, minutes) } else { success_after(minutes) })
    });
    let json = |forecast: &Forecast| serde_json::to_string(forecast).expect("JSON");
    let first = json(&predict(&past, 30));
    assert_eq!(json(&predict(&past, 30)), first);
    let (history, rules) = history(&past);
    let other = ForecastOptions {
        draws: Draws { count: 30, seed: 8, limit: None, threads: None },
        span: Span::default(),
    };
    let other = forecast(past.config(), &history, &past.now().into(), &rules, &other).expect("a forecast");
    assert_ne!(json(&other), first);
}

#[test]
fn without_time_there_are_fewer_draws() {
    let system = plots_after_model();
    let past = ten_days(&system);
    let (history, rules) = history(&past);
    let draws = Draws { count: 50, seed: 0, limit: Some(std::time::Duration::ZERO), threads: None };
    let options = ForecastOptions { draws, span: Span::default() };
    let forecast =
        forecast(past.config(), &history, &past.now().into(), &rules, &options).expect("a forecast");
    assert_eq!((forecast.draws, forecast.is_cut_short), (0, true));
}

#[test]
fn a_day_to_come_is_predicted_from_its_schedule_on() {
    let system = plots_after_model();
    let past = ten_days(&system);
    let day = jiff::civil::date(2026, 3, 20);
    let forecast = predict_span(&past, 10, Span { at: Some(day), until: None });
    assert_eq!(clock(forecast.begin), "03-20 00:00");
    let names: Vec<_> = forecast.runs.iter().map(|run| (run.worker.as_str(), run.cycle.as_deref())).collect();
    assert_eq!(names, [("model", Some("2026-03-20")), ("plots", Some("2026-03-20"))]);
    assert_eq!(run(&forecast, "plots").args, ["2026-03-20"]);
    assert_eq!(only(&forecast.expected).late, Some(0.0));
}

#[test]
fn a_slower_worker_moves_what_follows() {
    let system = plots_after_model();
    let by = Slowness::Added(jiff::SignedDuration::from_mins(45));
    let what_if = WhatIf { slower: vec![Slower { worker: "model".into(), by }], ..WhatIf::default() };
    let comparison = suppose(&ten_days(&system), what_if);
    let changed: Vec<_> = comparison.changed_runs.iter().map(|run| run.worker.as_str()).collect();
    assert_eq!(changed, ["model", "plots"]);
    let plots = &comparison.changed_runs[1];
    let end = |times: Option<nowcast::forecast::compare::RunTimes>| {
        clock(times.expect("times").end.expect("an end").median)
    };
    assert_eq!((end(plots.before), end(plots.after)), ("03-11 07:30".into(), "03-11 08:15".into()));
    let message = &comparison.changed_expected[0];
    assert_eq!((message.before.late, message.after.late), (Some(0.0), Some(1.0)));
}

#[test]
fn a_worker_that_fails_has_its_first_failure_and_nothing_follows() {
    let system = plots_after_model();
    let past = ten_days(&system);
    let fail = |worker: &str| WhatIf {
        fail: vec![SupposedFailure { worker: worker.into(), r#type: None }],
        ..WhatIf::default()
    };
    let comparison = suppose(&past, fail("model"));
    assert_eq!(run(&comparison.forecast, "model").fails, 1.0);
    let model = comparison.changed_runs.iter().find(|run| run.worker == "model").expect("it fails");
    let end = |times: Option<nowcast::forecast::compare::RunTimes>| times.and_then(|times| times.end);
    assert_eq!(end(model.before), end(model.after), "when it ends is not supposed");
    let plots = comparison.changed_runs.iter().find(|run| run.worker == "plots").expect("gone");
    assert_eq!((plots.before.expect("before").probability, plots.after), (1.0, None));
    let comparison = suppose(&past, fail("plots"));
    let changed: Vec<_> = comparison.changed_runs.iter().map(|run| run.worker.as_str()).collect();
    assert_eq!(changed, ["plots"], "the model goes as it does without that");
    assert_eq!(only(&comparison.forecast.expected).late, Some(1.0));
}

#[test]
fn on_a_held_host_nothing_is_launched() {
    let system = plots_after_model();
    let what_if = WhatIf { hold: vec!["localhost".into()], ..WhatIf::default() };
    let comparison = suppose(&ten_days(&system), what_if);
    let model = run(&comparison.forecast, "model");
    assert_eq!((model.probability, model.begin), (0.0, None));
    assert!(model.blocked_by.as_deref().is_some_and(|by| by.contains("host localhost")), "{model:?}");
}

/// The path goes by the later of the two that are waited for.
#[test]
fn the_path_is_that_of_the_message_that_comes_last() {
    let system = model_and_plots()
        .worker("rivers: {checklist key: rivers, success: done, crash: crashed}")
        .only_rules(
            "local function meet(msg) return {}, Join{ name = 'meet', cycle = msg.cycle, wait_for = { 'model', 'rivers' }, launch = { NextWorker('plots') } } end
             after_model, after_rivers = meet, meet
             function after_plots() return {} end",
        )
        .section(
            "scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}\n  - rivers: {every: day, at: '06:10', timezone: UTC, cycle: '%Y-%m-%d'}",
        )
        .prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(success_after(if launch.worker.name() == "model" { 60.0 } else { 10.0 }))
    });
    assert_eq!(run(&predict(&past, 10), "plots").path, ["model", "plots"]);
}

#[test]
fn a_system_without_cycles_is_predicted_by_days() {
    let system = model_and_plots()
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC}")
        .prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-31T05:00[UTC]", &mut |launch| {
        let minutes = if launch.at.day() % 3 == 0 { 90.0 } else { 30.0 };
        let date = launch.at.date().to_string();
        Some(if launch.worker.name() == "model" {
            reports_after(minutes, "success", &date)
        } else {
            success_after(minutes)
        })
    });
    let forecast = predict(&past, 200);
    let plots = run(&forecast, "plots");
    assert_eq!((plots.cycle.as_deref(), &plots.args[..]), (None, &["2026-03-31".to_owned()][..]));
    let ends = plots.end.expect("an end");
    assert_eq!((clock(ends.p10), clock(ends.p90)), ("03-31 07:00".into(), "03-31 09:00".into()));
}
