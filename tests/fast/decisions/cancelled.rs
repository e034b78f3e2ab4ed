//! Cancelled, resumed and skipped cycles, and backfills.

use nowcast_core::commands::cycles::MOST_BACKFILLED;
use nowcast_core::cycles::NoteScope;
use nowcast_core::message::Message;
use nowcast_core::parked::ParkedItem;
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::{Command, CycleOption, Ending, JoinRequest, NextWorker, Number};

use pyyaml::Value;

use crate::decisions::story::{Story, configured, cycle, delayed, launch, quiet, requirement, story, worker};

fn in_cycle(name: &str, label: &str) -> NextWorker {
    labelled(worker(name), label)
}

fn labelled(mut worker: NextWorker, label: &str) -> NextWorker {
    worker.options.cycle = Some(CycleOption::Label(cycle(label)));
    worker
}

fn cancel(manager: &mut Story, label: &str) -> String {
    let (answer, _) = manager.asks(Command::CancelCycle { cycle: cycle(label), reason: None });
    assert!(answer.done, "{answer:?}");
    answer.text
}

fn refused(manager: &mut Story, command: Command) -> String {
    let (answer, heard) = manager.asks(command);
    assert!(!answer.done && heard.launched.is_empty(), "{answer:?}");
    answer.text
}

fn resume(label: &str) -> Command {
    Command::ResumeCycle { cycle: cycle(label) }
}

/// The parked launches.
fn parked(manager: &Story) -> Vec<(Number, String)> {
    let launches = |(id, parked): (&Number, &nowcast_core::parked::Parked)| match &parked.item {
        ParkedItem::Launches { launches, .. } => Some((*id, launches[0].worker.name().to_owned())),
        ParkedItem::Message { .. } => None,
    };
    manager.state.parked.iter().filter_map(launches).collect()
}

#[test]
fn to_cancel_a_cycle_stops_its_runs_and_discards_its_launches_and_joins() {
    let mut manager = story(|message, _| {
        let join = JoinRequest {
            name: Some("tracks".to_owned()),
            wait_for: vec![requirement("feeds: success")],
            scope: message.cycle.clone().map(NoteScope::Cycle),
            ..JoinRequest::default()
        };
        Ok(ReturnedLaunches { join: Some(join).filter(|join| join.scope.is_some()), ..Default::default() })
    });
    let running = manager.wants(in_cycle("weather", "a"));
    manager.hears_of(running, "weather", "success");
    let pending = manager.wants(labelled(delayed("rivers", 600), "a"));
    let other = manager.wants(in_cycle("weather", "b"));
    let (answer, heard) = manager.asks(Command::CancelCycle { cycle: cycle("a"), reason: None });
    assert_eq!(
        answer.text,
        "cycle a is cancelled: 1 run is stopping, 1 pending launch is discarded, 1 join is closed; later launches of it are \
         parked until \"nowcast cycle resume a\""
    );
    assert_eq!(heard.stop_requested, [running]);
    assert!(!manager.state.runs.contains_key(&pending));
    assert!(manager.state.runs[&other].is_running(), "another cycle goes on");
    assert!(manager.state.joins.is_empty());
    assert_eq!(
        refused(&mut manager, Command::CancelCycle { cycle: cycle("a"), reason: None }),
        "cycle a is cancelled already"
    );
}

#[test]
fn later_launches_of_a_cancelled_cycle_are_parked_until_it_is_resumed() {
    let mut manager = configured("{weather: {retries: 3}}", |message, _| {
        Ok(if message.source == "weather" { launch(&["rivers", "ssh"]) } else { ReturnedLaunches::default() })
    });
    let run = manager.wants(in_cycle("weather", "a"));
    cancel(&mut manager, "a");
    let heard = manager.hears_of(run, "weather", "failure");
    assert_eq!(heard.launched, Vec::<String>::new(), "neither a retry nor what its rule returned");
    manager.ends(run, Ending::Killed(15));
    let waiting = parked(&manager);
    assert_eq!(waiting.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["rivers", "ssh"]);

    let text = "cycle a is cancelled; \"nowcast cycle resume a\" continues it";
    let number = waiting[0].0;
    assert_eq!(refused(&mut manager, Command::Release { number }), text);
    let rerun = Command::Launch { worker: in_cycle("weather", "a"), rerun_of: Some(run), origin: Some(run) };
    assert_eq!(refused(&mut manager, rerun), text);

    let (answer, heard) = manager.asks(resume("a"));
    assert_eq!(answer.text, "cycle a is resumed; 2 launches follow");
    assert_eq!(heard.launched, ["rivers", "ssh"]);
    assert_eq!(parked(&manager), []);
    assert_eq!(refused(&mut manager, resume("a")), "cycle a is neither cancelled nor skipped");
    assert_eq!(refused(&mut manager, resume("z")), "there is no cycle z; \"nowcast cycles\" lists cycles");
}

#[test]
fn a_scheduled_launch_of_a_cancelled_cycle_is_parked_and_not_lost() {
    let mut manager = quiet("{}");
    manager.wants(in_cycle("weather", "a"));
    cancel(&mut manager, "a");
    let due = manager.now.timestamp();
    let command =
        Command::LaunchScheduled { item: "rivers".to_owned(), due, worker: in_cycle("rivers", "a") };
    let (answer, heard) = manager.asks(command);
    assert!(answer.done && answer.text.contains("is parked"), "{answer:?}");
    assert_eq!((heard.launched, parked(&manager).len()), (Vec::new(), 1));
}

#[test]
fn to_skip_or_cancel_a_cycle_frees_its_slot() {
    for is_cancelled in [true, false] {
        let mut manager = quiet("{rivers: {max cycles: 1}}\ncycles: {done: [{worker: ssh}]}");
        let first = manager.wants(in_cycle("rivers", "a"));
        let second = manager.wants(in_cycle("rivers", "b"));
        let command = if is_cancelled {
            Command::CancelCycle { cycle: cycle("a"), reason: None }
        } else {
            Command::SkipCycle { cycle: cycle("a"), reason: None }
        };
        let (answer, heard) = manager.asks(command);
        assert_eq!(heard.runs, [second], "{answer:?}");
        assert_eq!(heard.stop_requested, if is_cancelled { vec![first] } else { Vec::new() });
    }
}

#[test]
fn to_kill_a_cycle_stops_its_running_runs_only() {
    let mut manager = quiet("{}");
    let running = manager.wants(in_cycle("weather", "a"));
    manager.wants(in_cycle("weather", "b"));
    let pending = manager.wants(labelled(delayed("rivers", 600), "a"));
    let (answer, heard) = manager.asks(Command::KillCycle { cycle: cycle("a") });
    assert_eq!(answer.text, format!("cycle a: 1 run is stopping: {running}"));
    assert_eq!(heard.stop_requested, [running]);
    assert!(manager.state.runs.contains_key(&pending));
    let text = "no run of cycle z is running; nowcast cycle z shows the cycle";
    assert_eq!(refused(&mut manager, Command::KillCycle { cycle: cycle("z") }), text);
}

#[test]
fn a_backfill_begins_all_its_cycles_or_none() {
    let mut manager = quiet("{rivers: {max cycles: 3}}\ncycles: {done: [{worker: rivers}]}");
    let launches: Vec<NextWorker> =
        (1..=30).map(|day| in_cycle("rivers", &format!("2026-01-{day:02}"))).collect();
    let (answer, heard) = manager.asks(Command::Backfill { launches: launches.clone(), again: false });
    assert_eq!(answer.text, "30 cycles begin: 2026-01-01 … 2026-01-30; 27 are pending");
    assert_eq!((answer.numbers.len(), heard.launched.len()), (30, 3));

    let text = "these cycles exist already: 2026-01-01, 2026-01-02, 2026-01-03, 2026-01-04, 2026-01-05 and 25 more; \
                --again launches in them, too";
    assert_eq!(refused(&mut manager, Command::Backfill { launches: launches.clone(), again: false }), text);
    let (answer, _) = manager.asks(Command::Backfill { launches, again: true });
    assert!(answer.done, "{answer:?}");

    let mut far = in_cycle("rivers", "2026-02-02");
    far.host = "nowhere".to_owned();
    let runs = manager.state.runs.len();
    let launches = vec![in_cycle("rivers", "2026-02-01"), far];
    let text = refused(&mut manager, Command::Backfill { launches, again: false });
    assert!(text.contains("\"nowhere\""), "{text}");
    assert_eq!(manager.state.runs.len(), runs, "none of them is launched");
    let launches = vec![in_cycle("rivers", "x"); MOST_BACKFILLED + 1];
    let text = refused(&mut manager, Command::Backfill { launches, again: false });
    assert_eq!(text, "a backfill has 1 to 1000 launches, not 1001");
}

#[test]
fn a_run_that_ended_before_its_cycle_was_cancelled_is_not_retried() {
    let mut manager = quiet("{weather: {retries: 3}}");
    let run = manager.wants(in_cycle("weather", "a"));
    manager.ends(run, Ending::Status(1));
    cancel(&mut manager, "a");
    let heard = manager.passes(10);
    assert!(heard.says("CRITICAL", "the manager reports a crash for it"), "{heard:#?}");
    assert_eq!((heard.launched, manager.state.runs.len()), (Vec::new(), 0));
}

#[test]
fn a_join_of_a_cancelled_cycle_opens_again_with_it() {
    let mut manager = story(|message, _| {
        let join = JoinRequest {
            name: Some("tracks".to_owned()),
            wait_for: vec![requirement("weather: success"), requirement("ssh: success")],
            launch: vec![worker("upload")],
            scope: message.cycle.clone().map(NoteScope::Cycle),
            ..JoinRequest::default()
        };
        let is_asked = message.source == "weather";
        Ok(ReturnedLaunches { join: Some(join).filter(|_| is_asked), ..Default::default() })
    });
    let send = |manager: &mut Story, source: &str, label: &str| {
        let cycle = Some(cycle(label));
        manager.hears_message(Message { cycle, ..Message::new(source, "success", Value::Null) }).launched
    };
    for label in ["a", "b"] {
        send(&mut manager, "weather", label);
        cancel(&mut manager, label);
        assert!(manager.state.joins.is_empty());
    }
    // What comes meanwhile counts.
    assert_eq!(send(&mut manager, "ssh", "a"), Vec::<String>::new());
    let (answer, heard) = manager.asks(resume("a"));
    assert_eq!(
        (answer.text.as_str(), heard.launched),
        ("cycle a is resumed; 1 launch follows", vec!["upload".to_owned()])
    );
    manager.asks(resume("b"));
    assert_eq!(send(&mut manager, "ssh", "b"), ["upload"]);
}
