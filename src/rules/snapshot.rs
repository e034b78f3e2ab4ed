//! What the views of one call look at.
//!
//! A view is garbage of Lua's, which knows nothing of the size of what it looks at and may keep it
//! for thousands of messages. So views hold a [`Handle`] only, and the values go when the call ends.

use std::cell::{Cell, RefCell};

use crate::yaml::Value;

/// More places than this are not kept for the next call.
const KEPT_PLACES: usize = 1_000;

/// The values that the views of the running call look at.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    call: Cell<u64>,
    values: RefCell<Vec<Value>>,
    free: RefCell<Vec<usize>>,
}

/// A value of one call's snapshot.
#[derive(Debug)]
pub(super) struct Handle {
    call: u64,
    place: usize,
}

impl Snapshot {
    /// Keeps a value until its handle is released or the call ends.
    pub(super) fn keep(&self, value: Value) -> Handle {
        let mut values = self.values.borrow_mut();
        let call = self.call.get();
        if let Some(place) = self.free.borrow_mut().pop()
            && let Some(slot) = values.get_mut(place)
        {
            *slot = value;
            return Handle { call, place };
        }
        values.push(value);
        Handle { call, place: values.len() - 1 }
    }

    /// The value; `None` once its call has ended.
    pub(super) fn get(&self, handle: &Handle) -> Option<Value> {
        if handle.call == self.call.get() { self.values.borrow().get(handle.place).cloned() } else { None }
    }

    /// Gives a handle's place to the next value.
    pub(super) fn release(&self, handle: &Handle) {
        if handle.call == self.call.get()
            && let Some(slot) = self.values.borrow_mut().get_mut(handle.place)
        {
            *slot = Value::Null;
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
        let snapshot = Snapshot::default();
        let (one, two) = (snapshot.keep(Value::Int(1)), snapshot.keep(Value::Int(2)));
        snapshot.release(&one);
        let three = snapshot.keep(Value::Int(3));
        assert_eq!(
            (three.place, snapshot.get(&three), snapshot.get(&two)),
            (0, Some(Value::Int(3)), Some(Value::Int(2)))
        );
        snapshot.end();
        assert_eq!((snapshot.get(&two), snapshot.get(&three)), (None, None));
        let four = snapshot.keep(Value::Int(4));
        snapshot.release(&two);
        assert_eq!(snapshot.get(&four), Some(Value::Int(4)), "an old handle frees nothing");
    }
}
