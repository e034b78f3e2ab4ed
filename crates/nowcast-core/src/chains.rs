//! [`Chains`]: the chains of a worker in blocks, so that a copy that gets a message shares the blocks of earlier ones. A forecast copies the
//! notes for each simulated day, and a day changes few of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::clock::{CLOCK_STEP, Now, Steady};
use crate::run::{Number, RunId};

/// The messages of a chain that count: those of its latest run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The latest run; `None` for a message without a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Its messages, one for each type, oldest first.
    pub messages: Vec<ChainMessage>,
}

/// A message of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainMessage {
    /// The event.
    pub message: Number,
    /// The message type.
    pub r#type: String,
    /// When it was received, by the wall clock.
    pub at: Timestamp,
    /// When that was in steady time; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
}

impl ChainMessage {
    /// Return when it was received, by the wall clock as it is set now.
    #[must_use]
    pub fn received_at(&self, now: Now) -> Timestamp {
        let shown = now.wall_of(self.at, self.steady);
        // Both clocks are read one after the other, so without a step the recorded time is the exact one.
        let is_set = shown.duration_since(self.at).abs() >= CLOCK_STEP;
        if is_set { shown } else { self.at }
    }
}

/// How many numbers a block spans: those of a few days.
const BLOCK: u64 = 2_048;

/// A block: never empty.
type Block = BTreeMap<Number, Arc<Chain>>;

/// Chains by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<Number, Chain>")]
pub(crate) struct Chains {
    /// By number, divided by [`BLOCK`].
    blocks: BTreeMap<u64, Arc<Block>>,
    count: usize,
}

impl From<BTreeMap<Number, Chain>> for Chains {
    fn from(all: BTreeMap<Number, Chain>) -> Self {
        let mut chains = Self::default();
        for (number, chain) in all {
            chains.entry(number, || chain);
        }
        chains
    }
}

impl Serialize for Chains {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Chains {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Return the chains, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Number, &Chain)> {
        self.blocks.values().flat_map(|block| block.iter()).map(|(number, chain)| (*number, &**chain))
    }

    pub(crate) fn get(&self, number: Number) -> Option<&Chain> {
        self.blocks.get(&block_of(number))?.get(&number).map(|chain| &**chain)
    }

    /// Return a chain to change, a new one if it is not known.
    pub(crate) fn entry(&mut self, number: Number, new: impl FnOnce() -> Chain) -> &mut Chain {
        let block = Arc::make_mut(self.blocks.entry(block_of(number)).or_default());
        let count = &mut self.count;
        Arc::make_mut(block.entry(number).or_insert_with(|| {
            *count += 1;
            Arc::new(new())
        }))
    }

    pub(crate) fn remove(&mut self, number: Number) -> Option<Arc<Chain>> {
        let block = Arc::make_mut(self.blocks.get_mut(&block_of(number))?);
        let removed = block.remove(&number)?;
        if block.is_empty() {
            self.blocks.remove(&block_of(number));
        }
        self.count -= 1;
        Some(removed)
    }

    /// Change all chains, and keep those for which this returns true.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&mut Chain) -> bool) {
        self.blocks.retain(|_, block| {
            let block = Arc::make_mut(block);
            block.retain(|_, chain| is_kept(Arc::make_mut(chain)));
            !block.is_empty()
        });
        self.count = self.blocks.values().map(|block| block.len()).sum();
    }
}

fn block_of(number: Number) -> u64 {
    number.0 / BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(run: u64) -> Chain {
        Chain { run: Some(Number(run)), messages: Vec::new() }
    }

    fn numbers(chains: &Chains) -> Vec<u64> {
        chains.iter().map(|(number, _)| number.0).collect()
    }

    #[test]
    fn a_copy_shares_what_it_does_not_change_and_sees_no_later_chain() {
        let mut chains = Chains::default();
        for number in [1, 2, BLOCK, 5 * BLOCK] {
            chains.entry(Number(number), || chain(number));
        }
        let copy = chains.clone();
        chains.entry(Number(2), || chain(2)).run = Some(Number(7));
        chains.entry(Number(3), || chain(3));
        assert!(chains.remove(Number(5 * BLOCK)).is_some());
        assert_eq!((numbers(&chains), chains.len()), (vec![1, 2, 3, BLOCK], 4));
        assert_eq!((numbers(&copy), copy.len()), (vec![1, 2, BLOCK, 5 * BLOCK], 4));
        assert_eq!(copy.get(Number(2)), Some(&chain(2)));
        assert_eq!(chains.get(Number(2)), Some(&chain(7)));
        let is_shared = |block: u64| Arc::ptr_eq(&chains.blocks[&block], &copy.blocks[&block]);
        assert_eq!([0, 1].map(is_shared), [false, true]);
    }

    #[test]
    fn removed_chains_leave_nothing_behind() {
        let mut chains = Chains::default();
        for number in [BLOCK, 1, 3] {
            chains.entry(Number(number), || chain(number));
        }
        chains.retain(|chain| chain.run != Some(Number(BLOCK)));
        assert!(chains.remove(Number(3)).is_some() && chains.remove(Number(3)).is_none());
        assert_eq!((chains.len(), chains.is_empty()), (1, false));
        assert_eq!(chains, Chains::from(BTreeMap::from([(Number(1), chain(1))])));
        assert!(chains.remove(Number(1)).is_some());
        assert_eq!((chains.is_empty(), chains), (true, Chains::default()));
    }
}
