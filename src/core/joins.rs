//! Joins: launches that wait until several workers have finished (the peer's race conditions).
//!
//! The peer keeps one at a time and drops what waited in it when the next one comes. Here there may
//! be any number: a message counts in every open join that still waits for its worker.

use super::rules::NextWorker;

/// One set of workers that must finish, and what waits for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The worker whose rule opened it.
    pub name: String,
    /// The workers that have not finished yet, in the rule's order.
    pub must_finish: Vec<String>,
    /// What is launched when all have.
    pub then_launch: Vec<NextWorker>,
}

/// The open joins, oldest first, and the launches that lost theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    open: Vec<Join>,
    /// Launches that waited in a join when the same rule opened it anew. They are not launched by
    /// surprise and not forgotten.
    pub parked: Vec<Join>,
}

/// What came of a finished worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// The joins that waited for it, as they are now; those with nobody left to wait for are closed.
    pub counted: Vec<Join>,
    /// What is to be launched now: the worker's own next workers unless they wait in a join, and
    /// all that waited in the joins that closed.
    pub launch: Vec<NextWorker>,
}

impl Joins {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The open joins, oldest first.
    #[must_use]
    pub fn open_joins(&self) -> &[Join] {
        &self.open
    }

    /// Opens a join. One of the same name that was still open is parked and returned, unless nothing
    /// waited in it: then it is replaced in silence, for nothing is lost.
    pub fn open(&mut self, name: &str, must_finish: Vec<String>) -> Option<&Join> {
        let before = self.open.iter().position(|join| join.name == name).map(|at| self.open.remove(at));
        self.open.push(Join { name: name.to_owned(), must_finish, then_launch: Vec::new() });
        let before = before.filter(|join| !join.then_launch.is_empty())?;
        self.parked.push(before);
        self.parked.last()
    }

    /// Counts a worker's message in every join that still waits for it. Its next workers wait in the
    /// oldest of them; with no such join they are launched at once.
    pub fn finish(&mut self, worker: &str, next_workers: Vec<NextWorker>) -> Finished {
        let mut finished = Finished { counted: Vec::new(), launch: next_workers };
        for join in &mut self.open {
            if let Some(at) = join.must_finish.iter().position(|name| name == worker) {
                join.must_finish.remove(at);
                join.then_launch.append(&mut finished.launch);
                finished.counted.push(join.clone());
            }
        }
        let (closed, open) =
            std::mem::take(&mut self.open).into_iter().partition(|join: &Join| join.must_finish.is_empty());
        self.open = open;
        finished.launch.extend(closed.into_iter().flat_map(|join: Join| join.then_launch));
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(names: &[&str]) -> Vec<NextWorker> {
        let worker = |name: &&str| NextWorker {
            module: (*name).to_owned(),
            args: Vec::new(),
            host: "localhost".to_owned(),
        };
        names.iter().map(worker).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn launches_wait_until_the_last_worker_has_finished() {
        let mut joins = Joins::default();
        joins.open("collect_weather", names(&["grib_to_netcdf", "make_runoff_file"]));
        assert_eq!(joins.finish("make_runoff_file", workers(&["upload"])).launch, []);
        assert_eq!(joins.finish("sleep", workers(&["awaken"])).launch, workers(&["awaken"]));
        let last = joins.finish("grib_to_netcdf", workers(&["ping"]));
        assert_eq!(last.launch, workers(&["upload", "ping"]));
        assert!(joins.is_empty());
    }

    #[test]
    fn a_message_counts_in_every_join_and_its_launches_wait_in_the_oldest() {
        let mut joins = Joins::default();
        joins.open("first", names(&["a", "b"]));
        joins.open("second", names(&["a", "c"]));
        assert_eq!(joins.finish("a", workers(&["x"])).counted.len(), 2);
        assert_eq!(joins.finish("c", workers(&["y"])).launch, workers(&["y"]));
        assert_eq!(joins.finish("b", Vec::new()).launch, workers(&["x"]));
    }

    #[test]
    fn a_worker_counts_once() {
        let mut joins = Joins::default();
        joins.open("first", names(&["a", "b"]));
        joins.finish("a", workers(&["x"]));
        assert_eq!(joins.finish("a", workers(&["y"])).launch, workers(&["y"]));
        assert_eq!(joins.open_joins()[0].must_finish, names(&["b"]));
    }

    #[test]
    fn a_join_opened_again_parks_what_waited_in_it() {
        let mut joins = Joins::default();
        joins.open("first", names(&["a", "b"]));
        joins.finish("a", workers(&["x"]));
        let parked = joins.open("first", names(&["a", "b"])).cloned();
        assert_eq!(parked.map(|join| join.then_launch), Some(workers(&["x"])));
        assert_eq!(joins.open_joins()[0].must_finish, names(&["a", "b"]));
        assert_eq!(joins.open("first", names(&["a"])), None, "nothing waited, nothing is parked");
    }
}
