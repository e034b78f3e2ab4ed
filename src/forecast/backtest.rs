//! [`Backtest`]: how good forecasts of the past would have been. Each begins with a cycle, and knows what was known then: state,
//! configuration, rules and history.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::Serialize;

use super::draw::{Odds, RunKey, RunOutcome, RunToDraw, RunningNow};
use super::futures::{self, Draws};
use super::history::{CycleKey, HORIZON, PastCycle, PastEnd, PastRun, PastRuns};
use super::like::Likeness;
use super::predictable::Predictable;
use super::range::range;
use super::score::{EndScore, LatenessScore, ratio};
use super::simulate::{Trace, TracedEnd, TracedRun};
use super::start::{ForecastError, ForecastRules, Start};
use super::summary::Forecast;
use super::what_if::WhatIf;
use crate::config::{self, Config, defaults};
use crate::store::History;
use crate::store::journal::EventFilter;
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::{Command, DecisionTime, Number, OpenDeadline};

/// The most forecasts that are made. Of more cycles, as many are taken at equal distances.
const MOST_FORECASTS: usize = 200;

/// How long a forecast is.
const LENGTH: SignedDuration = SignedDuration::from_hours(24);

/// A scheduled launch that waited longer came at another time than the schedule says, which no forecast could know.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// The most differences that are named.
const MOST_DIFFERENCES: usize = 20;

/// The fewest past runs whose median counts.
const FEWEST: usize = 5;

/// At which times of the usual duration the rest of a running run is predicted.
const ELAPSED: [(&str, f64); 3] =
    [("half the median", 0.5), ("the median", 1.0), ("1.5 times the median", 1.5)];

/// A backtest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// The beginning of the first forecast.
    pub from: Option<Timestamp>,
    /// How many forecasts were made.
    pub forecasts: usize,
    /// How many cycles were left out: there are too many, or their configuration or rules are not kept or cannot be used any more.
    pub left_out: usize,
    /// How many forecasts used the present configuration, since the journal has not kept that of their moment.
    pub with_present_configuration: usize,
    /// Launches, if runs end as they did.
    pub with_real_ends: LaunchScore,
    /// Launches of the cycle, if runs end as predicted.
    pub free: LaunchScore,
    /// What differs with the real ends, at most twenty.
    pub differences: Vec<String>,
    /// Ends of runs, by worker and by how long after the beginning they were predicted.
    pub ends: Vec<EndRow>,
    /// Ends of running runs, by how long they had been running.
    pub running: Vec<EndRow>,
    /// Expected messages.
    pub lateness: Lateness,
}

/// How many launches were predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LaunchScore {
    /// The launches that happened. Those of operators after the beginning are left out, and what follows them.
    pub happened: usize,
    /// The launches that were predicted with a probability of 50 % at least.
    pub predicted: usize,
    /// The launches of both.
    pub both: usize,
    /// The share of the real ones that was predicted.
    pub recall: f64,
    /// The share of the predicted ones that happened.
    pub precision: f64,
}

impl LaunchScore {
    fn add(&mut self, happened: usize, predicted: usize, both: usize) {
        self.happened += happened;
        self.predicted += predicted;
        self.both += both;
        self.recall = ratio(self.both, self.happened);
        self.precision = ratio(self.both, self.predicted);
    }
}

/// A group of ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndRow {
    /// The worker; `None` for all.
    pub worker: Option<String>,
    /// The lead time, or how long they had been running; `None` for all.
    pub group: Option<&'static str>,
    /// The counts.
    #[serde(flatten)]
    pub score: EndScore,
    /// The share of ends between the tenth and the ninetieth percentile.
    pub coverage: f64,
    /// The mean continuous ranked probability score of the ends that have a sum of medians, in seconds.
    pub crps_seconds: Option<f64>,
    /// The mean distance of the sum of medians from the same ends, in seconds.
    pub medians_seconds: Option<f64>,
}

impl EndRow {
    fn new(worker: Option<String>, group: Option<&'static str>, score: EndScore) -> Self {
        let compared = u32::try_from(score.compared).ok().filter(|count| *count > 0).map(f64::from);
        Self {
            worker,
            group,
            coverage: score.coverage(),
            crps_seconds: compared.map(|count| score.crps_compared / count),
            medians_seconds: compared.map(|count| score.of_medians / count),
            score,
        }
    }
}

/// How good probabilities of lateness were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lateness {
    /// How many deadlines there were.
    pub deadlines: usize,
    /// How many messages were late.
    pub late: usize,
    /// The Brier score: the mean square of the error of the probability.
    pub brier: f64,
    /// That of the share of late ones among the other deadlines.
    pub brier_of_base_rate: f64,
}

/// Make forecasts from the beginnings of the cycles within a span before now, and score them. `draws` is for each of them.
///
/// # Errors
/// The journal cannot be read, or rules cannot be used any more.
pub fn backtest(
    config: &Config,
    history: &History,
    time: &DecisionTime,
    span: SignedDuration,
    draws: Draws,
) -> Result<Backtest, ForecastError> {
    let now = time.wall.timestamp();
    let full = PastRuns::read(history, time.wall.time_zone(), now, HORIZON.saturating_add(span))?;
    let since = now.checked_sub(span).unwrap_or(Timestamp::MIN);
    let predictable = Predictable::read(history, &full, since)?;
    let mut scorer = Scorer {
        config: Arc::new(config.clone()),
        past_config: None,
        history,
        full: &full,
        predictable,
        now,
        draws,
        result: Backtest {
            from: None,
            forecasts: 0,
            left_out: 0,
            with_present_configuration: 0,
            with_real_ends: LaunchScore::default(),
            free: LaunchScore::default(),
            differences: Vec::new(),
            ends: Vec::new(),
            running: Vec::new(),
            lateness: Lateness { deadlines: 0, late: 0, brier: 0.0, brier_of_base_rate: 0.0 },
        },
        ends: BTreeMap::new(),
        running: BTreeMap::new(),
        lateness: LatenessScore::default(),
        deadlines: BTreeSet::new(),
    };
    let mut cycles: Vec<&PastCycle> = full.cycles().iter().filter(|cycle| cycle.begun >= since).collect();
    cycles.sort_by_key(|cycle| cycle.begun);
    let step = cycles.len().div_ceil(MOST_FORECASTS).max(1);
    scorer.result.left_out = cycles.len() - cycles.len().div_ceil(step);
    for cycle in cycles.into_iter().step_by(step) {
        scorer.add(cycle)?;
    }
    Ok(scorer.finish())
}

/// The moment from which a forecast is made: between two events.
struct ForecastMoment {
    /// The event after it.
    event: Number,
    begin: ZonedDateTime,
}

struct Scorer<'a> {
    /// The present one.
    config: Arc<Config>,
    /// The latest other one that was read, with its text; `None` if it cannot be used any more.
    past_config: Option<(String, Option<Arc<Config>>)>,
    history: &'a History,
    /// What is known today.
    full: &'a PastRuns,
    predictable: Predictable,
    now: Timestamp,
    draws: Draws,
    result: Backtest,
    ends: BTreeMap<(String, &'static str), EndScore>,
    running: BTreeMap<usize, EndScore>,
    lateness: LatenessScore,
    /// The deadlines that were scored.
    deadlines: BTreeSet<(String, String, Timestamp)>,
}

impl<'a> Scorer<'a> {
    fn add(&mut self, cycle: &'a PastCycle) -> Result<(), ForecastError> {
        let moment = self.moment(cycle)?;
        let until = moment.begin.timestamp().checked_add(LENGTH).unwrap_or(Timestamp::MAX).min(self.now);
        let text = self.history.configuration(moment.event)?;
        let Some(config) = self.config_of(text.as_deref()) else {
            self.result.left_out += 1;
            return Ok(());
        };
        let start = Start::before(&config, self.history, self.full, moment.event, moment.begin, until)?;
        let generation = start.state.rules.0;
        let Some(rules) = ForecastRules::of_generation(&config, self.history, generation)? else {
            self.result.left_out += 1;
            return Ok(());
        };
        self.result.forecasts += 1;
        self.result.with_present_configuration += usize::from(text.is_none());
        let begin = start.begin.timestamp();
        self.result.from = Some(self.result.from.map_or(begin, |from| from.min(begin)));
        self.score_real_ends(&start, &rules)?;
        let traces = futures::simulate(&start, &rules, &WhatIf::default(), self.draws)?;
        let forecast = Forecast::sum_up(&start, self.draws, &traces);
        let keys = keys(self.full, cycle);
        self.score_launches(&start, cycle, &forecast, &keys);
        self.score_ends(&start, &traces, &keys);
        self.score_running(&start, &keys);
        self.score_lateness(&start, &forecast, moment.event)
    }

    /// The configuration with a text, with the journal where it is now; the present one if the journal has not kept the text.
    /// `None` if it cannot be used any more, such as without an environment variable that was set at that time.
    fn config_of(&mut self, text: Option<&str>) -> Option<Arc<Config>> {
        let Some(text) = text.filter(|text| *text != self.config.text) else {
            return Some(Arc::clone(&self.config));
        };
        if let Some((_, config)) = self.past_config.as_ref().filter(|(known, _)| known == text) {
            return config.clone();
        }
        let file = &self.config.file;
        let parsed = config::parse(file, text.as_bytes(), &defaults::with_defaults(file)).ok();
        let past = parsed.map(|(past, _)| Arc::new(Config { journal: self.config.journal.clone(), ..past }));
        self.past_config = Some((text.to_owned(), past.clone()));
        past
    }

    /// The moment before a cycle begins by the schedule, else after its first launch, which cannot be predicted.
    fn moment(&self, cycle: &PastCycle) -> Result<ForecastMoment, ForecastError> {
        let first = self.full.run(cycle.runs[0]);
        let zoned = |moment: Timestamp| moment.to_zoned_datetime(self.full.zone().clone());
        let cause = self.history.event(first.cause)?;
        if let Some(cause) = &cause
            && let RecordedEvent::Command { command: Command::LaunchScheduled { due, .. }, .. } = &cause.event
            && let Ok(begin) = due.checked_sub(SignedDuration::from_millis(1))
        {
            let waited = cause.at.timestamp().duration_since(*due);
            let is_first = self.history.time_before(cause.number)?.is_none_or(|before| before <= begin);
            if (SignedDuration::ZERO..LONGEST_WAIT).contains(&waited) && is_first {
                return Ok(ForecastMoment { event: cause.number, begin: zoned(begin) });
            }
        }
        let after = first.launched.checked_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
        Ok(ForecastMoment { event: self.history.first_since(after)?, begin: zoned(first.launched) })
    }

    /// The runs that were launched while a forecast lasts, and that it could know of.
    fn launched(&self, start: &Start) -> impl Iterator<Item = &'a PastRun> {
        let (begin, until) = (start.begin.timestamp(), start.until);
        let is_launched = move |run: &&PastRun| run.launched > begin && run.launched <= until;
        let (predictable, based_on) = (&self.predictable, start.based_on);
        self.full.runs().iter().filter(is_launched).filter(move |run| predictable.is(run.id, based_on))
    }

    /// Let runs end as they did: then each launch must be the same.
    fn score_real_ends(&mut self, start: &Start, rules: &ForecastRules) -> Result<(), ForecastError> {
        let begin = start.begin.timestamp();
        let odds = Odds::new(&start.past, &start.running, 0, begin, start.today).with_ends_of(self.full);
        let draws = Draws { count: 1, seed: 0, limit: None, threads: None };
        let traces = futures::simulate_by(start, &odds, rules, &WhatIf::default(), draws)?;
        let mut counts: BTreeMap<(CycleKey, Likeness, u32), (usize, usize)> = BTreeMap::new();
        let simulated = traces.iter().flat_map(|trace| &trace.runs);
        // A manager learns of an end a moment later, so one of the past may be known only now: what it launches begins at once.
        let was_running = |number| start.running.iter().any(|running| running.run == number);
        let is_launched = |run: &&TracedRun| run.begun.is_some() && !run.number.is_some_and(was_running);
        for run in simulated.filter(is_launched) {
            if run.number.is_none_or(|number| self.predictable.is(number, start.based_on)) {
                let key = (run.key.cycle.clone(), run.key.like.clone(), run.key.attempt);
                counts.entry(key).or_default().0 += 1;
            }
        }
        for run in self.launched(start) {
            let like = self.full.likenesses().get(run.like).clone();
            let key = (self.full.cycle(run.cycle).key.clone(), like, run.attempt);
            counts.entry(key).or_default().1 += 1;
        }
        for ((cycle, like, _), (predicted, happened)) in counts {
            self.result.with_real_ends.add(happened, predicted, predicted.min(happened));
            if predicted != happened && self.result.differences.len() < MOST_DIFFERENCES {
                let from = start.begin.strftime("%Y-%m-%d %H:%M");
                self.result.differences.push(format!(
                    "from {from}: {like} of {cycle}: predicted {predicted}, happened {happened}"
                ));
            }
        }
        Ok(())
    }

    fn score_launches(
        &mut self,
        start: &Start,
        cycle: &PastCycle,
        forecast: &Forecast,
        keys: &[(RunKey, &PastRun)],
    ) {
        let begin = start.begin.timestamp();
        let launched: BTreeSet<_> = self.launched(start).map(|run| run.id).collect();
        let happened: BTreeSet<&RunKey> =
            keys.iter().filter(|(_, run)| launched.contains(&run.id)).map(|(key, _)| key).collect();
        let is_predicted = |run: &&super::summary::RunForecast| {
            let begins = run.begin.is_some_and(|times| times.median > begin);
            run.key.cycle == cycle.key && run.probability >= 0.5 && begins
        };
        let predicted: BTreeSet<&RunKey> =
            forecast.runs.iter().filter(is_predicted).map(|run| &run.key).collect();
        let both = happened.intersection(&predicted).count();
        self.result.free.add(happened.len(), predicted.len(), both);
    }

    fn score_ends(&mut self, start: &Start, traces: &[Arc<Trace>], keys: &[(RunKey, &PastRun)]) {
        let begin = start.begin.timestamp();
        let mut predicted: BTreeMap<&RunKey, Vec<Timestamp>> = BTreeMap::new();
        for run in traces.iter().flat_map(|trace| &trace.runs) {
            if let TracedEnd::At(at) = run.end {
                predicted.entry(&run.key).or_default().push(at);
            }
        }
        for (key, run) in keys {
            let PastEnd::Ended { at, .. } = &run.end else { continue };
            let times = predicted.get(key).filter(|times| times.len() * 2 >= traces.len());
            let Some((times, range)) = times.and_then(|times| Some((times, range(times.clone())?))) else {
                continue;
            };
            if (begin..=start.until).contains(at) {
                // By the predicted time: the real one would put all that came early in one group, and all that came late in another.
                let group = (key.like.worker.to_string(), lead(range.median.duration_since(begin)));
                let medians = self.sum_of_medians(start, run);
                self.ends.entry(group).or_default().add(times, medians, *at);
            }
        }
    }

    /// The end of a run if it and those before it took their median durations, one after the other.
    fn sum_of_medians(&self, start: &Start, run: &PastRun) -> Option<Timestamp> {
        let begin = start.begin.timestamp();
        let (mut end, mut next) = (SignedDuration::ZERO, run);
        loop {
            end += median(&start.past, self.full.likenesses().get(next.like))?;
            match self
                .full
                .sender(next.cause)
                .filter(|before| before.launched >= begin && before.id < next.id)
            {
                Some(before) => next = before,
                None => return next.launched.checked_add(end).ok(),
            }
        }
    }

    /// Predict the rest of each run from moments at which it was running.
    fn score_running(&mut self, start: &Start, keys: &[(RunKey, &PastRun)]) {
        for (key, run) in keys {
            let PastEnd::Ended { after, at, .. } = &run.end else { continue };
            let Some(median) = median(&start.past, &key.like) else { continue };
            for (index, (_, times)) in ELAPSED.iter().enumerate() {
                let elapsed = SignedDuration::from_secs_f64(median.as_secs_f64() * times);
                let Some(moment) = run.launched.checked_add(elapsed).ok().filter(|_| *after > elapsed) else {
                    continue;
                };
                let running = [RunningNow { run: run.id, key: key.clone(), launched: run.launched, sent: 0 }];
                let odds = Odds::new(&start.past, &running, self.draws.seed, moment, start.today);
                let drawn =
                    RunToDraw { key, launched: run.launched, ran_until: Some(moment), preferred: None };
                let end = |draw: u32| match odds.draw(draw).outcome(drawn, |_| Ok::<_, Infallible>(true)) {
                    Ok(RunOutcome::As(_, end, _)) => Some(end),
                    _ => None,
                };
                let ends: Vec<Timestamp> = (0..self.draws.count).filter_map(end).collect();
                self.running.entry(index).or_default().add(&ends, None, *at);
            }
        }
    }

    fn score_lateness(
        &mut self,
        start: &Start,
        forecast: &Forecast,
        event: Number,
    ) -> Result<(), ForecastError> {
        for (deadline, predicted) in start.deadlines.iter().zip(&forecast.expected) {
            let at = deadline.at.timestamp();
            let key = (deadline.worker.clone(), deadline.r#type.clone(), at);
            let Some(probability) = predicted.late.filter(|_| at <= start.until) else { continue };
            if self.deadlines.insert(key) {
                let is_late = !self.is_met(deadline, event)?;
                self.lateness.add(probability, is_late);
            }
        }
        Ok(())
    }

    /// Whether the message of a deadline came in time, after an event.
    fn is_met(&self, deadline: &OpenDeadline, event: Number) -> Result<bool, ForecastError> {
        let messages = self.history.events(&EventFilter {
            within: Some((event, self.history.last_event()?)),
            // A message that comes at the deadline is in time.
            until: deadline.at.timestamp().checked_add(SignedDuration::from_nanos(1)).ok(),
            ..EventFilter::of_messages(&deadline.worker, &deadline.r#type)
        })?;
        Ok(messages.iter().any(|record| match &record.event {
            // One that was parked was received when it was parked.
            RecordedEvent::Message(received) if received.speaker != Speaker::Retry => {
                let message = received.message.as_ref();
                message.is_some_and(|message| deadline.is_met_by(message, record.at.timestamp()))
            }
            _ => false,
        }))
    }

    fn finish(mut self) -> Backtest {
        let mut all = EndScore::default();
        for ((worker, group), score) in self.ends {
            all.merge(&score);
            self.result.ends.push(EndRow::new(Some(worker), Some(group), score));
        }
        self.result.ends.push(EndRow::new(None, None, all));
        let mut all = EndScore::default();
        for (index, score) in self.running {
            all.merge(&score);
            self.result.running.push(EndRow::new(None, Some(ELAPSED[index].0), score));
        }
        self.result.running.push(EndRow::new(None, None, all));
        self.result.lateness = Lateness {
            deadlines: self.lateness.count(),
            late: self.lateness.late(),
            brier: self.lateness.brier(),
            brier_of_base_rate: self.lateness.brier_of_base_rate(),
        };
        self.result
    }
}

/// What identifies the runs of a cycle.
fn keys<'a>(full: &'a PastRuns, cycle: &PastCycle) -> Vec<(RunKey, &'a PastRun)> {
    let mut counts: BTreeMap<(Likeness, u32), usize> = BTreeMap::new();
    let key = |index: &super::history::RunIndex| {
        let run = full.run(*index);
        let like = full.likenesses().get(run.like).clone();
        let count = counts.entry((like.clone(), run.attempt)).or_default();
        let ordinal = *count;
        *count += 1;
        (RunKey { cycle: cycle.key.clone(), like, attempt: run.attempt, ordinal }, run)
    };
    cycle.runs.iter().map(key).collect()
}

/// The median duration of the past runs of a kind, if there are enough.
fn median(past: &PastRuns, like: &Likeness) -> Option<SignedDuration> {
    let like = past.likenesses().find(like)?;
    let ended = past.like(like).iter().filter_map(|index| match &past.run(*index).end {
        PastEnd::Ended { after, .. } => Some(*after),
        PastEnd::Censored { .. } => None,
    });
    let mut durations: Vec<SignedDuration> = ended.collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().filter(|_| durations.len() >= FEWEST)
}

fn lead(time: SignedDuration) -> &'static str {
    match time.as_secs() {
        ..3_600 => "under 1 h",
        3_600..21_600 => "1 h to 6 h",
        _ => "over 6 h",
    }
}
