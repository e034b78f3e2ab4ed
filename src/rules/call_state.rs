//! [`CallState`]: the budget, clock and log of the running call, shared with the functions that Lua calls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use jiff::ZonedDateTime;

use super::budget::Budget;
use super::limits::EngineOptions;
use super::reads;
use super::source::Sources;
use super::viewed_values::ViewedValues;
use nowcast_core::message::Message;
use nowcast_core::notes::LastMessage;
use nowcast_core::{Cycle, Cycles, Level, LogLine};
use pyyaml::Keys;

/// The state of the running call.
#[derive(Debug)]
pub(super) struct CallState {
    pub(super) budget: Rc<Budget>,
    pub(super) options: EngineOptions,
    /// The files of the rules.
    pub(super) sources: Rc<Sources>,
    /// The values behind the views of the call.
    pub(super) snapshot: Rc<ViewedValues>,
    /// The time of the message; `None` while the rules are loaded.
    now: RefCell<Option<ZonedDateTime>>,
    /// The message, from which `math.random` is seeded, until the call has used it.
    seed: RefCell<Option<Message>>,
    /// The notes of messages; `None` if they are not known, and between calls.
    cycles: RefCell<Option<Cycles>>,
    /// The messages that the call asked for with `last`.
    last_read: RefCell<Vec<String>>,
    /// Whether it did so while the notes were not known.
    lacks_notes: Cell<bool>,
    /// Whether the rules' files are being run, which know nothing of a message.
    is_loading: Cell<bool>,
    log: RefCell<Vec<LogLine>>,
    /// Bytes of text that the call's launches hold outside of the Lua virtual machine.
    held: Cell<usize>,
    log_bytes: Cell<usize>,
    log_is_full: Cell<bool>,
}

impl CallState {
    pub(super) fn new(options: EngineOptions, sources: Rc<Sources>) -> Self {
        let budget = Rc::new(Budget::new(options.limits.clone(), options.notes_lines));
        Self {
            snapshot: Rc::new(ViewedValues::new(budget.outside())),
            budget,
            options,
            sources,
            now: RefCell::new(None),
            seed: RefCell::default(),
            cycles: RefCell::default(),
            last_read: RefCell::default(),
            lacks_notes: Cell::new(false),
            is_loading: Cell::new(false),
            log: RefCell::default(),
            held: Cell::new(0),
            log_bytes: Cell::new(0),
            log_is_full: Cell::new(false),
        }
    }

    /// Start a call with a full budget and an empty log.
    pub(super) fn start(&self, now: Option<ZonedDateTime>, message: Option<Message>) {
        self.end();
        self.snapshot.take_missed();
        self.snapshot.take_missing_cycle();
        self.is_loading.set(false);
        self.budget.start();
        *self.now.borrow_mut() = now;
        *self.seed.borrow_mut() = message;
        self.last_read.borrow_mut().clear();
        self.lacks_notes.set(false);
        self.log.borrow_mut().clear();
        self.held.set(0);
        self.log_bytes.set(0);
        self.log_is_full.set(false);
    }

    /// Release the message and everything that the call read.
    pub(super) fn end(&self) {
        self.snapshot.end();
        self.seed.take();
        self.cycles.take();
    }

    /// Give the call the notes, until it ends: with this reference, the next message could not be noted without a copy.
    pub(super) fn set_cycles(&self, cycles: Option<Cycles>) {
        *self.cycles.borrow_mut() = cycles;
    }

    /// Return the last message of a worker and type.
    pub(super) fn last_message(
        &self,
        worker: &str,
        r#type: &str,
        cycle: Option<&Cycle>,
    ) -> Option<LastMessage> {
        let cycles = self.cycles.borrow();
        self.lacks_notes.set(self.lacks_notes.get() || cycles.is_none());
        cycles.as_ref()?.last(worker, r#type, cycle).cloned()
    }

    /// Record a call of `last`, for what the rule read.
    pub(super) fn note_last(&self, text: &str) {
        reads::add_text(&mut self.last_read.borrow_mut(), text);
    }

    /// Take what the call read: keys of the checklist, and then messages.
    pub(super) fn take_keys_read(&self) -> Vec<String> {
        let mut read = self.snapshot.take_reads();
        read.append(&mut self.last_read.borrow_mut());
        read
    }

    /// Take whether the call asked for messages while the notes were not known.
    pub(super) fn take_lacks_notes(&self) -> bool {
        self.lacks_notes.take()
    }

    /// Count text that is held outside of the Lua virtual machine.
    ///
    /// # Errors
    /// The call holds more than its limit for text.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), String> {
        let held = self.held.get().saturating_add(bytes);
        self.held.set(held);
        let limit = self.options.limits.text;
        if held <= limit {
            return Ok(());
        }
        Err(format!("the launches of this rule hold more than {} of text", super::budget::bytes(limit)))
    }

    /// Copy text out of the Lua virtual machine, and count it.
    pub(super) fn keep(&self, text: &str) -> Result<String, String> {
        self.hold(text.len()).map(|()| text.to_owned())
    }

    /// Start to count again, because only the result of the call is held from now on.
    pub(super) fn count_result_only(&self) {
        self.held.set(0);
    }

    /// Set whether the rules' files are being run.
    pub(super) fn set_loading(&self, is_loading: bool) {
        self.is_loading.set(is_loading);
    }

    /// Return the time of the message; `None` while the rules' files are being run, or without a message.
    pub(super) fn now(&self) -> Option<ZonedDateTime> {
        if self.is_loading.get() { None } else { self.now.borrow().clone() }
    }

    /// Add a line to the log. If the log is full, a last line says that the rest is left out.
    pub(super) fn log(&self, level: Level, text: &str) {
        // The files run again for each message; their log lines are recorded only when they are loaded.
        let is_repeated = self.is_loading.get() && self.now.borrow().is_some();
        if is_repeated || self.log_is_full.get() {
            return;
        }
        let limits = &self.options.limits;
        let mut log = self.log.borrow_mut();
        let bytes = self.log_bytes.get().saturating_add(text.len());
        if log.len() >= limits.log_lines || bytes > limits.log_bytes {
            let text = format!(
                "the rule logged more than {} lines or {}: the rest is left out",
                limits.log_lines,
                super::budget::bytes(limits.log_bytes)
            );
            log.push(LogLine { level: Level::Warning, text });
            self.log_is_full.set(true);
            return;
        }
        self.log_bytes.set(bytes);
        log.push(LogLine { level, text: text.to_owned() });
    }

    /// Return the seed for `math.random`, the first time that a call asks for it.
    pub(super) fn take_seed(&self, now: &ZonedDateTime) -> Option<(i64, i64)> {
        let message = self.seed.borrow_mut().take()?;
        let payload = pyyaml::write(&message.payload, Keys::AsGiven);
        let mut hash = Fnv::new();
        for part in [&message.source, &message.r#type, &payload] {
            // With the length, text moved from one part to the next changes the hash.
            hash.add(&(part.len() as u64).to_le_bytes());
            hash.add(part.as_bytes());
        }
        let first = hash.0.cast_signed();
        hash.add(&now.timestamp().as_nanosecond().to_le_bytes());
        Some((first, hash.0.cast_signed()))
    }

    /// Take the lines that the call logged.
    pub(super) fn take_log(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.log.borrow_mut())
    }
}

/// FNV-1a, 64 bits, of bytes alone. `Hash` would not do: what a type feeds to a hasher may change with the version of
/// Rust, and leaves out the content of mappings.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
