//! What the model knows of runs, messages, joins and holds. It decides nothing.

use crate::model::plan::{Held, Join, Launch, RequirementPlan};

/// A moment: the seconds that have passed since the day began, those that the wall clock shows, and the boot of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct When {
    pub passed: i64,
    pub wall: i64,
    pub boot: u128,
}

/// Where a launch comes from, and where it is.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // A plain list of facts is what this is.
pub struct Run {
    pub launch: Launch,
    /// When its delay is over, in seconds that have passed.
    pub due: i64,
    /// The time of the wall clock that it waits for instead.
    pub at: Option<i64>,
    /// The message whose rule returned it.
    pub after: Option<usize>,
    pub attempt: u32,
    pub retry_of: Option<usize>,
    /// The join by cycle or since a moment whose own launch it is.
    pub join: Option<usize>,
    /// The first run of its chain, if a rewind repeats that.
    pub repeats: Option<usize>,
    pub launched: Option<When>,
    pub ended: Option<When>,
    pub is_discarded: bool,
    pub is_reported: bool,
    /// Its last report is of a type that is final.
    pub has_final_report: bool,
    pub is_stopping: bool,
    pub is_killed: bool,
}

impl Run {
    pub fn is_running(&self) -> bool {
        self.launched.is_some() && self.ended.is_none()
    }

    pub fn is_waiting(&self) -> bool {
        self.launched.is_none() && !self.is_discarded
    }

    pub fn is_closed(&self) -> bool {
        self.is_discarded || self.ended.is_some() && (self.is_reported || self.launch.is_debug)
    }
}

/// A message that was decided, in the order of the records.
#[derive(Debug, Clone)]
pub struct Message {
    pub worker: usize,
    pub r#type: usize,
    pub at: When,
    pub run: Option<usize>,
    /// The cycle that its sender names.
    pub named: Option<usize>,
    pub outcome: Outcome,
    /// The first run of its run's chain; `None` without a run.
    pub chain: Option<usize>,
    /// The run with which it counts: its own, or the closed one that it names.
    pub counts_for: Option<usize>,
    /// The message of which this is a retry.
    pub retries: Option<usize>,
    /// How many messages there were when a rewind forgot it.
    pub forgotten: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    Ruled,
    Failed,
    Missing,
    Refused,
    Answered,
    Cleared,
    Retried(usize),
    Undecided,
}

/// A launch that is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    pub launch: Launch,
    /// The message whose rule returned it.
    pub after: usize,
    /// The join by cycle or since a moment whose own launch it is.
    pub join: Option<usize>,
}

/// A launch that is parked, since its cycle is cancelled.
#[derive(Debug, Clone)]
pub struct ParkedLaunch {
    pub wish: Wish,
    pub is_over: bool,
}

/// Why a cycle takes no slots, or what an operator said of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    Done,
    Cancelled,
    Skipped,
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    Completed,
    Released,
    TimedOut,
    Discarded,
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct OpenJoin {
    pub name: String,
    pub asked: Join,
    pub opened_by: usize,
    /// With the messages whose rules returned them.
    pub waiting: Vec<Wish>,
    pub deadline: Option<i64>,
    /// How many times it was opened.
    pub times: usize,
    /// How it ended; `None` while it is open.
    pub end: Option<End>,
    /// Whether what waited in it is parked.
    pub is_parked: bool,
    /// Whether it ever was.
    pub was_parked: bool,
    /// What one that is identified still waits for, and the messages that count in it.
    pub missing: Vec<RequirementPlan>,
    pub counted: Vec<usize>,
}

impl OpenJoin {
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub fn is_identified(&self) -> bool {
        self.asked.scope.is_some()
    }
}

#[derive(Debug, Clone)]
pub struct Hold {
    pub held: Held,
    /// By the wall clock.
    pub until: Option<i64>,
    /// In seconds that have passed.
    pub ends: Option<i64>,
    pub is_over: bool,
}

/// What is known of a worker's messages of one type that must come in time.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub worker: usize,
    pub r#type: usize,
    /// Since when they are noticed, and from which message on.
    pub since: When,
    pub first_message: usize,
    /// Every time up to that one was judged.
    pub judged: i64,
    /// The last time by which none had come, until one does.
    pub late: Option<i64>,
}

/// What was done by one event.
#[derive(Debug, Default, PartialEq)]
pub struct Done {
    pub launched: Vec<usize>,
    pub stopped: Vec<usize>,
    /// The workers of messages that are late, and by when they were expected.
    pub late: Vec<(usize, i64)>,
    /// The times that the rules were shown.
    pub called: Vec<i64>,
}
