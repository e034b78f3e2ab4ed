//! [`Alarm`]: the kinds of problems that need an operator.

/// A kind of problem that needs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// A worker crashed, or ended without a report.
    Crash,
    /// A worker reported a failure.
    Failure,
    /// A message is parked because its rule failed or is missing, or launches are parked because their join was
    /// reopened.
    Parked,
    /// A join is overdue, and its pending launches are parked.
    OverdueJoin,
    /// A join by cycle or since a moment was requested differently from before.
    JoinConflict,
    /// A run could not be started.
    NotLaunched,
    /// A run exceeded its timeout, and its stop was requested.
    Timeout,
    /// An expected message did not come in time.
    Late,
    /// An expected message will probably not come in time.
    AtRisk,
    /// Changed rules were refused.
    RefusedRules,
    /// The manager cannot write its journal or the checklist file.
    ManagerFailure,
}

impl Alarm {
    /// All kinds.
    pub const ALL: [Alarm; 11] = [
        Alarm::Crash,
        Alarm::Failure,
        Alarm::Parked,
        Alarm::OverdueJoin,
        Alarm::JoinConflict,
        Alarm::NotLaunched,
        Alarm::Timeout,
        Alarm::Late,
        Alarm::AtRisk,
        Alarm::RefusedRules,
        Alarm::ManagerFailure,
    ];

    /// Return its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Alarm::Crash => "crash",
            Alarm::Failure => "failure",
            Alarm::Parked => "parked",
            Alarm::OverdueJoin => "overdue join",
            Alarm::JoinConflict => "join conflict",
            Alarm::NotLaunched => "not launched",
            Alarm::Timeout => "timeout",
            Alarm::Late => "late",
            Alarm::AtRisk => "at risk",
            Alarm::RefusedRules => "refused rules",
            Alarm::ManagerFailure => "trouble",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let names = Alarm::ALL.map(Alarm::name);
        assert_eq!(
            names,
            [
                "crash",
                "failure",
                "parked",
                "overdue join",
                "join conflict",
                "not launched",
                "timeout",
                "late",
                "at risk",
                "refused rules",
                "trouble"
            ]
        );
    }
}
