//! Waits until the manager's journal shows that new rules are in force or refused.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::journal::RulesInForce;
use crate::store::{History, JournalError};

/// The interval between reads of the journal.
const READ_PAUSE: Duration = Duration::from_millis(50);

/// The time for which a refusal must last: a manager reads the files every second.
const REFUSAL_STAYS: Duration = Duration::from_millis(2_500);

/// The journal before the files were exchanged.
#[derive(Debug, Clone, Copy)]
pub struct JournalBefore {
    /// Its last event.
    last_event: u64,
}

/// The manager's response to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployOutcome {
    /// They are in force as this generation.
    InForce(u64),
    /// They were refused for this reason.
    Refused(String),
    /// There is no response yet.
    NotYet,
}

impl JournalBefore {
    /// Read the journal in a folder.
    ///
    /// # Errors
    ///
    /// When there is a journal that cannot be read.
    pub fn read(folder: &Path) -> Result<Self, JournalError> {
        let last_event = match History::open(folder) {
            Ok(history) => history.last_event()?.0,
            Err(JournalError::None { .. }) => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { last_event })
    }
}

/// Wait up to `timeout` for the manager's response to the rules with this hash. A refusal must last to count.
///
/// # Errors
///
/// When the journal cannot be read.
pub fn wait(
    folder: &Path,
    hash: &str,
    before: JournalBefore,
    timeout: Duration,
) -> Result<DeployOutcome, JournalError> {
    let read = || match History::open(folder) {
        Ok(history) => history.rules_in_force(),
        Err(JournalError::None { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let pause = || std::thread::sleep(READ_PAUSE);
    wait_with(read, pause, &WaitTimes { all: timeout, after_refusal: REFUSAL_STAYS }, hash, before)
}

/// The time limits of a wait.
struct WaitTimes {
    all: Duration,
    after_refusal: Duration,
}

/// Wait as [`wait`] does. A manager that read the files during the exchange may have refused them; it reads them again.
fn wait_with(
    mut read: impl FnMut() -> Result<Option<RulesInForce>, JournalError>,
    pause: impl Fn(),
    times: &WaitTimes,
    hash: &str,
    before: JournalBefore,
) -> Result<DeployOutcome, JournalError> {
    let mut end = Instant::now() + times.all;
    let mut is_refused = false;
    loop {
        let mut outcome = DeployOutcome::NotYet;
        if let Some(RulesInForce { generation, hash: of, refused, .. }) = read()? {
            match refused {
                Some((event, reason)) if event.0 > before.last_event => {
                    outcome = DeployOutcome::Refused(reason);
                }
                None if of == hash => return Ok(DeployOutcome::InForce(generation)),
                // The previous rules are in force, or an older refusal is not yet withdrawn.
                _ => {}
            }
        }
        if matches!(outcome, DeployOutcome::Refused(_)) && !is_refused {
            is_refused = true;
            end = Instant::now() + times.after_refusal;
        }
        if Instant::now() >= end {
            return Ok(outcome);
        }
        pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_core::Number;

    const SOON: WaitTimes =
        WaitTimes { all: Duration::from_secs(60), after_refusal: Duration::from_secs(60) };
    const NOW: WaitTimes = WaitTimes { all: Duration::from_secs(60), after_refusal: Duration::ZERO };

    fn rules(generation: u64, hash: &str, refused: Option<u64>) -> RulesInForce {
        RulesInForce {
            generation,
            hash: hash.to_owned(),
            loaded_by: Number(1),
            loaded_at: None,
            refused: refused.map(|event| (Number(event), "half".to_owned())),
        }
    }

    #[test]
    fn a_refusal_in_the_middle_of_an_exchange_is_not_the_end() {
        let mut reads = [rules(1, "old", None), rules(1, "old", Some(9)), rules(2, "new", None)].into_iter();
        let outcome = wait_with(|| Ok(reads.next()), || (), &SOON, "new", JournalBefore { last_event: 8 });
        assert_eq!(outcome.unwrap(), DeployOutcome::InForce(2));
    }

    #[test]
    fn only_a_new_and_lasting_refusal_counts() {
        let read = || Ok(Some(rules(1, "old", Some(9))));
        let outcome = wait_with(read, || (), &NOW, "new", JournalBefore { last_event: 8 });
        assert_eq!(outcome.unwrap(), DeployOutcome::Refused("half".to_owned()));
        let never = WaitTimes { all: Duration::ZERO, ..NOW };
        let outcome = wait_with(read, || (), &never, "new", JournalBefore { last_event: 9 });
        assert_eq!(outcome.unwrap(), DeployOutcome::NotYet);
    }
}
