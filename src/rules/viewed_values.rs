//! [`ViewedValues`]: the values behind the views of one call.
//!
//! Lua's garbage collector does not know the size of these values and may keep a view for thousands of messages. So a view
//! holds a [`Handle`] only, and the values are freed when the call ends.

use std::cell::{Cell, RefCell};

use super::explain::MissedKey;
use super::reads::{KeyFound, ReadNode, Reads};
use pyyaml::Value;

/// More places than this are not kept for the next call.
const KEPT_PLACES: usize = 1_000;

/// Where a value stands in the checklist, if its reads are of interest.
#[derive(Debug, Clone, Default)]
pub(super) enum ViewPlace {
    /// Not in the checklist.
    #[default]
    Elsewhere,
    At(ReadNode),
    /// Under a key of a part; noted only when it is looked into.
    Below(ReadNode, Value),
}

/// The values that the views of the running call look at.
#[derive(Debug, Default)]
pub(super) struct ViewedValues {
    call: Cell<u64>,
    values: RefCell<Vec<(Value, ViewPlace)>>,
    free: RefCell<Vec<usize>>,
    reads: RefCell<Reads>,
    /// The last look that found nothing.
    missed: RefCell<Option<MissedKey>>,
}

/// A value of one call's snapshot.
#[derive(Debug)]
pub(super) struct Handle {
    call: u64,
    place: usize,
}

impl ViewedValues {
    /// Keeps a value until its handle is released or the call ends.
    pub(super) fn keep(&self, value: Value, place: ViewPlace) -> Handle {
        let mut values = self.values.borrow_mut();
        let call = self.call.get();
        if let Some(free) = self.free.borrow_mut().pop()
            && let Some(slot) = values.get_mut(free)
        {
            *slot = (value, place);
            return Handle { call, place: free };
        }
        values.push((value, place));
        Handle { call, place: values.len() - 1 }
    }

    /// The value; `None` once its call has ended.
    pub(super) fn get(&self, handle: &Handle) -> Option<Value> {
        if handle.call != self.call.get() {
            return None;
        }
        self.values.borrow().get(handle.place).map(|(value, _)| value.clone())
    }

    /// The place of the checklist itself.
    pub(super) fn checklist(&self) -> ViewPlace {
        ViewPlace::At(self.reads.borrow_mut().root())
    }

    /// The part of the checklist that a value is; `None` for other values, and once enough is noted.
    fn node(&self, handle: &Handle) -> Option<ReadNode> {
        let mut values = self.values.borrow_mut();
        let (_, place) = values.get_mut(handle.place).filter(|_| handle.call == self.call.get())?;
        let mut reads = self.reads.borrow_mut();
        match place {
            ViewPlace::Elsewhere => None,
            _ if reads.is_full() => None,
            ViewPlace::At(node) => Some(*node),
            ViewPlace::Below(parent, key) => {
                let node = reads.below(*parent, key);
                *place = ViewPlace::At(node);
                Some(node)
            }
        }
    }

    /// Notes a look at a key of `seen`; answers the place of what was found.
    pub(super) fn note_read(&self, handle: &Handle, seen: &Value, key: &Value, found: KeyFound) -> ViewPlace {
        let Some(node) = self.node(handle) else { return ViewPlace::Elsewhere };
        let mut reads = self.reads.borrow_mut();
        // A list that was walked through says more than its numbers do.
        if matches!(seen, Value::List(_)) && reads.is_walked(node) {
            ViewPlace::Below(node, key.clone())
        } else {
            ViewPlace::At(reads.note_read(node, key, found))
        }
    }

    /// Notes a look that found nothing, or null.
    pub(super) fn miss(&self, handle: &Handle, container: &Value, key: &Value) {
        let path = self.node(handle).map(|node| self.reads.borrow().path(node));
        *self.missed.borrow_mut() = Some(MissedKey { container: container.clone(), key: key.clone(), path });
    }

    /// Takes the last look that found nothing.
    pub(super) fn take_missed(&self) -> Option<MissedKey> {
        self.missed.take()
    }

    /// Notes that a value was gone through or counted.
    pub(super) fn walk(&self, handle: &Handle) {
        if let Some(node) = self.node(handle) {
            self.reads.borrow_mut().walk(node);
        }
    }

    /// The place of an entry that is come by on a walk.
    pub(super) fn below(&self, handle: &Handle, key: &Value) -> ViewPlace {
        self.node(handle).map_or(ViewPlace::Elsewhere, |node| ViewPlace::Below(node, key.clone()))
    }

    /// Takes the parts of the checklist that the call has looked at.
    pub(super) fn take_reads(&self) -> Vec<String> {
        let mut reads = self.reads.borrow_mut();
        let list = reads.list();
        reads.clear();
        list
    }

    /// Gives a handle's place to the next value.
    pub(super) fn release(&self, handle: &Handle) {
        if handle.call == self.call.get()
            && let Some(slot) = self.values.borrow_mut().get_mut(handle.place)
        {
            *slot = (Value::Null, ViewPlace::Elsewhere);
            self.free.borrow_mut().push(handle.place);
        }
    }

    /// Ends the call: its views look at nothing any more.
    pub(super) fn end(&self) {
        self.call.set(self.call.get() + 1);
        let mut values = self.values.borrow_mut();
        values.clear();
        values.shrink_to(KEPT_PLACES);
        let mut free = self.free.borrow_mut();
        free.clear();
        free.shrink_to(KEPT_PLACES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_with_their_call_and_places_are_used_again() {
        let snapshot = ViewedValues::default();
        let keep = |number| snapshot.keep(Value::Int(number), ViewPlace::Elsewhere);
        let (one, two) = (keep(1), keep(2));
        snapshot.release(&one);
        let three = keep(3);
        assert_eq!(
            (three.place, snapshot.get(&three), snapshot.get(&two)),
            (0, Some(Value::Int(3)), Some(Value::Int(2)))
        );
        snapshot.end();
        assert_eq!((snapshot.get(&two), snapshot.get(&three)), (None, None));
        let four = keep(4);
        snapshot.release(&two);
        assert_eq!(snapshot.get(&four), Some(Value::Int(4)), "an old handle frees nothing");
    }
}
