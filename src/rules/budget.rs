//! The limits of a running call: a hook that counts instructions and looks at the clock.
//!
//! Lua runs no hook inside a function written in C or Rust. So whatever could run long there is
//! written in Lua (`lua/*.lua`), bounded by its own arithmetic, or charges its steps here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use mlua::{HookTriggers, Lua, VmState};

use super::limits::Limits;

/// Instructions between two looks at the clock. Small, because a single instruction can join two
/// strings of 100 MB.
pub const CHECK_EVERY: u32 = 250;

/// A limit that a call went past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Time,
    Instructions,
    Memory,
}

/// What a call has used of its limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    deadline: Cell<Option<Instant>>,
    left: Cell<u64>,
    passed: Cell<Option<Limit>>,
    traceback: RefCell<String>,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            deadline: Cell::new(None),
            left: Cell::new(0),
            passed: Cell::new(None),
            traceback: RefCell::default(),
        }
    }

    /// Gives the next call its full budget.
    pub(super) fn start(&self) {
        self.deadline.set(Instant::now().checked_add(self.limits.time));
        self.left.set(self.limits.instructions);
        self.passed.set(None);
        self.traceback.borrow_mut().clear();
    }

    /// The limit that the call went past, if any.
    pub(super) fn passed(&self) -> Option<Limit> {
        self.passed.get()
    }

    /// Where the call was when it went past its limit: a Lua traceback.
    pub(super) fn traceback(&self) -> String {
        self.traceback.borrow().clone()
    }

    /// Counts `steps` of work and fails if the call is past a limit.
    pub(super) fn charge(&self, lua: &Lua, steps: u64) -> mlua::Result<()> {
        if self.passed.get().is_none() {
            let left = self.left.get().saturating_sub(steps);
            self.left.set(left);
            if left == 0 {
                self.pass(lua, Limit::Instructions);
            } else if self.deadline.get().is_some_and(|deadline| Instant::now() >= deadline) {
                self.pass(lua, Limit::Time);
            }
        }
        self.check()
    }

    /// Notes that the call went past a limit; from now on every instruction fails.
    pub(super) fn pass(&self, lua: &Lua, limit: Limit) {
        if self.passed.get().is_some() {
            return;
        }
        self.passed.set(Some(limit));
        if let Ok(traceback) = lua.traceback(None, 0) {
            *self.traceback.borrow_mut() = traceback.to_string_lossy();
        }
    }

    /// Fails if the call is past a limit.
    pub(super) fn check(&self) -> mlua::Result<()> {
        match self.passed.get() {
            Some(limit) => Err(mlua::Error::runtime(self.describe(limit))),
            None => Ok(()),
        }
    }

    /// "ran longer than 2 s (the rules' time limit)".
    pub(super) fn describe(&self, limit: Limit) -> String {
        match limit {
            Limit::Time => format!("ran longer than {:?} (the time limit of a rule)", self.limits.time),
            Limit::Instructions => format!(
                "took more than {} instructions (the instruction limit of a rule)",
                self.limits.instructions
            ),
            Limit::Memory => {
                format!("needed more than {} (the memory limit of the rules)", bytes(self.limits.memory))
            }
        }
    }
}

/// Sets the hook that holds every Lua function to the budget, also in coroutines: those inherit it.
pub(super) fn install(lua: &Lua, budget: &Rc<Budget>) -> mlua::Result<()> {
    let budget = Rc::clone(budget);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(CHECK_EVERY), move |lua, _| {
        let was_within = budget.passed().is_none();
        let result = budget.charge(lua, u64::from(CHECK_EVERY));
        if was_within && result.is_err() {
            // A loop around `pcall` would otherwise have the interval's instructions after each error.
            let budget = Rc::clone(&budget);
            lua.set_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| {
                budget.check().map(|()| VmState::Continue)
            })?;
        }
        result.map(|()| VmState::Continue)
    })
}

/// A number of bytes for people: "256 MB".
pub(super) fn bytes(count: usize) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} kB", count >> 10),
        _ => format!("{} MB", count >> 20),
    }
}
