//! Decisions: from an event to changes of the state and to effects.
//!
//! This crate is pure: it opens no socket, file or process, reads no clock and draws no random number. The same state,
//! event, rules and time always give the same effects, so a day can be replayed.

pub mod alarm;
mod as_yaml;
mod at_risk;
mod attribution;
mod chains;
pub mod checklist;
pub mod clock;
mod clock_set;
pub mod command;
pub mod commands;
pub mod counted;
pub mod cycle;
pub mod cycle_activity;
pub mod cycle_format;
mod cycle_of;
pub mod cycles;
pub mod decide;
pub mod decision_time;
mod due;
pub mod effect;
pub mod event;
pub mod expected;
mod expecting;
pub mod forecast;
pub mod hold;
pub mod identified_joins;
pub mod join;
pub mod join_identity;
mod joining;
mod joining_identified;
pub mod joins;
pub mod launched_times;
pub mod launches;
pub mod level;
pub mod message;
mod messages;
pub mod next_worker;
pub mod notes;
pub mod notice;
mod notices;
mod noting;
pub mod open_deadline;
pub mod parked;
pub mod policy;
pub mod record;
pub mod requested_launch;
pub mod rewind;
mod rewinding;
pub mod rules;
pub mod run;
pub mod runs;
mod slots;
pub mod state;
pub mod ticket;

pub use alarm::Alarm;
pub use clock::{Clock, ClockReading, Now, Steady, TimePoint};
pub use command::{Answer, Command};
pub use cycle::{Cycle, CycleOption};
pub use cycle_format::CycleFormat;
pub use cycles::Cycles;
pub use decide::{decide, end_if_idle};
pub use decision_time::{BootId, BootTime, DecisionTime, NotedTime};
pub use effect::Effect;
pub use event::{CallId, Event, PoisonRequest, PreviousReply, Request, RequestId, Signal};
pub use expected::AtRisk;
pub use forecast::{ExpectedForecast, TimeRange};
pub use join::Join;
pub use launched_times::LaunchedTimes;
pub use level::Level;
pub use next_worker::{LaunchOptions, NextWorker};
pub use notice::Notice;
pub use open_deadline::OpenDeadline;
pub use policy::{CycleMessage, CyclesPolicy, Expectation, Limits, Policy, RegisteredWorker, RetryDelay};
pub use record::{Change, Record};
pub use requested_launch::RequestedLaunch;
pub use rewind::Rewind;
pub use rules::{
    JoinRequest, LogLine, NoRules, Requirement, ReturnedLaunches, RuleCallResult, RuleError, RuleFile,
    RuleInput, Rules,
};
pub use run::{Ending, Number, Run, RunId};
pub use state::State;
pub use ticket::Ticket;
