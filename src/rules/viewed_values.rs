//! [`ViewedValues`]: the values behind the views of one call.
//!
//! Lua's garbage collector does not know the size of these values and may keep a view for thousands of messages. So a
//! view holds a [`Handle`] only, and the values are freed when the call ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::explain::MissedKey;
use super::reads::{KeyFound, ReadNode, Reads};
use pyyaml::Value;

/// The most slots whose memory is kept for the next call.
const KEPT_PLACES: usize = 1_000;

/// The place of a value in the checklist, if its reads are recorded.
#[derive(Debug, Clone, Default)]
pub(super) enum ViewPlace {
    /// Not in the checklist.
    #[default]
    Elsewhere,
    /// The message.
    Message,
    At(ReadNode),
    /// Under a key of a part; recorded only when something in it is read.
    Below(ReadNode, Value),
}

/// The values behind the views of the running call.
#[derive(Debug, Default)]
pub(super) struct ViewedValues {
    call: Cell<u64>,
    /// The memory of the rules outside of the virtual machine, to which the slots are added.
    outside: Rc<Cell<usize>>,
    values: RefCell<Vec<(Value, ViewPlace)>>,
    free: RefCell<Vec<usize>>,
    reads: RefCell<Reads>,
    /// The last lookup that found nothing, or null.
    missed: RefCell<Option<MissedKey>>,
    /// Whether the rule looked for the cycle of a message that has none.
    misses_cycle: Cell<bool>,
}

/// A reference to a value of one call.
#[derive(Debug)]
pub(super) struct Handle {
    call: u64,
    place: usize,
}

/// The bytes of a slot.
const SLOT: usize = size_of::<(Value, ViewPlace)>();

impl ViewedValues {
    /// Create an empty snapshot, the slots of which are counted in `outside`.
    pub(super) fn new(outside: Rc<Cell<usize>>) -> Self {
        Self { outside, ..Self::default() }
    }

    /// Keep a value until its handle is released or the call ends.
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
        self.outside.set(self.outside.get().saturating_add(SLOT));
        Handle { call, place: values.len() - 1 }
    }

    /// Return the value; `None` after its call has ended.
    pub(super) fn get(&self, handle: &Handle) -> Option<Value> {
        if handle.call != self.call.get() {
            return None;
        }
        self.values.borrow().get(handle.place).map(|(value, _)| value.clone())
    }

    /// Return the place of the checklist itself.
    pub(super) fn checklist(&self) -> ViewPlace {
        ViewPlace::At(self.reads.borrow_mut().root())
    }

    /// Return the part of the checklist for a value; `None` for other values, and when the record is full.
    fn node(&self, handle: &Handle) -> Option<ReadNode> {
        let mut values = self.values.borrow_mut();
        let (_, place) = values.get_mut(handle.place).filter(|_| handle.call == self.call.get())?;
        let mut reads = self.reads.borrow_mut();
        match place {
            ViewPlace::Elsewhere | ViewPlace::Message => None,
            _ if reads.is_full() => None,
            ViewPlace::At(node) => Some(*node),
            ViewPlace::Below(parent, key) => {
                let node = reads.below(*parent, key);
                *place = ViewPlace::At(node);
                Some(node)
            }
        }
    }

    /// Record a lookup of a key in `seen`. Return the place of the result.
    pub(super) fn note_read(&self, handle: &Handle, seen: &Value, key: &Value, found: KeyFound) -> ViewPlace {
        let Some(node) = self.node(handle) else { return ViewPlace::Elsewhere };
        let mut reads = self.reads.borrow_mut();
        // The list is already recorded as a whole.
        if matches!(seen, Value::List(_)) && reads.is_walked(node) {
            ViewPlace::Below(node, key.clone())
        } else {
            ViewPlace::At(reads.note_read(node, key, found))
        }
    }

    /// Record a lookup that found nothing, or null.
    pub(super) fn miss(&self, handle: &Handle, container: &Value, key: &Value) {
        if key.as_str() == Some("cycle") && self.is_message(handle) {
            self.misses_cycle.set(true);
        }
        let path = self.node(handle).map(|node| self.reads.borrow().path(node));
        *self.missed.borrow_mut() = Some(MissedKey { container: container.clone(), key: key.clone(), path });
    }

    fn is_message(&self, handle: &Handle) -> bool {
        handle.call == self.call.get()
            && matches!(self.values.borrow().get(handle.place), Some((_, ViewPlace::Message)))
    }

    /// Return whether the rule looked for the cycle of a message that has none, and did not write `cycle = false` in a join.
    pub(super) fn take_missing_cycle(&self) -> bool {
        self.misses_cycle.take()
    }

    /// Record that the rule provides for a message without a cycle.
    pub(super) fn accept_missing_cycle(&self) {
        self.misses_cycle.set(false);
    }

    /// Take the last lookup that found nothing, or null.
    pub(super) fn take_missed(&self) -> Option<MissedKey> {
        self.missed.take()
    }

    /// Record that the rule iterated over a value, or counted it.
    pub(super) fn walk(&self, handle: &Handle) {
        if let Some(node) = self.node(handle) {
            self.reads.borrow_mut().walk(node);
        }
    }

    /// Return the place of an entry that an iteration reaches.
    pub(super) fn below(&self, handle: &Handle, key: &Value) -> ViewPlace {
        self.node(handle).map_or(ViewPlace::Elsewhere, |node| ViewPlace::Below(node, key.clone()))
    }

    /// Take the parts of the checklist that the call has read.
    pub(super) fn take_reads(&self) -> Vec<String> {
        let mut reads = self.reads.borrow_mut();
        let list = reads.list();
        reads.clear();
        list
    }

    /// Free the slot of a handle for the next value.
    pub(super) fn release(&self, handle: &Handle) {
        if handle.call == self.call.get()
            && let Some(slot) = self.values.borrow_mut().get_mut(handle.place)
        {
            *slot = (Value::Null, ViewPlace::Elsewhere);
            self.free.borrow_mut().push(handle.place);
        }
    }

    /// End the call: its views lose their values.
    pub(super) fn end(&self) {
        self.call.set(self.call.get() + 1);
        let mut values = self.values.borrow_mut();
        self.outside.set(self.outside.get().saturating_sub(SLOT * values.len()));
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
