//! [`Draw`]: the outcomes of the runs of one simulated future: each goes as one of the past did.
//!
//! One past cycle is taken for all runs of a cycle to come, so that slowness and failures that they share stay together. Nothing is made
//! up: a run that no past run is like has no outcome.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};

use super::chance::{Chance, Choice, Purpose};
use super::ends::Ends;
use super::history::{CycleIndex, CycleKey, PastCycle, PastEnd, PastRun, PastRuns, RunIndex};
use super::like::{LikeId, Likeness};
use nowcast_core::{Ending, RunId};

/// The fewest past cycles of a weekday with which only those are taken. With fewer, the range of their ends would be too narrow: another end
/// is between the least and the greatest of 8 with a probability of 7/9, about the 80 % that a range promises.
const FEWEST_OF_WEEKDAY: usize = 8;

/// The signal by which a stopped run ended.
const SIGTERM: i32 = 15;

/// The most past runs of a kind that count, the latest ones.
const MOST_ALIKE: usize = 500;

/// A run of a simulated future. Runs of different draws, and of forecasts that are compared, are the same if they share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunKey {
    /// Its cycle, or day.
    pub cycle: CycleKey,
    /// What it is like.
    pub like: Likeness,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// How many such runs of the cycle came before.
    pub ordinal: usize,
}

/// A run whose end is drawn.
#[derive(Debug, Clone, Copy)]
pub struct RunToDraw<'a> {
    /// What identifies it.
    pub key: &'a RunKey,
    /// When it is launched.
    pub launched: Timestamp,
    /// Until when it has been running. It ends later than that.
    pub ran_until: Option<Timestamp>,
    /// The message type that its past run must have reported, if there is such a run.
    pub preferred: Option<&'a str>,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub enum RunOutcome<'a> {
    /// It goes as a past run did, and ends then.
    As(&'a PastRun, Timestamp, Ending),
    /// Each past run of the kind had ended by now.
    LongerThanEver,
    /// No past run is like it.
    NoHistory,
}

/// A run that runs when the forecast begins.
#[derive(Debug, Clone)]
pub struct RunningNow {
    /// Its number.
    pub run: RunId,
    /// What identifies it.
    pub key: RunKey,
    /// When it was launched, by the wall clock as it is set now.
    pub launched: Timestamp,
    /// How many messages it has sent.
    pub sent: usize,
}

/// The past as it is drawn from. Threads share it.
#[derive(Debug)]
pub struct Odds<'a> {
    past: &'a PastRuns,
    running: &'a [RunningNow],
    seed: u64,
    /// When the forecast begins.
    now: Timestamp,
    /// The cycles that began on this day may be incomplete.
    today: Date,
    /// For each likeness, once it was needed.
    ends: Vec<OnceLock<Ends>>,
    /// What really happened, if runs are to end as they did.
    given: Option<&'a PastRuns>,
}

impl<'a> Odds<'a> {
    /// Return the odds when a forecast begins while these runs are running. The past is known until today.
    #[must_use]
    pub fn new(
        past: &'a PastRuns,
        running: &'a [RunningNow],
        seed: u64,
        now: Timestamp,
        today: Date,
    ) -> Self {
        let ends = (0..past.likenesses().len()).map(|_| OnceLock::new()).collect();
        Self { past, running, seed, now, today, ends, given: None }
    }

    /// Let each run end as it did: `given` is the past until later.
    #[must_use]
    pub fn with_ends_of(self, given: &'a PastRuns) -> Self {
        Self { given: Some(given), ..self }
    }

    /// Return the past.
    #[must_use]
    pub fn past(&self) -> &'a PastRuns {
        self.past
    }

    /// Return the random numbers of a draw.
    #[must_use]
    pub fn chance(&self, draw: u32) -> Chance {
        Chance::new(self.seed, draw)
    }

    /// Begin a draw.
    #[must_use]
    pub fn draw(&self, number: u32) -> Draw<'a, '_> {
        Draw { odds: self, chance: self.chance(number), cycle_of: BTreeMap::new(), chosen: Vec::new() }
    }

    fn ends(&self, like: LikeId) -> Ends {
        let decide = || Ends::of(self.alike(like).map(|run| self.past.run(run)), self.past.zone());
        *self.ends[like.index()].get_or_init(decide)
    }

    /// The latest past runs of a kind.
    fn alike(&self, like: LikeId) -> impl Iterator<Item = RunIndex> {
        let all = self.past.like(like);
        all[all.len().saturating_sub(MOST_ALIKE)..].iter().copied()
    }

    fn end(&self, run: &PastRun, launched: Timestamp) -> Timestamp {
        self.ends(run.like).end(run, launched, self.past.zone())
    }

    /// The past cycles that a cycle may go as, for a kind of run that they must have. Each restriction counts only if it leaves some.
    fn candidates(&self, key: &CycleKey, like: LikeId, begun: Timestamp) -> Vec<CycleIndex> {
        let zone = self.past.zone();
        let all = self.past.indexed_cycles();
        let mut found: Vec<(CycleIndex, &PastCycle)> =
            all.filter(|(_, cycle)| cycle.key != *key && !cycle.like(like).is_empty()).collect();
        restrict(&mut found, 1, |cycle| !cycle.is_open);
        restrict(&mut found, 1, |cycle| zone.to_datetime(cycle.begun).date() != self.today);
        for running in self.running.iter().filter(|running| running.key.cycle == *key) {
            restrict(&mut found, 1, |cycle| self.is_compatible(cycle, running));
        }
        let weekday = self.weekday(key, begun);
        restrict(&mut found, FEWEST_OF_WEEKDAY, |cycle| cycle.weekday == weekday);
        found.into_iter().map(|(index, _)| index).collect()
    }

    fn weekday(&self, key: &CycleKey, begun: Timestamp) -> Weekday {
        match (self.past.find_cycle(key), key) {
            (Some(cycle), _) => cycle.weekday,
            (None, CycleKey::Day(day)) => day.weekday(),
            (None, CycleKey::Label(_)) => self.past.zone().to_datetime(begun).date().weekday(),
        }
    }

    /// Whether the run of a past cycle ran at least as long as one that is running.
    fn is_compatible(&self, cycle: &PastCycle, running: &RunningNow) -> bool {
        let Some(like) = self.past.likenesses().find(&running.key.like) else { return true };
        self.counterpart(cycle, like, &running.key)
            .is_some_and(|run| self.end(run, running.launched) > self.now)
    }

    /// The run of a past cycle that corresponds to one to come.
    fn counterpart(&self, cycle: &PastCycle, like: LikeId, key: &RunKey) -> Option<&'a PastRun> {
        let of_attempt = cycle.like(like).iter().map(|index| self.past.run(*index));
        of_attempt.filter(|run| run.attempt == key.attempt).nth(key.ordinal)
    }
}

/// The real outcome of a run. One whose end is not known by itself ended by a signal, unless it still runs.
fn given_outcome<'a>(given: &'a PastRuns, drawn: &RunToDraw<'_>) -> RunOutcome<'a> {
    let cycle = given.find_cycle(&drawn.key.cycle).zip(given.likenesses().find(&drawn.key.like));
    let run = cycle.and_then(|(cycle, like)| {
        let of_attempt = cycle.like(like).iter().map(|index| given.run(*index));
        of_attempt.filter(|run| run.attempt == drawn.key.attempt).nth(drawn.key.ordinal)
    });
    let Some(run) = run else { return RunOutcome::NoHistory };
    let end = drawn.launched.checked_add(run.end.after()).unwrap_or(Timestamp::MAX);
    match &run.end {
        PastEnd::Ended { ending, .. } => RunOutcome::As(run, end, ending.clone()),
        PastEnd::Censored { is_open: false, .. } => RunOutcome::As(run, end, Ending::Killed(SIGTERM)),
        PastEnd::Censored { is_open: true, .. } => RunOutcome::LongerThanEver,
    }
}

/// Keep the cycles for which this is true, if they are at least so many.
fn restrict(cycles: &mut Vec<(CycleIndex, &PastCycle)>, fewest: usize, is_kept: impl Fn(&PastCycle) -> bool) {
    if cycles.iter().filter(|(_, cycle)| is_kept(cycle)).count() >= fewest {
        cycles.retain(|(_, cycle)| is_kept(cycle));
    }
}

/// One simulated future.
#[derive(Debug)]
pub struct Draw<'a, 'b> {
    odds: &'b Odds<'a>,
    chance: Chance,
    /// The past cycle that each cycle goes as.
    cycle_of: BTreeMap<CycleKey, CycleIndex>,
    /// What was chosen, in order.
    chosen: Vec<(Choice, usize)>,
}

impl<'a> Draw<'a, '_> {
    /// Return the outcome of a run. `is_usable` says whether what a past run sent is known.
    ///
    /// # Errors
    /// Those of `is_usable`.
    pub fn outcome<E>(
        &mut self,
        drawn: RunToDraw<'_>,
        mut is_usable: impl FnMut(&PastRun) -> Result<bool, E>,
    ) -> Result<RunOutcome<'a>, E> {
        let odds = self.odds;
        if let Some(given) = odds.given {
            return Ok(given_outcome(given, &drawn));
        }
        let Some(like) = odds.past.likenesses().find(&drawn.key.like) else {
            return Ok(RunOutcome::NoHistory);
        };
        let reported = |run: &PastRun, r#type: &str| run.messages.iter().any(|sent| *sent.r#type == *r#type);
        let mut preferred = drawn.preferred;
        preferred.take_if(|r#type| !odds.alike(like).any(|index| reported(odds.past.run(index), r#type)));
        let is_preferred = |run: &PastRun| preferred.is_none_or(|r#type| reported(run, r#type));
        let cycle = self.cycle(&drawn.key.cycle, like, drawn.launched);
        let counterpart = cycle.and_then(|cycle| odds.counterpart(cycle, like, drawn.key));
        // It ends later than that.
        let mut bound = drawn.ran_until;
        if let Some(run) = counterpart.filter(|run| is_preferred(run)) {
            let end = odds.end(run, drawn.launched);
            if bound.is_none_or(|bound| end > bound) {
                match &run.end {
                    PastEnd::Ended { ending, .. } if is_usable(run)? => {
                        return Ok(RunOutcome::As(run, end, ending.clone()));
                    }
                    PastEnd::Ended { .. } => {}
                    // The drawn cycle says only that it takes longer than that.
                    PastEnd::Censored { .. } => bound = Some(end),
                }
            }
        }
        let mut alike: Vec<&PastRun> = odds.alike(like).map(|index| odds.past.run(index)).collect();
        restrict_runs(&mut alike, |run| run.attempt == drawn.key.attempt);
        restrict_runs(&mut alike, is_preferred);
        self.outcome_among(alike, like, drawn, bound, is_usable)
    }

    /// Draw the outcome of a run from those that are alike and end after a moment. Of one that was censored, the share goes to those that
    /// ran longer: so the odds are those of Kaplan and Meier.
    fn outcome_among<E>(
        &mut self,
        mut alike: Vec<&'a PastRun>,
        like: LikeId,
        drawn: RunToDraw<'_>,
        mut bound: Option<Timestamp>,
        mut is_usable: impl FnMut(&PastRun) -> Result<bool, E>,
    ) -> Result<RunOutcome<'a>, E> {
        let key = drawn.key;
        let purpose = purpose_of(&key.cycle).of_text(&key.like.worker).of(like.index() as u64);
        let purpose = purpose.of(key.attempt.into()).of(key.ordinal as u64);
        let mut known = alike.iter().filter(|run| matches!(run.end, PastEnd::Ended { .. })).count();
        for step in 0.. {
            alike.retain(|run| bound.is_none_or(|bound| self.odds.end(run, drawn.launched) > bound));
            if alike.is_empty() {
                break;
            }
            let picked = self.pick(purpose.of(step), alike.len());
            let run = alike[picked];
            let end = self.odds.end(run, drawn.launched);
            match &run.end {
                PastEnd::Ended { ending, .. } if is_usable(run)? => {
                    return Ok(RunOutcome::As(run, end, ending.clone()));
                }
                PastEnd::Ended { .. } => {
                    alike.remove(picked);
                    known -= 1;
                }
                PastEnd::Censored { .. } => bound = Some(end),
            }
        }
        Ok(if known > 0 { RunOutcome::LongerThanEver } else { RunOutcome::NoHistory })
    }

    /// Return what was chosen, in order. Draws that choose the same are the same future.
    #[must_use]
    pub fn into_chosen(self) -> Vec<(Choice, usize)> {
        self.chosen
    }

    fn pick(&mut self, purpose: Purpose, count: usize) -> usize {
        let choice = Choice { purpose, count };
        let picked = self.chance.pick(choice);
        self.chosen.push((choice, picked));
        picked
    }

    /// The past cycle that a cycle goes as; `None` if there is none with such a run, and none was taken before.
    fn cycle(&mut self, key: &CycleKey, like: LikeId, launched: Timestamp) -> Option<&'a PastCycle> {
        if let Some(known) = self.cycle_of.get(key) {
            return Some(self.odds.past.cycle(*known));
        }
        let candidates = self.odds.candidates(key, like, launched);
        if candidates.is_empty() {
            return None;
        }
        let taken = candidates[self.pick(purpose_of(key), candidates.len())];
        self.cycle_of.insert(key.clone(), taken);
        Some(self.odds.past.cycle(taken))
    }
}

/// What the choices for a cycle are for.
fn purpose_of(cycle: &CycleKey) -> Purpose {
    match cycle {
        CycleKey::Label(label) => Purpose::default().of(1).of_text(label.as_str()),
        CycleKey::Day(day) => Purpose::default().of(2).of_text(&day.to_string()),
    }
}

/// Keep the runs for which this is true, if there are some.
fn restrict_runs(runs: &mut Vec<&PastRun>, is_kept: impl Fn(&PastRun) -> bool) {
    if runs.iter().any(|run| is_kept(run)) {
        runs.retain(|run| is_kept(run));
    }
}
