//! The cycle of a launch and of a message. Nothing else derives one.

use crate::cycle::{Cycle, CycleOption};
use crate::run::Run;

/// Return the cycle of a launch: the one that the launch says, else that of the message whose rule returned it.
pub(super) fn launch(said: Option<&CycleOption>, message: Option<&Cycle>) -> Option<Cycle> {
    match said {
        Some(CycleOption::Label(cycle)) => Some(cycle.clone()),
        Some(CycleOption::None) => None,
        None => message.cloned(),
    }
}

/// Return the cycle of a message: that of its run, even if that is none; without a run, the one that its sender names.
pub(super) fn message(run: Option<&Run>, named: Option<&Cycle>) -> Option<Cycle> {
    run.map_or_else(|| named.cloned(), |run| run.cycle.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_has_the_cycle_that_it_says_else_that_of_the_message() {
        let [said, message] = ["12", "11"].map(|label| Cycle::parse(label).unwrap());
        assert_eq!(launch(Some(&CycleOption::Label(said.clone())), Some(&message)), Some(said));
        assert_eq!(launch(Some(&CycleOption::None), Some(&message)), None);
        assert_eq!(launch(None, Some(&message)), Some(message));
        assert_eq!(launch(None, None), None);
    }
}
