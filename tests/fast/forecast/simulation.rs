//! What is foretold, on pasts that were lived ahead of time.

use nowcast::forecast::{
    Draws, ExpectationForecast, Forecast, ForecastOptions, ForecastRules, RunForecast, forecast,
};
use nowcast::store::History;

use crate::support::builder::system;
use crate::support::past::{Past, PastLaunch, PastRun, success_after};
use crate::support::system::System;

/// Two workers: the plots follow the model, and are expected at eight.
fn plots_after_model() -> System {
    system()
        .worker("model: {checklist key: model, success: done, failure: blew up, crash: crashed}")
        .worker("plots: {checklist key: plots, success: done, failure: no plots, crash: crashed}")
        .only_rules(
            "function after_model(msg) if msg.type == 'success' then return { NextWorker('plots', { msg.payload }) } end return {} end
             function after_plots() return {} end",
        )
        .section("scheduled workers:\n  - model: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .section("expect:\n  - {worker: plots, type: success, by: '08:00', timezone: UTC, cycle: '%Y-%m-%d'}")
        .prepare()
}

/// The model reports the date of its cycle.
fn model(launch: &PastLaunch<'_>, minutes: f64) -> PastRun {
    let date = launch.cycle.expect("a cycle").to_string();
    PastRun { messages: vec![("success".to_owned(), date)], ..success_after(minutes) }
}

/// Foretell what comes after the past.
fn foretell(past: &Past, draws: u32) -> Forecast {
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let rules = ForecastRules::in_force(past.config(), &history).expect("rules");
    let draws = Draws { count: draws, seed: 7, limit: None };
    let options = ForecastOptions { draws, ..ForecastOptions::default() };
    forecast(past.config(), &history, &past.now().into(), &rules, &options).expect("a forecast")
}

fn run<'a>(forecast: &'a Forecast, worker: &str) -> &'a RunForecast {
    forecast.runs.iter().find(|run| run.worker == worker).expect("such a run")
}

fn clock(moment: jiff::Timestamp) -> String {
    moment.strftime("%m-%d %H:%M").to_string()
}

fn only(expected: &[ExpectationForecast]) -> &ExpectationForecast {
    assert_eq!(expected.len(), 1, "{expected:?}");
    &expected[0]
}

#[test]
fn a_run_to_come_goes_as_past_ones_and_a_payload_has_the_date_of_its_day() {
    let system = plots_after_model();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    past.live("2026-03-11T05:00[UTC]", &mut |launch| {
        Some(if launch.worker.name() == "model" { model(&launch, 60.0) } else { success_after(30.0) })
    });
    let forecast = foretell(&past, 20);
    let (model, plots) = (run(&forecast, "model"), run(&forecast, "plots"));
    assert_eq!(model.cycle.as_deref(), Some("2026-03-11"));
    assert_eq!(
        (clock(model.begin.unwrap().median), clock(model.end.unwrap().median)),
        ("03-11 06:00".into(), "03-11 07:00".into())
    );
    assert_eq!(plots.args, ["2026-03-11"]);
    assert_eq!((plots.probability, plots.fails), (1.0, 0.0));
    assert_eq!(clock(plots.end.unwrap().p90), "03-11 07:30");
    assert_eq!(plots.path, ["model", "plots 2026-03-11"]);
    let expected = only(&forecast.expected);
    assert_eq!((expected.late, clock(expected.time.unwrap().median)), (Some(0.0), "03-11 07:30".into()));
    assert_eq!(expected.cycle.as_deref(), Some("2026-03-11"));
}
