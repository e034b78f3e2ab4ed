//! [`Likeness`]: which runs are alike, so that the past of one tells the future of the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::dates;
use nowcast_core::NextWorker;

/// Worker, host, and arguments with their dates blanked. Runs that share it are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Likeness {
    /// The worker's name in the message registry.
    pub worker: Arc<str>,
    /// The host on which it runs.
    pub host: Arc<str>,
    /// The arguments, with each date replaced by its form: `<YYYY-MM-DD>`.
    pub args: Arc<[String]>,
}

impl Likeness {
    /// Return that of a launch.
    #[must_use]
    pub fn of(worker: &NextWorker) -> Self {
        Self::new(worker.name(), &worker.host, &worker.args)
    }

    /// Return that of a worker on a host with arguments.
    #[must_use]
    pub fn new(worker: &str, host: &str, args: &[String]) -> Self {
        let args = args.iter().map(|arg| dates::blanked(arg).into_owned()).collect();
        Self { worker: worker.into(), host: host.into(), args }
    }
}

/// Formats for people: `make_plots nowcast <YYYY-MM-DD>`.
impl fmt::Display for Likeness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.worker)?;
        for arg in &*self.args {
            write!(out, " {arg}")?;
        }
        if *self.host == *nowcast_core::next_worker::LOCALHOST {
            return Ok(());
        }
        write!(out, " on {}", self.host)
    }
}

/// The number of a [`Likeness`] among [`Likenesses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LikeId(u32);

impl LikeId {
    /// Return it as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Likenesses, each of them once. They are numbered in the order in which they came. A clone shares their texts.
#[derive(Debug, Clone, Default)]
pub struct Likenesses {
    all: Vec<Likeness>,
    numbers: BTreeMap<Likeness, LikeId>,
}

impl Likenesses {
    /// Return the number of a likeness, a new one if it is not known yet.
    pub fn add(&mut self, likeness: Likeness) -> LikeId {
        if let Some(known) = self.numbers.get(&likeness) {
            return *known;
        }
        // Each has a text in memory, so 32 bits suffice.
        let id = LikeId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(likeness.clone());
        self.numbers.insert(likeness, id);
        id
    }

    /// Return the number of a likeness, if it is known.
    #[must_use]
    pub fn find(&self, likeness: &Likeness) -> Option<LikeId> {
        self.numbers.get(likeness).copied()
    }

    /// Return a likeness of these.
    ///
    /// # Panics
    /// If the number is that of other likenesses.
    #[must_use]
    pub fn get(&self, id: LikeId) -> &Likeness {
        &self.all[id.index()]
    }

    /// Return how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Return whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
