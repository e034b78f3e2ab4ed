//! Which events and runs of the history are asked for.

use jiff::Timestamp;

use nowcast_core::Number;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Messages of that worker only.
    pub worker: Option<String>,
    /// Messages of that type only.
    pub r#type: Option<String>,
    /// Messages of that cycle only.
    pub cycle: Option<String>,
    /// From one event to another.
    pub within: Option<(Number, Number)>,
    /// Events of that kind only.
    pub kind: Option<EventKind>,
    /// Not before that time, by the clock as it is set now.
    pub since: Option<Timestamp>,
    /// Before that time.
    pub until: Option<Timestamp>,
    /// With a lower number than this.
    pub before: Option<Number>,
    /// The newest so many; all without it.
    pub limit: Option<u32>,
}

impl EventFilter {
    /// The messages of a worker and type.
    #[must_use]
    pub fn of_messages(worker: &str, r#type: &str) -> Self {
        let (worker, r#type) = (Some(worker.to_owned()), Some(r#type.to_owned()));
        Self { worker, r#type, kind: Some(EventKind::Message), ..Self::default() }
    }
}

/// The kind of an event: the variants of [`nowcast_core::record::RecordedEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they stand at the variants of `RecordedEvent`")]
pub enum EventKind {
    Message,
    RunEnded,
    Due,
    Forecast,
    Command,
    RulesLoaded,
    RulesRefused,
    ChecklistRead,
    ClockSet,
}

impl EventKind {
    /// Its name in the database and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Message => "message",
            EventKind::RunEnded => "run_ended",
            EventKind::Due => "due",
            EventKind::Forecast => "forecast",
            EventKind::Command => "command",
            EventKind::RulesLoaded => "rules_loaded",
            EventKind::RulesRefused => "rules_refused",
            EventKind::ChecklistRead => "checklist_read",
            EventKind::ClockSet => "clock_set",
        }
    }
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of that worker only.
    pub worker: Option<String>,
    /// Of that cycle only.
    pub cycle: Option<String>,
    /// Wanted by the events from one to another.
    pub within: Option<(Number, Number)>,
    /// How they stand.
    pub state: RunState,
    /// Not wanted before that time, by the clock as it is set now.
    pub since: Option<Timestamp>,
    /// With a lower number than this.
    pub before: Option<Number>,
    /// The newest so many; all without it.
    pub limit: Option<u32>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// However it does.
    #[default]
    Any,
    /// Something is still to come of it.
    Open,
    /// It ended badly, could not be started, or reported a failure or a crash.
    Failed,
}
