//! The limits of a running call: a hook that counts instructions and looks at the clock.
//!
//! Lua runs no hook inside a function written in C or Rust. So whatever could run long there is
//! written in Lua (`lua/*.lua`), bounded by its own arithmetic, or charges its steps here. A single instruction can
//! join or compare the longest texts, so the hook comes the more often, the more memory there is to go through.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::debug::{Debug, DebugEvent};
use mlua::{HookTriggers, Lua, VmState};

use super::limits::CallLimits;
use crate::clock::thread_cpu_time;

/// The most instructions between two looks at the clock.
const CHECK_EVERY: u32 = 250;

/// The most bytes that the instructions between two looks at the clock may go through, if each goes through all memory.
/// Zero bytes cost most: a comparison takes 12 ns for each (measured).
const BYTES_BETWEEN_LOOKS: usize = 256 << 20;

/// Bytes that a search or a copy processes in about the time of one instruction.
pub(super) const BYTES_PER_STEP: u64 = 32;

/// Bytes of errors that a rule may have caught before their memory is freed.
const CAUGHT_ERRORS: usize = 16 << 20;

/// Bytes that the engine may use beyond the memory limit to end a call that went past it.
const ROOM_TO_END: usize = 8 << 20;
/// How many times a coroutine may be resumed after it was stopped: a resumer that has not been stopped
/// itself has at most `CHECK_EVERY` instructions left.
const MOST_STOPS: u32 = 1_000;

/// A limit that a call went past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Time,
    Instructions,
    Memory,
}

/// The call that a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Rule,
    Test,
}

/// Memory that an object of the rules uses outside of the virtual machine. It counts until the object is dropped.
#[derive(Debug)]
pub(super) struct OutsideMemory {
    total: Rc<Cell<usize>>,
    bytes: usize,
}

impl Drop for OutsideMemory {
    fn drop(&mut self) {
        self.total.set(self.total.get().saturating_sub(self.bytes));
    }
}

/// Lines of files, by what Lua calls the file.
pub(super) type Lines = BTreeMap<String, BTreeSet<usize>>;

/// The part of its limits that a call has used.
#[derive(Debug)]
pub(super) struct Budget {
    limits: CallLimits,
    /// The CPU time of this thread at which the time of the call is used up.
    cpu_end: Cell<Duration>,
    /// The earliest moment at which that can be: CPU time never passes faster than a clock, and a clock costs less to read.
    deadline: Cell<Option<Instant>>,
    left: Cell<u64>,
    /// Bytes that objects of the rules use outside of the virtual machine.
    outside: Rc<Cell<usize>>,
    /// Bytes of caught errors, which are outside too until garbage is collected.
    caught_errors: Cell<usize>,
    /// The instructions between two looks at the clock, and the coroutine for which they were set last; 0 if they were never
    /// changed.
    hooked: Cell<(u32, usize)>,
    passed: Cell<Option<Limit>>,
    traceback: RefCell<String>,
    /// How many times each coroutine was stopped.
    stopped: RefCell<HashMap<usize, u32>>,
    /// The lines that ran, of each file; `None` unless they are noted.
    lines: Option<RefCell<Lines>>,
}

impl Budget {
    pub(super) fn new(limits: CallLimits, notes_lines: bool) -> Self {
        Self {
            lines: notes_lines.then(RefCell::default),
            limits,
            cpu_end: Cell::new(Duration::ZERO),
            deadline: Cell::new(None),
            left: Cell::new(0),
            hooked: Cell::new((CHECK_EVERY, 0)),
            outside: Rc::default(),
            caught_errors: Cell::new(0),
            passed: Cell::new(None),
            traceback: RefCell::default(),
            stopped: RefCell::default(),
        }
    }

    /// Reset the budget for the next call.
    pub(super) fn start(&self) {
        self.cpu_end.set(thread_cpu_time().saturating_add(self.limits.time));
        self.deadline.set(Instant::now().checked_add(self.limits.time));
        self.left.set(self.limits.instructions);
        self.passed.set(None);
        self.traceback.borrow_mut().clear();
        self.stopped.borrow_mut().clear();
    }

    /// Return the limit that the call exceeded, if any.
    pub(super) fn passed(&self) -> Option<Limit> {
        self.passed.get()
    }

    /// Return the Lua traceback of the place where the call exceeded its limit.
    pub(super) fn traceback(&self) -> String {
        self.traceback.borrow().clone()
    }

    /// Set the place where the call exceeded its limit, in the form of a traceback.
    pub(super) fn set_place(&self, place: &str) {
        place.clone_into(&mut self.traceback.borrow_mut());
    }

    /// Count `steps` of work, in instructions. Return an error if the call has exceeded a limit.
    pub(super) fn charge(&self, lua: &Lua, steps: u64) -> mlua::Result<()> {
        if self.passed.get().is_none() {
            let left = self.left.get().saturating_sub(steps);
            self.left.set(left);
            if left == 0 {
                self.pass(lua, Limit::Instructions);
            } else if self.is_time_used_up() {
                self.pass(lua, Limit::Time);
            }
        }
        self.check()
    }

    /// Count a text of `bytes` that a function goes through, which costs as much as a search of `cost` times as many. Look at
    /// the clock more often while it exists.
    pub(super) fn charge_text(self: &Rc<Self>, lua: &Lua, bytes: usize, cost: u64) -> mlua::Result<()> {
        self.charge(lua, (bytes as u64).saturating_mul(cost) / BYTES_PER_STEP)?;
        // Lua collects no garbage for the buffer of a text that it makes, which takes up to three times the text.
        if lua.used_memory().saturating_add(bytes.saturating_mul(3)) > self.limits.memory {
            self.collect(lua)?;
        }
        let every = steps_between_looks(lua.used_memory().saturating_add(bytes));
        if every < self.hooked.get().0 { self.look_every(lua, every) } else { Ok(()) }
    }

    /// Set how many instructions run between two looks at the clock, in the running coroutine. To set a hook takes a time that
    /// grows with the depth of the stack.
    fn look_every(self: &Rc<Self>, lua: &Lua, every: u32) -> mlua::Result<()> {
        // A coroutine inherits the hook of its creator, so there are different ones only after a change.
        if every == CHECK_EVERY && self.hooked.get() == (CHECK_EVERY, 0) {
            return Ok(());
        }
        let hooked = (every, lua.current_thread().to_pointer() as usize);
        if self.hooked.replace(hooked) == hooked { Ok(()) } else { hook(lua, self, every) }
    }

    /// Count memory outside of the virtual machine.
    ///
    /// # Errors
    /// The call has exceeded its memory limit, or another one.
    pub(super) fn hold(&self, lua: &Lua, bytes: usize) -> mlua::Result<OutsideMemory> {
        self.outside.set(self.outside.get().saturating_add(bytes));
        let held = OutsideMemory { total: Rc::clone(&self.outside), bytes };
        self.check_memory(lua)?;
        Ok(held)
    }

    /// Return the counter of the memory outside of the virtual machine.
    pub(super) fn outside(&self) -> Rc<Cell<usize>> {
        Rc::clone(&self.outside)
    }

    /// Count an error that a rule caught. It becomes garbage, but Lua does not know its size.
    pub(super) fn count_caught_error(&self, lua: &Lua, bytes: usize) -> mlua::Result<()> {
        let caught = self.caught_errors.get().saturating_add(bytes);
        self.caught_errors.set(caught);
        if caught > CAUGHT_ERRORS { self.collect(lua) } else { Ok(()) }
    }

    /// Return an error if the memory of the virtual machine and that outside of it exceed the limit together. The virtual
    /// machine itself enforces the limit for its own.
    fn check_memory(&self, lua: &Lua) -> mlua::Result<()> {
        let (limit, outside) = (self.limits.memory, || self.outside.get());
        // As long as there is little outside, garbage would be collected again and again near the limit, for nothing.
        let is_over = || outside() > limit / 16 && lua.used_memory().saturating_add(outside()) > limit;
        if is_over() {
            self.collect(lua)?;
            if is_over() {
                self.pass(lua, Limit::Memory);
            }
        }
        self.check()
    }

    /// Collect garbage. That takes time, so look at the clock.
    fn collect(&self, lua: &Lua) -> mlua::Result<()> {
        self.caught_errors.set(0);
        lua.gc_collect()?;
        self.charge(lua, 1)
    }

    /// Whether the call has used its CPU time. Time in which the process was stopped, or others had the processor, does not
    /// count.
    fn is_time_used_up(&self) -> bool {
        let now = Instant::now();
        if self.deadline.get().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let left = self.cpu_end.get().saturating_sub(thread_cpu_time());
        self.deadline.set(now.checked_add(left));
        left.is_zero()
    }

    /// Record that the call exceeded a limit and must not continue.
    pub(super) fn pass(&self, lua: &Lua, limit: Limit) {
        if self.passed.get().is_some() {
            return;
        }
        self.passed.set(Some(limit));
        // The engine itself needs some room to end the call; the machine is thrown away after it.
        let _ = lua.set_memory_limit(self.limits.memory.saturating_add(ROOM_TO_END));
        if let Ok(traceback) = lua.traceback(None, 0) {
            *self.traceback.borrow_mut() = traceback.to_string_lossy();
        }
    }

    /// Record the line that is about to run.
    fn note_line(&self, debug: &Debug) {
        let (Some(lines), Some(line)) = (&self.lines, debug.current_line()) else { return };
        let chunk = debug.source().short_src.unwrap_or_default();
        let mut lines = lines.borrow_mut();
        match lines.get_mut(&*chunk) {
            Some(known) => drop(known.insert(line)),
            None => drop(lines.insert(chunk.into_owned(), BTreeSet::from([line]))),
        }
    }

    /// Take the lines that ran.
    pub(super) fn take_lines(&self) -> Lines {
        self.lines.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Stop the running coroutine from inside the hook: it yields, and resuming it has no effect, so no `pcall` and no
    /// `__close` of the rules sees an error.
    ///
    /// An error would not do: before mlua raises one, it drops the registers of the function that the hook interrupted,
    /// which calls pending `__close` methods without a hook. An error is raised only where Lua cannot yield, in the
    /// engine's own code below a C function; a yield without effect shows that.
    fn stop(&self, lua: &Lua) -> mlua::Result<VmState> {
        let mut stopped = self.stopped.borrow_mut();
        let times = stopped.entry(lua.current_thread().to_pointer() as usize).or_default();
        *times += 1;
        if *times > MOST_STOPS { self.check().map(|()| VmState::Yield) } else { Ok(VmState::Yield) }
    }

    /// Return an error if the call has exceeded a limit.
    pub(super) fn check(&self) -> mlua::Result<()> {
        match self.passed.get() {
            Some(limit) => Err(mlua::Error::runtime(self.describe(limit, Limited::Rule))),
            None => Ok(()),
        }
    }

    /// Describe a limit: "used more than 2 s of CPU time (the time limit of a rule)".
    pub(super) fn describe(&self, limit: Limit, of: Limited) -> String {
        let (one, all) = match of {
            Limited::Rule => ("a rule", "the rules"),
            Limited::Test => ("a test", "a test"),
        };
        match limit {
            Limit::Time => {
                let seconds = self.limits.time.as_secs_f64();
                format!("used more than {seconds} s of CPU time (the time limit of {one})")
            }
            Limit::Instructions => {
                let most = self.limits.instructions;
                format!("took more than {most} instructions (the instruction limit of {one})")
            }
            Limit::Memory => {
                format!("needed more than {} (the memory limit of {all})", bytes(self.limits.memory))
            }
        }
    }
}

/// Count `steps` of work in the running call, where only the virtual machine is at hand.
pub(super) fn charge(lua: &Lua, steps: u64) -> mlua::Result<()> {
    let budget = lua.app_data_ref::<Rc<Budget>>().map(|budget| Rc::clone(&budget));
    budget.map_or(Ok(()), |budget| budget.charge(lua, steps))
}

/// Return how many instructions may run before the next look at the clock, while so many bytes are in use: a power of two,
/// so that it changes rarely, or the most.
fn steps_between_looks(bytes: usize) -> u32 {
    let steps = u32::try_from(BYTES_BETWEEN_LOOKS / bytes.max(1)).unwrap_or(u32::MAX);
    if steps >= CHECK_EVERY { CHECK_EVERY } else { 1 << steps.max(1).ilog2() }
}

/// Set the hook that enforces the budget in every Lua function. Coroutines inherit it.
pub(super) fn install(lua: &Lua, budget: &Rc<Budget>) -> mlua::Result<()> {
    lua.set_app_data(Rc::clone(budget));
    hook(lua, budget, CHECK_EVERY)
}

fn hook(lua: &Lua, budget: &Rc<Budget>, every: u32) -> mlua::Result<()> {
    let budget = Rc::clone(budget);
    let triggers = HookTriggers::new().every_nth_instruction(every);
    let triggers = if budget.lines.is_some() { triggers.every_line() } else { triggers };
    lua.set_global_hook(triggers, move |lua, debug| {
        if debug.event() == DebugEvent::Line {
            budget.note_line(debug);
            return Ok(VmState::Continue);
        }
        if budget.charge(lua, u64::from(every)).and_then(|()| budget.check_memory(lua)).is_ok() {
            budget.look_every(lua, steps_between_looks(lua.used_memory()))?;
            return Ok(VmState::Continue);
        }
        // From here on, this coroutine does not get beyond a single instruction, whichever coroutine resumes it.
        hook(lua, &budget, 1)?;
        budget.stop(lua)
    })
}

/// Format a number of bytes for people: "256 MB".
pub(super) fn bytes(count: usize) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} kB", count >> 10),
        _ => format!("{} MB", count >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_caught_errors_is_freed() {
        let lua = Lua::new();
        lua.gc_stop();
        let budget = Budget::new(CallLimits::default(), false);
        budget.start();
        let held = budget.hold(&lua, 1_000).unwrap();
        drop(lua.create_any_userdata(held).unwrap());
        budget.count_caught_error(&lua, CAUGHT_ERRORS).unwrap();
        assert_eq!(budget.outside().get(), 1_000, "garbage waits");
        budget.count_caught_error(&lua, 1).unwrap();
        assert_eq!(budget.outside().get(), 0);
    }

    #[test]
    fn the_clock_is_looked_at_the_more_often_the_more_memory_there_is() {
        let looks = |megabytes: usize| steps_between_looks(megabytes << 20);
        assert_eq!([0, 1, 2, 16, 100, 256, 1_000].map(looks), [250, 250, 128, 16, 2, 1, 1]);
    }
}
