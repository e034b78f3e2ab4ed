//! How good forecasts of the past would have been, on pasts that were lived ahead of time with a fixed seed.

#![allow(clippy::float_cmp, reason = "shares are counts divided by the same number")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;

use jiff::SignedDuration;
use nowcast::forecast::backtest::EndRow;
use nowcast::forecast::score::EndScore;
use nowcast::forecast::{Backtest, Draws, backtest};
use nowcast::store::History;
use nowcast_core::{Command, Cycle, CycleOption};

use crate::support::builder::{Builder, system};
use crate::support::past::{Past, PastLaunch, PastRun, reports_after, success_after};
use crate::support::random::Random;
use crate::support::system::System;

/// Two chains that meet: an ocean model behind the weather, and satellite pictures that come by the clock. The archive comes in the afternoon.
const RULES: &str = "
function after_weather(msg)
  if msg.type == 'success' then
    local launches = { NextWorker('ocean', { '--run-date', msg.payload }) }
    for number = 1, 12 do
      launches[#launches + 1] = NextWorker('waves', { tostring(number), '--run-date', msg.payload })
    end
    return launches
  end
  return {}
end
local function tracks(msg)
  if not msg.type:find('^success') then return {} end
  return {}, Join{
    name = 'tracks', cycle = msg.cycle, timeout = '20h',
    wait_for = { ocean = 'success', satellite = 'success' },
    launch = { NextWorker('tracks') },
  }
end
function after_ocean(msg) return tracks(msg) end
function after_satellite(msg) return tracks(msg) end
function after_waves(msg) return {} end
function after_tracks(msg)
  if msg.type == 'success' then return { NextWorker('plots') } end
  return {}
end
function after_plots(msg) return {} end
function after_archive(msg) return {} end
";

fn two_chains(expected: &str) -> Builder {
    let worker = |name: &str| {
        format!("{name}: {{checklist key: {name}, success: done, failure: failed, crash: crashed}}")
    };
    let mut builder = system();
    for name in ["weather", "ocean", "waves", "satellite", "tracks", "plots", "archive"] {
        builder = builder.worker(&worker(name));
    }
    builder
        .only_rules(RULES)
        .section("workers:\n  ocean: {retries: 1, retry delay: 5m}")
        .section(
            "scheduled workers:
  - weather: {every: day, at: '06:00', timezone: UTC, cycle: '%Y-%m-%d'}
  - satellite: {every: day, at: '07:00', timezone: UTC, cycle: '%Y-%m-%d'}
  - archive: {every: day, at: '14:00', timezone: UTC, cycle: '%Y-%m-%d'}",
        )
        .section(expected)
}

const PLOTS: &str =
    "expect:\n  - {worker: plots, type: success, by: '11:15', timezone: UTC, cycle: '%Y-%m-%d'}";

/// Days on which everything shares a slowness, Mondays are slow, some ocean models fail and a few runs take very long.
struct Days {
    random: Random,
    random_of_archive: Random,
    /// The slowness of each cycle, by its label.
    slowness: BTreeMap<String, f64>,
}

impl Days {
    fn new(seed: u64) -> Self {
        let [random, random_of_archive] = [0, 1].map(|sequence| Random::of(seed, sequence));
        Self { random, random_of_archive, slowness: BTreeMap::new() }
    }

    /// A number from 0 to 1.
    fn uniform(&mut self) -> f64 {
        uniform(&mut self.random)
    }

    fn go(&mut self, launch: &PastLaunch<'_>) -> PastRun {
        let cycle = launch.cycle.expect("a cycle").to_string();
        if !self.slowness.contains_key(&cycle) {
            let is_monday = launch.at.weekday() == jiff::civil::Weekday::Monday;
            // A heavy tail: one day of twenty is much slower.
            let tail = if self.uniform() < 0.05 { 1.0 / (0.2 + self.uniform()) } else { 0.0 };
            let slowness = 0.8 + 0.5 * self.uniform() + tail + if is_monday { 0.4 } else { 0.0 };
            self.slowness.insert(cycle.clone(), slowness);
        }
        if launch.worker.name() == "archive" {
            return success_after(
                15.0 * self.slowness[&cycle] * (0.75 + 0.5 * uniform(&mut self.random_of_archive)),
            );
        }
        let slowness = self.slowness[&cycle] * (0.75 + 0.5 * self.uniform());
        match launch.worker.name() {
            "weather" => reports_after(20.0 * slowness, "success", &format!("'{cycle}'")),
            "ocean" if launch.attempt == 1 && self.uniform() < 0.15 => {
                reports_after(30.0 * slowness, "failure", "~")
            }
            "ocean" => success_after(150.0 * slowness),
            "waves" => success_after(60.0 * slowness),
            // It waits for the picture, which comes at about ten.
            "satellite" => success_after(180.0 + 20.0 * self.uniform()),
            "tracks" => success_after(40.0 * slowness),
            "plots" => success_after(10.0 * slowness),
            other => panic!("{other} is not launched"),
        }
    }
}

fn uniform(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.below(1_000_000)).expect("small")) / 1e6
}

fn days(seed: u64, until: &str) -> (System, Past) {
    let system = two_chains(PLOTS).prepare();
    let mut past = Past::new(&system, "2026-01-01T00:00[UTC]");
    let mut days = Days::new(seed);
    past.live(until, &mut |launch| Some(days.go(&launch)));
    (system, past)
}

fn scored(past: &Past, days: i64, draws: u32) -> Backtest {
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let draws = Draws { count: draws, seed: 11, limit: None, threads: None };
    let span = SignedDuration::from_hours(24 * days);
    backtest(past.config(), &history, &past.now().into(), span, draws).expect("a backtest")
}

fn all(rows: &[EndRow]) -> &EndRow {
    rows.iter().find(|row| row.worker.is_none() && row.group.is_none()).expect("a row of all")
}

/// The scores of groups of rows.
fn grouped<'a, Key: Ord>(
    rows: &'a [EndRow],
    key: impl Fn(&'a EndRow) -> Option<Key>,
) -> BTreeMap<Key, EndScore> {
    let mut groups: BTreeMap<Key, EndScore> = BTreeMap::new();
    for row in rows {
        if let Some(key) = key(row) {
            groups.entry(key).or_default().merge(&row.score);
        }
    }
    groups
}

/// The groups of which not 75 to 85 % of the ends are in their ranges, as far as their number can tell: of N independent ends that are in
/// their ranges with a probability of 80 %, the share that is has the standard deviation sqrt(0.8 × 0.2 / N), and twice that is allowed on
/// either side. Runs of one day share its slowness, so no group has more independent ends than there are days.
fn not_calibrated<Key: Debug>(groups: BTreeMap<Key, EndScore>, days: usize) -> Vec<String> {
    let is_calibrated = |score: &EndScore| {
        let independent = u32::try_from(score.ends.min(days)).expect("few");
        let allowed = 2.0 * (0.8 * 0.2 / f64::from(independent)).sqrt();
        (0.75 - allowed..=0.85 + allowed).contains(&score.coverage())
    };
    let others = groups.into_iter().filter(|(_, score)| !is_calibrated(score));
    others.map(|(key, score)| format!("{key:?}: {} of {}", score.in_range, score.ends)).collect()
}

#[test]
fn thirty_days_with_their_real_ends_have_the_same_launches() {
    // From the end of January on, so that a month ends.
    let (_system, past) = days(1, "2026-03-02T05:00[UTC]");
    let result = scored(&past, 30, 20);
    assert_eq!(result.forecasts, 30, "{result:#?}");
    assert_eq!(result.differences, Vec::<String>::new());
    let launches = result.with_real_ends;
    assert!(launches.happened > 500, "{launches:?}");
    assert_eq!((launches.recall, launches.precision), (1.0, 1.0), "{launches:?}");
}

#[test]
fn each_forecast_of_the_past_uses_the_configuration_of_its_time() {
    let (system, mut past) = days(1, "2026-02-01T05:00[UTC]");
    let configuration = fs::read_to_string(system.config()).expect("readable");
    let changed = configuration.replace("retries: 1", "retries: 0").replace("at: '07:00'", "at: '07:30'");
    assert_ne!(changed, configuration);
    fs::write(system.config(), changed).expect("written");
    past.reload();
    let mut days = Days::new(3);
    past.live("2026-03-01T05:00[UTC]", &mut |launch| Some(days.go(&launch)));
    let result = scored(&past, 56, 20);
    assert_eq!((result.forecasts, result.left_out, result.with_present_configuration), (56, 0, 0));
    assert_eq!(result.differences, Vec::<String>::new());
    assert!(result.with_real_ends.happened > 900, "{:?}", result.with_real_ends);

    // A journal from before they were kept.
    let journal = past.config().journal.folder.join("journal.sqlite");
    let journal = rusqlite::Connection::open(journal).expect("the journal");
    journal.execute("DELETE FROM configurations", []).expect("removed");
    let result = scored(&past, 56, 20);
    assert_eq!((result.forecasts, result.with_present_configuration), (56, 56));
    assert_ne!(result.differences, Vec::<String>::new(), "the present one had other launches");
    journal
        .execute("INSERT INTO configurations VALUES (1, 'checklist file: $(NOWCAST.ENV.GONE)')", [])
        .expect("inserted");
    assert_eq!(scored(&past, 56, 20).left_out, 56, "one that cannot be used any more");
}

#[test]
fn free_forecasts_are_calibrated_and_better_than_medians_and_base_rates() {
    let (_system, past) = days(2, "2026-07-01T05:00[UTC]");
    let result = scored(&past, 120, 50);
    let launches = result.free;
    assert!(launches.recall > 0.95 && launches.precision > 0.95, "{launches:?}");
    let (ends, running) = (all(&result.ends), all(&result.running));
    assert!(ends.score.ends >= 2_000 && running.score.ends >= 2_000, "{ends:?} {running:?}");
    for row in [ends, running] {
        assert!((0.75..=0.85).contains(&row.coverage), "{row:?}");
    }
    let by_worker = grouped(&result.ends, |row| row.worker.as_deref());
    let by_lead = grouped(&result.ends, |row| row.group);
    let by_both = grouped(&result.ends, |row| row.worker.as_deref().zip(row.group));
    let by_elapsed = grouped(&result.running, |row| row.group);
    assert_eq!((by_worker.len(), by_lead.len(), by_elapsed.len()), (7, 3, 3), "{result:#?}");
    let days = result.forecasts;
    let others = [
        not_calibrated(by_worker, days),
        not_calibrated(by_lead, days),
        not_calibrated(by_both, days),
        not_calibrated(by_elapsed, days),
    ];
    assert_eq!(others.concat(), Vec::<String>::new(), "{result:#?}");
    let (crps, medians) = (ends.crps_seconds.expect("ends"), ends.medians_seconds.expect("ends"));
    assert!(crps < 0.7 * medians, "{crps} s, sums of medians {medians} s");
    let lateness = result.lateness;
    assert!(lateness.late >= 20 && lateness.brier < 0.8 * lateness.brier_of_base_rate, "{lateness:?}");
}

#[test]
fn days_that_an_operator_begins_have_the_same_launches_with_their_real_ends() {
    let system = two_chains(PLOTS).prepare();
    let mut past = Past::new(&system, "2026-01-29T11:00[UTC]");
    let mut days = Days::new(3);
    for day in ["2026-01-29", "2026-01-30", "2026-01-31", "2026-02-01"] {
        // Beside the cycles of the schedule.
        past.launch(&format!("{day}T12:00[UTC]"), "weather", &[], Some(&format!("{day}-again")));
    }
    past.live("2026-02-02T05:00[UTC]", &mut |launch| Some(days.go(&launch)));
    let result = scored(&past, 4, 1);
    assert_eq!(result.differences, Vec::<String>::new());
    // Each of the four has twelve waves and an ocean model at least, after its weather.
    let launches = result.with_real_ends;
    assert!(launches.happened >= 7 * 13 && launches.both == launches.happened, "{launches:?}");
}

/// After ten usual days, the weather fails. An operator reports the archive before it begins, and later the plots, which are due then.
#[test]
fn messages_that_no_run_sent_meet_expectations() {
    let expected = "expect:
  - {worker: plots, type: success, by: '11:15', timezone: UTC, cycle: '%Y-%m-%d'}
  - {worker: archive, type: success, by: '11:15', since: '05:00', timezone: UTC}";
    let system = two_chains(expected).prepare();
    let mut past = Past::new(&system, "2026-01-01T00:00[UTC]");
    let mut days = Days::new(4);
    past.live("2026-01-11T05:00[UTC]", &mut |launch| Some(days.go(&launch)));
    for day in 11..=20 {
        let day = format!("2026-01-{day:02}");
        for (worker, time) in [("archive", "05:30"), ("plots", "11:15")] {
            past.live(&format!("{day}T{time}[UTC]"), &mut |launch| match launch.worker.name() {
                "weather" => Some(reports_after(20.0, "failure", "~")),
                _ => Some(days.go(&launch)),
            });
            past.command(Command::Send {
                source: worker.to_owned(),
                r#type: "success".to_owned(),
                payload: "~".to_owned(),
                cycle: Some(CycleOption::Label(Cycle::parse(&day).expect("a label"))),
            });
        }
    }
    past.live("2026-01-21T05:00[UTC]", &mut |launch| Some(days.go(&launch)));
    let lateness = scored(&past, 10, 10).lateness;
    // The archive had come when each forecast began; the plots came at the last moment.
    assert_eq!((lateness.deadlines, lateness.late), (10, 0));
}
