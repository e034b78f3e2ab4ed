//! The time that a run takes in addition to its worker. It is printed, not asserted.

use std::os::fd::AsRawFd;
use std::time::Instant;

use nowcast::launch::LaunchedRuns;
use nowcast_core::{Ending, Number};

use crate::runner::scene::{Scene, end};

#[test]
#[ignore = "prints a figure, tests nothing: cargo test --release --test system runner::speed -- --ignored --nocapture"]
fn speed_of_a_run_of_true() {
    let scene = Scene::new();
    let mut runs = LaunchedRuns::new(crate::support::system::NOWCAST.into(), scene.path("runs"))
        .expect("the runs folder");
    let mut times: Vec<_> = (0..200)
        .map(Number)
        .map(|run| {
            let begin = Instant::now();
            runs.start(run, &format!("2026-03-14/{}", run.0), Ok(vec!["true".to_owned()]), &[]);
            loop {
                let mut items = [zmq::PollItem::from_fd(runs.as_raw_fd(), zmq::POLLIN)];
                zmq::poll(&mut items, -1).expect("it waits");
                if let Some(ending) = end(&mut runs, run) {
                    assert_eq!(ending, Ending::Status(0));
                    return begin.elapsed();
                }
            }
        })
        .collect();
    times.sort_unstable();
    println!("true: median {:?}, 90 % {:?}, longest {:?}", times[100], times[180], times[199]);
}
