//! [`KnownFutures`]: futures that were simulated, by the choices that led to them. A draw that would choose the same is the same future,
//! and there are no more of them than past cycles when one cycle is to come.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chance::{Chance, Choice};
use super::simulate::Trace;

/// The futures that are known.
#[derive(Debug, Default)]
pub struct KnownFutures {
    /// A tree. The first node is its root.
    nodes: Vec<ChoiceNode>,
}

/// What comes after some choices.
#[derive(Debug, Default)]
struct ChoiceNode {
    /// The next choice; `None` if there is none, or if it is not known.
    choice: Option<Choice>,
    /// The nodes after that, by what was picked.
    next: BTreeMap<usize, usize>,
    /// The future without another choice.
    trace: Option<Arc<Trace>>,
}

impl KnownFutures {
    /// Return the future of a draw, if it is known.
    #[must_use]
    pub fn find(&self, chance: Chance) -> Option<Arc<Trace>> {
        let mut node = self.nodes.first()?;
        while let Some(choice) = node.choice {
            node = &self.nodes[*node.next.get(&chance.pick(choice))?];
        }
        node.trace.clone()
    }

    /// Add a future with the choices that led to it, in their order.
    pub fn add(&mut self, chosen: &[(Choice, usize)], trace: Arc<Trace>) {
        if self.nodes.is_empty() {
            self.nodes.push(ChoiceNode::default());
        }
        let mut at = 0;
        for (choice, picked) in chosen {
            self.nodes[at].choice = Some(*choice);
            let new = self.nodes.len();
            let next = *self.nodes[at].next.entry(*picked).or_insert(new);
            if next == new {
                self.nodes.push(ChoiceNode::default());
            }
            at = next;
        }
        self.nodes[at].trace = Some(trace);
    }
}
