//! Which runs are alike.

use nowcast::forecast::like::{Likeness, Likenesses};
use nowcast_core::NextWorker;

fn launch(module: &str, host: &str, args: &[&str]) -> NextWorker {
    let mut worker = NextWorker::new(module, args.iter().map(|arg| (*arg).to_owned()).collect());
    host.clone_into(&mut worker.host);
    worker
}

fn like(args: &[&str]) -> Likeness {
    Likeness::of(&launch("nowcast.workers.make_plots", "localhost", args))
}

#[test]
fn runs_of_other_days_are_alike_and_other_arguments_are_not() {
    assert_eq!(like(&["nowcast", "2026-11-24"]), like(&["nowcast", "2026-11-25"]));
    assert_eq!(like(&["--run-date=2026-11-24", "24nov26"]), like(&["--run-date=2025-01-31", "01JAN26"]));
    for other in
        [&["forecast", "2026-11-24"][..], &["nowcast", "20261124"], &["nowcast"], &["2026-11-24", "nowcast"]]
    {
        assert_ne!(like(&["nowcast", "2026-11-24"]), like(other), "{other:?}");
    }
}

#[test]
fn the_worker_is_known_by_its_name_and_the_host_counts() {
    let here = Likeness::of(&launch("nowcast.workers.run_model", "localhost", &[]));
    assert_eq!(here, Likeness::of(&launch("run_model", "localhost", &[])));
    let there = Likeness::of(&launch("run_model", "robot.nibi", &["2026-11-24"]));
    assert_ne!(here, there);
    assert_eq!(there.to_string(), "run_model <YYYY-MM-DD> on robot.nibi");
    assert_eq!(here.to_string(), "run_model");
}

#[test]
fn likenesses_are_numbered_in_the_order_in_which_they_came() {
    let mut all = Likenesses::default();
    let first = all.add(like(&["2026-11-24"]));
    let second = all.add(like(&["06"]));
    assert_eq!(all.add(like(&["2027-01-01"])), first);
    assert_eq!((first.index(), second.index(), all.len()), (0, 1, 2));
    assert_eq!(all.find(&like(&["06"])), Some(second));
    assert_eq!(all.find(&like(&["12"])), None);
    assert_eq!(all.get(second), &like(&["06"]));
}
