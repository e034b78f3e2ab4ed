//! The model: a manager in its plainest form. Nothing is ever removed from its lists; whatever
//! is open, counted or running is derived again each time from the history.
//!
//! It shares no code with the core and must not look at its state.

use std::collections::BTreeMap;

pub use crate::model::facts::{
    Done, End, Expected, Hold, Mark, Message, OpenJoin, Outcome, ParkedLaunch, Run, When, Wish,
};
use crate::model::plan::{CONFIGS, CYCLES, Held, Join, Launch, RequirementPlan, Rule, SaidCycle, TYPES};

/// Seconds after which a silent end is a crash.
const GRACE: i64 = 2;

/// Seconds by which the wall clock is set in a step.
pub const STEP: i64 = 5;

#[derive(Debug)]
pub struct Model {
    pub now: When,
    /// How far the wall clock was set by the last step.
    pub set_by: i64,
    /// When something was recorded last.
    pub last_event: When,
    pub rules: Vec<Rule>,
    pub config: usize,
    pub runs: Vec<Run>,
    pub messages: Vec<Message>,
    pub joins: Vec<OpenJoin>,
    pub holds: Vec<Hold>,
    /// The messages that are parked.
    pub parked: Vec<usize>,
    /// Those of them that are parked undecided, with their values and the runs that they name.
    undecided: BTreeMap<usize, (Option<i64>, Option<NamedRun>)>,
    pub parked_launches: Vec<ParkedLaunch>,
    /// Of each cycle.
    pub marks: [Option<Mark>; CYCLES.len()],
    /// How many launches were discarded.
    pub discarded: usize,
    /// The first attempt of the run of the message that is decided, as it is known before, and the run.
    chain: (Option<usize>, Option<usize>),
    /// Worker and value, in the order of the keys.
    pub checklist: Vec<(usize, i64)>,
    pub expected: Vec<Expected>,
    pub(crate) done: Done,
}

impl Model {
    pub fn new(rules: Vec<Rule>, config: usize) -> Self {
        Self {
            now: When::default(),
            set_by: 0,
            last_event: When::default(),
            rules,
            config,
            runs: Vec::new(),
            messages: Vec::new(),
            joins: Vec::new(),
            holds: Vec::new(),
            parked: Vec::new(),
            parked_launches: Vec::new(),
            marks: [None; CYCLES.len()],
            discarded: 0,
            undecided: BTreeMap::new(),
            chain: (None, None),
            checklist: Vec::new(),
            expected: Vec::new(),
            done: Done::default(),
        }
    }

    /// What was done since this was asked the last time.
    pub fn done(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    /// A launch, and the message whose rule returned it.
    pub fn want(&mut self, launch: Launch, after: Option<usize>) -> usize {
        let due = self.now.passed + launch.delay.unwrap_or(0);
        let at = launch.at.filter(|at| self.passed_at(*at) > due);
        let run = self.add_run(launch, due, at, None);
        self.runs[run].after = after;
        run
    }

    /// Launches of a cancelled cycle are parked.
    pub fn want_all(&mut self, launches: Vec<Wish>) {
        for wish in launches {
            if self.cycle_of_wish(&wish).is_some_and(|cycle| self.is_cancelled(cycle)) {
                self.parked_launches.push(ParkedLaunch { wish, is_over: false });
                continue;
            }
            let run = self.want(wish.launch, Some(wish.after));
            self.runs[run].join = wish.join;
        }
    }

    /// The seconds that will have passed when the wall clock shows a time.
    pub fn passed_at(&self, wall: i64) -> i64 {
        self.now.passed + wall - self.now.wall
    }

    /// What the wall clock, as it is set now, would have shown at a moment of this boot; what it showed, for earlier ones.
    pub fn shown(&self, at: When) -> i64 {
        if at.boot == self.now.boot { self.now.wall - (self.now.passed - at.passed) } else { at.wall }
    }

    /// The seconds that have passed when a run is due.
    pub fn due_of(&self, run: usize) -> i64 {
        self.runs[run].at.map_or(self.runs[run].due, |at| self.passed_at(at))
    }

    pub fn set_clock(&mut self, by: i64) {
        self.now.wall += by;
        self.set_by = by;
    }

    /// The time that the machine was off is known by the wall clock only, since the last event.
    pub fn reboot(&mut self, by: i64) {
        let off = self.now.wall + by - self.last_event.wall;
        self.now.wall += by;
        self.now.passed = self.last_event.passed + off.max(1);
        self.now.boot += 1;
        self.set_by = off.min(0);
    }

    /// After a step of the wall clock, times that come again are judged again.
    fn follow_clock(&mut self) {
        if std::mem::take(&mut self.set_by).abs() < STEP {
            return;
        }
        let wall = self.now.wall;
        for known in &mut self.expected {
            known.judged = known.judged.min(wall);
            known.late = known.late.filter(|late| *late <= wall);
        }
        self.admit();
    }

    fn add_run(&mut self, launch: Launch, due: i64, at: Option<i64>, retry_of: Option<usize>) -> usize {
        let attempt = retry_of.map_or(1, |run| self.runs[run].attempt + 1);
        self.runs.push(Run {
            launch,
            due,
            at,
            after: None,
            attempt,
            retry_of,
            join: None,
            repeats: None,
            launched: None,
            ended: None,
            is_discarded: false,
            is_reported: false,
            has_final_report: false,
            is_stopping: false,
            is_killed: false,
        });
        self.runs.len() - 1
    }

    pub fn set(&mut self, worker: usize, value: i64) {
        match self.checklist.iter_mut().find(|(key, _)| *key == worker) {
            Some(entry) => entry.1 = value,
            None => self.checklist.push((worker, value)),
        }
    }

    /// A message; `said` is what it says of its run and cycle.
    pub fn message(&mut self, worker: usize, r#type: usize, value: Option<i64>, said: Said) {
        self.decide(worker, r#type, (value, said), None);
    }

    /// A message that is parked undecided.
    pub fn poison(&mut self, worker: usize, r#type: usize, value: Option<i64>, said: Said) {
        let number = self.messages.len();
        self.notice(worker, r#type);
        let of = self.run_of(worker, said);
        if let Some(of) = of {
            self.report(of, r#type);
        }
        self.add_message(worker, r#type, (of, said.label()), Outcome::Undecided);
        self.undecided.insert(number, (value, said.run));
        self.parked.push(number);
    }

    fn decide(
        &mut self,
        worker: usize,
        r#type: usize,
        (value, said): (Option<i64>, Said),
        parked: Option<usize>,
    ) {
        let of_parked = parked.and_then(|parked| self.messages[parked].run);
        let has_crash = worker != 3 || TYPES[r#type] != "crash";
        if worker == 4 || r#type == 4 || !has_crash {
            let run = if let Some(NamedRun::MadeFor(run)) = said.run {
                self.report(run, r#type);
                Some(run)
            } else {
                of_parked
            };
            return self.add_message(worker, r#type, (run, said.label()), Outcome::Refused);
        }
        if let Some(value) = value {
            self.set(worker, value);
        }
        if parked.is_none() {
            self.notice(worker, r#type);
        }
        let run = if parked.is_some() { of_parked } else { self.run_of(worker, said) };
        self.chain = match run {
            Some(run) => (Some(self.chain_of(run)), Some(run)),
            None => self.chain_of_late_report(worker, said).unzip(),
        };
        if let Some(run) = run.filter(|run| !self.runs[*run].is_closed()) {
            let is_retried = self.is_retried(run, r#type);
            self.report(run, r#type);
            if is_retried {
                let launch = self.runs[run].launch.clone();
                let delay = launch.retry_delay.or(CONFIGS[self.config][launch.worker].3).unwrap_or(0);
                let next = self.add_run(launch, self.now.passed + delay, None, Some(run));
                self.parked.retain(|message| Some(*message) != parked);
                return self.add_message(worker, r#type, (Some(run), said.label()), Outcome::Retried(next));
            }
        }
        let number = self.messages.len();
        self.ask_rule(worker, r#type, (run, said.label()), parked);
        let is_ruled = self.messages[number].outcome == Outcome::Ruled;
        match parked {
            None if is_ruled => {}
            None => self.parked.push(number),
            Some(parked) if is_ruled => self.parked.retain(|message| *message != parked),
            Some(parked) => drop(self.undecided.remove(&parked)),
        }
    }

    /// A message; `of` are its run and the cycle that its sender names.
    pub fn add_message(
        &mut self,
        worker: usize,
        r#type: usize,
        (run, named): (Option<usize>, Option<usize>),
        outcome: Outcome,
    ) {
        let (chain, counts_for) = self.chain;
        self.messages.push(Message {
            worker,
            r#type,
            at: self.now,
            run,
            named,
            outcome,
            chain,
            counts_for,
            retries: None,
            forgotten: None,
        });
    }

    pub fn retry(&mut self, message: usize) {
        let Message { worker, r#type, run, named, .. } = self.messages[message];
        if let Some((value, named_run)) = self.undecided.get(&message) {
            let said = Said { run: *named_run, cycle: SaidCycle::named(named) };
            return self.decide(worker, r#type, (*value, said), Some(message));
        }
        let number = self.messages.len();
        self.ask_rule(worker, r#type, (run, named), Some(message));
        if self.messages[number].outcome == Outcome::Ruled {
            self.parked.retain(|parked| *parked != message);
        }
    }

    fn ask_rule(
        &mut self,
        worker: usize,
        r#type: usize,
        (run, named): (Option<usize>, Option<usize>),
        retries: Option<usize>,
    ) {
        let number = self.messages.len();
        self.done.called.push(retries.map_or(self.now, |first| self.messages[first].at).wall);
        let (outcome, launches, join) = match self.rules[worker].clone() {
            Rule::IsMissing => (Outcome::Missing, Vec::new(), None),
            Rule::Fails => (Outcome::Failed, Vec::new(), None),
            Rule::Answers(launches, join) => (Outcome::Ruled, launches, join),
        };
        let (chain, counts_for) = self.chain;
        let (at, forgotten) = (self.now, None);
        let message =
            Message { worker, r#type, at, run, named, outcome, chain, counts_for, retries, forgotten };
        self.messages.push(message);
        if let Some(cycle) = self.cycle_of_message(number).filter(|_| self.is_noted(number)) {
            self.mark_if_done(cycle);
        }
        let returned = |launches: Vec<Launch>| -> Vec<Wish> {
            launches.into_iter().map(|launch| Wish { launch, after: number, join: None }).collect()
        };
        let launches = returned(launches);
        let (mut released, mut of_identified) = (Vec::new(), Vec::new());
        if let Some(asked) = join {
            if asked.scope.is_some() {
                of_identified = self.ask_for(number, worker, asked);
            } else if asked.wait_for.is_empty() {
                released.extend(returned(asked.launch));
            } else {
                self.open(number, worker, asked);
            }
        }
        let counts: Vec<usize> = (0..self.joins.len())
            .filter(|join| self.joins[*join].is_open() && !self.joins[*join].is_identified())
            .filter(|join| match retries.filter(|_| self.joins[*join].opened_by != number) {
                Some(first) => self.has_counted(*join, self.reached_first(first).unwrap_or(number)),
                None => self.has_counted(*join, number),
            })
            .collect();
        match counts.first() {
            Some(oldest) => self.joins[*oldest].waiting.extend(launches),
            None => self.want_all(launches),
        }
        for join in 0..self.joins.len() {
            let is_classic = !self.joins[join].is_identified();
            if is_classic && self.joins[join].is_open() && self.remaining(join).is_empty() {
                self.joins[join].end = Some(End::Completed);
                released.extend(self.launches_of(join));
            }
        }
        self.want_all(released);
        self.want_all(of_identified);
        let complete = self.count_in_identified(number);
        self.want_all(complete);
    }

    fn open(&mut self, message: usize, worker: usize, asked: Join) {
        let name = name_of(&asked, worker);
        for join in 0..self.joins.len() {
            let is_classic = !self.joins[join].is_identified();
            if is_classic && self.joins[join].is_open() && self.joins[join].name == name {
                self.close_and_park(join);
            }
        }
        self.add_join(name, asked, message);
    }

    pub fn add_join(&mut self, name: String, asked: Join, message: usize) {
        let deadline = asked.timeout.map(|timeout| self.now.passed + timeout);
        self.joins.push(OpenJoin {
            name,
            asked,
            opened_by: message,
            waiting: Vec::new(),
            deadline,
            times: 1,
            end: None,
            is_parked: false,
            was_parked: false,
            missing: Vec::new(),
            counted: Vec::new(),
        });
    }

    fn close_and_park(&mut self, join: usize) {
        let has_launches = !self.launches_of(join).is_empty();
        let join = &mut self.joins[join];
        join.end = Some(End::TimedOut);
        (join.is_parked, join.was_parked) = (has_launches, has_launches);
    }

    /// Closes a join, or ends that what waited in it is parked. Answers whether it was one of both.
    pub fn end_join(&mut self, join: usize, end: End) -> bool {
        let join = &mut self.joins[join];
        let is_parked = std::mem::replace(&mut join.is_parked, false);
        let is_open = join.is_open();
        join.end.get_or_insert(end);
        is_open || is_parked
    }

    /// All launches of a join.
    pub fn launches_of(&self, number: usize) -> Vec<Wish> {
        let join = &self.joins[number];
        let own = join.asked.launch.iter().map(|launch| Wish {
            launch: launch.clone(),
            after: join.opened_by,
            join: join.is_identified().then_some(number),
        });
        join.waiting.iter().cloned().chain(own).collect()
    }

    /// What a join still waits for: one that is not identified counts all messages again since it was opened.
    pub fn remaining(&self, join: usize) -> Vec<RequirementPlan> {
        if self.joins[join].is_identified() { self.joins[join].missing.clone() } else { self.count(join).0 }
    }

    /// Whether it was the first time that a message was for a rule.
    pub fn is_noted(&self, number: usize) -> bool {
        let reached = |number: usize| {
            matches!(self.messages[number].outcome, Outcome::Ruled | Outcome::Failed | Outcome::Missing)
        };
        let first = self.messages[number].retries;
        reached(number)
            && first.is_none_or(|first| {
                let before = (first..number)
                    .filter(|other| *other == first || self.messages[*other].retries == Some(first));
                before.into_iter().all(|other| !reached(other))
            })
    }

    /// The first attempt of a run; of one that is closed, it is not known any more.
    fn chain_of(&self, run: usize) -> usize {
        if self.runs[run].is_closed() {
            return run;
        }
        self.first_attempt(run)
    }

    /// The chain of a closed run that a message of its worker names, and that run: one whose latest or first run it is, else that of the
    /// retry that is open.
    fn chain_of_late_report(&self, worker: usize, said: Said) -> Option<(usize, usize)> {
        let Some(NamedRun::Run(named)) = said.run else { return None };
        if !self.runs[named].is_closed() {
            return None;
        }
        let is_known =
            |message: &usize| self.is_noted(*message) && self.messages[*message].forgotten.is_none();
        let noted = (0..self.messages.len()).filter(is_known);
        let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
        for message in noted.map(|message| &self.messages[message]).filter(|message| message.worker == worker)
        {
            if let Some((chain, run)) = message.chain.zip(message.counts_for) {
                latest.entry(chain).and_modify(|latest| *latest = run.max(*latest)).or_insert(run);
            }
        }
        let counted = latest.iter().find(|(chain, run)| **chain == named || **run == named);
        let mut runs = self.runs.iter().enumerate();
        let mut retry = || {
            runs.find(|(_, run)| {
                run.retry_of == Some(named) && !run.is_closed() && run.launch.worker == worker
            })
        };
        let chain =
            counted.map(|(chain, _)| *chain).or_else(|| retry().map(|(run, _)| self.first_attempt(run)))?;
        Some((chain, named))
    }

    /// The first run of a chain: of its attempts, and of the runs that it repeats.
    pub fn first_attempt(&self, run: usize) -> usize {
        match self.runs[run].retry_of {
            Some(before) => self.first_attempt(before),
            None => self.runs[run].repeats.unwrap_or(run),
        }
    }

    fn has_counted(&self, join: usize, message: usize) -> bool {
        self.count(join).1.contains(&message)
    }

    fn count(&self, join: usize) -> (Vec<RequirementPlan>, Vec<usize>) {
        let join = &self.joins[join];
        let mut left = join.asked.wait_for.clone();
        let mut counted = Vec::new();
        for number in join.opened_by..self.messages.len() {
            let message = &self.messages[number];
            let reached_its_rule = matches!(message.outcome, Outcome::Ruled | Outcome::Failed);
            let first = message.retries.unwrap_or(number);
            let is_first = self.reached_first(first) == Some(number) || number == join.opened_by;
            if !reached_its_rule || !is_first {
                continue;
            }
            let fits = |requirement: &&mut RequirementPlan| {
                requirement.0 == message.worker && requirement.1.is_none_or(|r#type| r#type == message.r#type)
            };
            if let Some(requirement) = left.iter_mut().find(fits) {
                requirement.2 -= 1;
                counted.push(number);
            }
            left.retain(|requirement| requirement.2 > 0);
        }
        (left, counted)
    }

    /// The first decision of a message, itself or a retry of it, that reached a rule.
    fn reached_first(&self, first: usize) -> Option<usize> {
        let is_of_it = |number: &usize| *number == first || self.messages[*number].retries == Some(first);
        let reached =
            |number: &usize| matches!(self.messages[*number].outcome, Outcome::Ruled | Outcome::Failed);
        (first..self.messages.len()).find(|number| is_of_it(number) && reached(number))
    }

    /// The cycle of a run: that of the attempt before, the one that its launch says, or that of the message whose rule returned it.
    pub fn cycle_of_run(&self, run: usize) -> Option<usize> {
        let run = &self.runs[run];
        match run.retry_of {
            Some(before) => self.cycle_of_run(before),
            None => run.launch.cycle.or_else(|| self.inherited(run.join, run.after)),
        }
    }

    pub fn cycle_of_wish(&self, wish: &Wish) -> Option<usize> {
        wish.launch.cycle.or_else(|| self.inherited(wish.join, Some(wish.after)))
    }

    fn inherited(&self, join: Option<usize>, after: Option<usize>) -> Option<usize> {
        match join {
            Some(join) => self.cycle_of_join(join),
            None => after.and_then(|message| self.cycle_of_message(message)),
        }
    }

    /// The cycle of a message: that of its run, or the one that its sender names.
    pub fn cycle_of_message(&self, message: usize) -> Option<usize> {
        let message = &self.messages[message];
        match message.run {
            Some(run) => self.cycle_of_run(run),
            None => message.named,
        }
    }

    pub fn run_of(&self, worker: usize, said: Said) -> Option<usize> {
        match said.run {
            Some(NamedRun::MadeFor(run)) => return Some(run),
            Some(NamedRun::Unknown) => return None,
            Some(NamedRun::Run(run)) => {
                let named = &self.runs[run];
                if named.is_closed() || named.launch.worker == worker && named.is_waiting() {
                    return None;
                }
                if named.launch.worker == worker {
                    return Some(run);
                }
            }
            None => {}
        }
        let of_worker = |run: &usize| {
            let run = &self.runs[*run];
            run.launch.worker == worker && run.launched.is_some() && !run.is_closed()
        };
        let of_cycle = |run: &usize| {
            let cycle = self.cycle_of_run(*run);
            said.cycle.or_else(|| cycle) == cycle
        };
        let open = || (0..self.runs.len()).filter(of_worker).filter(of_cycle);
        let silent = open().find(|run| !self.runs[*run].is_reported);
        silent.or_else(|| open().find(|run| !self.runs[*run].has_final_report))
    }

    fn report(&mut self, run: usize, r#type: usize) {
        self.runs[run].is_reported = true;
        self.runs[run].has_final_report = TYPES[r#type] != "sucess";
    }

    fn is_retried(&self, run: usize, r#type: usize) -> bool {
        let has_failed = TYPES[r#type] == "crash" || TYPES[r#type].starts_with("failure");
        let is_tried = self.runs.iter().any(|other| other.retry_of == Some(run) && !other.is_closed());
        let is_cancelled = self.cycle_of_run(run).is_some_and(|cycle| self.is_cancelled(cycle));
        let run = &self.runs[run];
        let retries = run.launch.retries.or(CONFIGS[self.config][run.launch.worker].2).unwrap_or(0);
        has_failed && !is_tried && !is_cancelled && !run.is_killed && run.attempt <= retries
    }

    /// Launches what may be launched by now: after each record.
    pub fn admit(&mut self) {
        let mut due: Vec<usize> = (0..self.runs.len())
            .filter(|run| self.runs[*run].is_waiting() && self.due_of(*run) <= self.now.passed)
            .collect();
        due.sort_by_key(|run| (self.due_of(*run), *run));
        for run in due {
            if self.may_go(run) {
                self.runs[run].launched = Some(self.now);
                self.done.launched.push(run);
            }
        }
    }

    pub fn may_go(&self, run: usize) -> bool {
        let Run { launch, retry_of, .. } = &self.runs[run];
        let is_held = self.holds.iter().any(|hold| {
            !hold.is_over
                && match hold.held {
                    Held::All => true,
                    Held::Worker(worker) => worker == launch.worker,
                    Held::Far => launch.is_far,
                }
        });
        let others = self.running(launch.worker);
        let is_full = CONFIGS[self.config][launch.worker].0.is_some_and(|limit| others >= limit as usize);
        !is_held
            && !is_full
            && !self.is_limited(run)
            && !retry_of.is_some_and(|before| self.runs[before].is_running())
    }

    pub fn running(&self, worker: usize) -> usize {
        self.runs.iter().filter(|run| run.is_running() && run.launch.worker == worker).count()
    }

    /// The manager looks at what is due.
    pub fn due(&mut self) {
        self.follow_clock();
        for run in 0..self.runs.len() {
            let Run { launch, launched, .. } = &self.runs[run];
            let limit = launch.timeout.or(CONFIGS[self.config][launch.worker].1);
            let is_over = limit
                .zip(*launched)
                .is_some_and(|(limit, launched)| launched.passed + limit <= self.now.passed);
            if self.runs[run].is_running() && is_over && !self.runs[run].is_stopping {
                self.runs[run].is_stopping = true;
                self.done.stopped.push(run);
            }
        }
        for join in 0..self.joins.len() {
            if self.joins[join].is_open()
                && self.joins[join].deadline.is_some_and(|deadline| deadline <= self.now.passed)
            {
                self.close_and_park(join);
            }
        }
        for hold in &mut self.holds {
            hold.is_over |= hold.until.is_some_and(|until| until <= self.now.wall);
            hold.is_over |= hold.ends.is_some_and(|ends| ends <= self.now.passed);
        }
        self.judge();
        // The configuration may name another message.
        for cycle in (0..CYCLES.len()).filter(|cycle| self.marks[*cycle].is_none()).collect::<Vec<_>>() {
            self.mark_if_done(cycle);
        }
        self.admit();
        let is_silent = |run: &Run| {
            run.ended.is_some_and(|ended| ended.passed + GRACE <= self.now.passed)
                && !run.is_reported
                && !run.is_closed()
        };
        let silent: Vec<usize> = (0..self.runs.len()).filter(|run| is_silent(&self.runs[*run])).collect();
        for run in silent {
            let crash = 3;
            let said = Said { run: Some(NamedRun::MadeFor(run)), ..Said::default() };
            self.message(self.runs[run].launch.worker, crash, None, said);
            self.admit();
        }
    }

    pub fn kill(&mut self, run: usize) {
        self.runs[run].is_stopping = true;
        self.runs[run].is_killed = true;
        self.done.stopped.push(run);
    }
}

pub fn name_of(asked: &Join, worker: usize) -> String {
    asked.name.map_or(crate::model::plan::WORKERS[worker].to_owned(), |name| format!("join {name}"))
}

/// The run that a message names.
#[derive(Debug, Clone, Copy)]
pub enum NamedRun {
    /// By its number.
    Run(usize),
    /// A number that does not belong to a run.
    Unknown,
    /// The message is made for it.
    MadeFor(usize),
}

/// What a message says of its run and its cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    pub run: Option<NamedRun>,
    pub cycle: SaidCycle,
}

impl Said {
    fn label(self) -> Option<usize> {
        self.cycle.or_else(|| None)
    }
}
