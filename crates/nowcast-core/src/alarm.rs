//! [`Alarm`]: the kinds of things that somebody has to look at.

/// What somebody has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// A worker crashed, or ended without a report.
    Crash,
    /// A worker reported a failure.
    Failure,
    /// A message is parked because its rule failed, or has no rule; or launches are parked because their join was
    /// opened again.
    Parked,
    /// A join is overdue; what waited in it is parked.
    OverdueJoin,
    /// A run could not be started.
    NotLaunched,
    /// A run took longer than its time limit and is ended.
    Timeout,
    /// An expected message did not come in time.
    Late,
    /// Changed rules were refused.
    RefusedRules,
    /// The manager cannot do its own work: its journal or the checklist file cannot be written.
    ManagerFailure,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Alarm; 9] = [
        Alarm::Crash,
        Alarm::Failure,
        Alarm::Parked,
        Alarm::OverdueJoin,
        Alarm::NotLaunched,
        Alarm::Timeout,
        Alarm::Late,
        Alarm::RefusedRules,
        Alarm::ManagerFailure,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Alarm::Crash => "crash",
            Alarm::Failure => "failure",
            Alarm::Parked => "parked",
            Alarm::OverdueJoin => "overdue join",
            Alarm::NotLaunched => "not launched",
            Alarm::Timeout => "timeout",
            Alarm::Late => "late",
            Alarm::RefusedRules => "refused rules",
            Alarm::ManagerFailure => "trouble",
        }
    }
}
