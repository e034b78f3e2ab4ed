//! Rewound cycles: messages are forgotten, joins are open again, and runs are repeated, all in one record.

use nowcast_core::cycles::{CycleMark, NoteScope};
use nowcast_core::join_identity::JoinEnd;
use nowcast_core::rewind::{MOST_REPEATED, RepeatedRun, Rewind};
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::{Command, Ending, Join, JoinRequest, Number, RunId};

use crate::decisions::story::{
    Heard, Story, configured, cycle, failed, in_cycle, launch, of_cycle, requirement, seconds, worker,
};

/// `weather` is followed by `rivers`. With `ssh` it makes the join `tracks`, which launches `upload`, and the cycle is done with that.
fn forecast() -> Story {
    configured("{weather: {max cycles: 1}}\ncycles: {done: [{worker: upload}]}", |message, _| {
        let join = JoinRequest {
            name: Some("tracks".to_owned()),
            wait_for: vec![requirement("weather: success"), requirement("ssh: success")],
            launch: vec![worker("upload")],
            timeout: Some(seconds(600)),
            scope: message.cycle.clone().map(NoteScope::Cycle),
            ..JoinRequest::default()
        };
        Ok(match (&*message.source, &*message.r#type) {
            ("weather", "success") => ReturnedLaunches { join: Some(join), ..launch(&["rivers"]) },
            _ => ReturnedLaunches::default(),
        })
    })
}

fn number(heard: &Heard) -> Number {
    heard.records[0].number
}

/// What a cycle had, in the order of events.
struct Day {
    weather: (RunId, Number),
    rivers: (RunId, Number),
    upload: (RunId, Number),
}

/// Let everything of a cycle happen, `ssh` last.
fn whole_day(manager: &mut Story, label: &str) -> Day {
    let ends = |manager: &mut Story, run: RunId, name: &str| {
        let heard = manager.hears_of(run, name, "success");
        manager.ends(run, Ending::Status(0));
        ((run, number(&heard)), heard)
    };
    let run = manager.wants(in_cycle("weather", label));
    let (weather, heard) = ends(manager, run, "weather");
    let (rivers, _) = ends(manager, heard.run(), "rivers");
    let heard = manager.hears_message(of_cycle("ssh", "success", label));
    let (upload, _) = ends(manager, heard.run(), "upload");
    Day { weather, rivers, upload }
}

fn again(name: &str, run: RunId) -> RepeatedRun {
    RepeatedRun { worker: worker(name), rerun_of: run, origin: run }
}

/// To rewind a whole day to `weather`.
fn to_weather(manager: &Story, label: &str, day: &Day) -> Rewind {
    let followed = [day.weather, day.rivers, day.upload];
    Rewind {
        cycle: cycle(label),
        from: "weather".to_owned(),
        seen: manager.state.cycles.get(&cycle(label)).expect("kept").last,
        messages: followed.iter().map(|(_, message)| *message).collect(),
        chains: followed.iter().map(|(run, _)| *run).collect(),
        launches: vec![again("weather", day.weather.0)],
    }
}

/// Let `weather` succeed in cycle `a`, with the rest of the cycle still to come: its run, and what its message led to.
fn weather(manager: &mut Story) -> (RunId, Heard) {
    let run = manager.wants(in_cycle("weather", "a"));
    let heard = manager.hears_of(run, "weather", "success");
    manager.ends(run, Ending::Status(0));
    (run, heard)
}

/// Let the run that followed it succeed, too.
fn rivers(manager: &mut Story, of_weather: &Heard) {
    let run = of_weather.run();
    manager.hears_of(run, "rivers", "success");
    manager.ends(run, Ending::Status(0));
}

/// A rewind that forgets the message of [`weather`] and repeats its run.
fn of_weather(manager: &Story, run: RunId, heard: &Heard) -> Rewind {
    Rewind {
        cycle: cycle("a"),
        from: "weather".to_owned(),
        seen: manager.state.cycles.get(&cycle("a")).expect("kept").last,
        messages: [number(heard)].into(),
        chains: [run].into(),
        launches: vec![again("weather", run)],
    }
}

fn refusal(manager: &mut Story, rewind: Rewind) -> String {
    let before = manager.state.cycles.clone();
    let (answer, heard) = manager.asks(Command::Rewind(rewind));
    assert!(!answer.done && heard.launched.is_empty(), "{answer:?}");
    assert!(heard.records[0].changes.is_empty() && before == manager.state.cycles, "{heard:#?}");
    answer.text
}

fn tracks<'a>(manager: &'a Story, label: &str) -> &'a Join {
    manager.state.joins.identified(&NoteScope::Cycle(cycle(label)), "tracks").expect("known")
}

fn end(manager: &Story, label: &str) -> Option<JoinEnd> {
    tracks(manager, label).identity.as_ref().and_then(|identity| identity.end)
}

fn mark(manager: &Story, label: &str) -> Option<CycleMark> {
    manager.state.cycles.get(&cycle(label)).expect("kept").mark.clone()
}

#[test]
fn to_rewind_a_cycle_forgets_what_followed_opens_its_joins_and_launches_again() {
    let mut manager = forecast();
    let day = whole_day(&mut manager, "a");
    assert_eq!(end(&manager, "a"), Some(JoinEnd::Completed));
    assert!(matches!(mark(&manager, "a"), Some(CycleMark::Done { .. })));
    manager.passes(1_000);
    let rewind = to_weather(&manager, "a", &day);
    let (answer, heard) = manager.asks(Command::Rewind(rewind));
    assert_eq!(
        answer.text,
        "cycle a is rewound to weather: 3 messages are forgotten, 1 join is open again (tracks), 1 launch follows"
    );
    assert_eq!((heard.records.len(), &heard.launched[..]), (1, &["weather".to_owned()][..]));
    assert_eq!(mark(&manager, "a"), None, "it is done no longer");
    let again = &manager.state.runs[&heard.run()];
    assert_eq!((again.cycle.clone(), again.origin), (Some(cycle("a")), Some(day.weather.0)));
    let join = tracks(&manager, "a");
    assert_eq!((join.requirements().as_str(), end(&manager, "a")), ("weather (success)", None));
    let deadline = manager.present().steady.after(seconds(600));
    assert_eq!(join.deadline, Some(deadline), "its timeout begins again");
    // Another cycle waits for the slot that this one takes again.
    let other = manager.wants(in_cycle("weather", "b"));
    assert!(manager.state.blocked_by(&manager.state.runs[&other]).is_some());

    let mut heard = manager.hears_of(heard.run(), "weather", "success");
    heard.launched.sort();
    assert_eq!(heard.launched, ["rivers", "upload"], "ssh has come and is not forgotten");
    assert_eq!(end(&manager, "a"), Some(JoinEnd::Completed));
    let upload = manager.state.runs.values().find(|run| run.worker.name() == "upload").expect("it runs").id;
    assert_eq!(manager.hears_of(upload, "upload", "success").runs, [other], "the cycle is done again");
}

#[test]
fn what_is_forgotten_is_neither_counted_nor_the_last_message() {
    let mut manager = forecast();
    manager.watches_notes("weather", "success");
    let yesterday = whole_day(&mut manager, "a");
    let today = whole_day(&mut manager, "b");
    let rewind = to_weather(&manager, "b", &today);
    manager.asks(Command::Rewind(rewind));
    let last = |manager: &Story, label: Option<&str>| {
        let cycle = label.map(cycle);
        manager.state.cycles.last("weather", "success", cycle.as_ref()).map(|last| last.message)
    };
    assert_eq!(last(&manager, Some("b")), None);
    assert_eq!(
        (last(&manager, Some("a")), last(&manager, None)),
        (Some(yesterday.weather.1), last(&manager, Some("a")))
    );
    let weather = NoteScope::Cycle(cycle("b"));
    assert_eq!(manager.state.cycles.counting(&weather, "weather", None, manager.present()), []);
    let since = NoteScope::Since(jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(
        manager.state.cycles.counting(&since, "weather", None, manager.present()).len(),
        1,
        "nor in joins since a moment"
    );
    manager.calls();
    manager.hears("feeds", "halfway", "null");
    assert_eq!(manager.calls()[0].last_noted.as_ref().map(|last| last.message), Some(yesterday.weather.1));
}

#[test]
fn an_open_join_requires_what_was_forgotten_and_a_released_one_is_open_again() {
    for is_released in [false, true] {
        let mut manager = forecast();
        let (run, heard) = weather(&mut manager);
        rivers(&mut manager, &heard);
        assert_eq!(tracks(&manager, "a").requirements(), "ssh (success)");
        if is_released {
            let number = tracks(&manager, "a").id;
            let upload = manager.asks(Command::Release { number }).1.run();
            manager.hears_of(upload, "upload", "failure");
            manager.ends(upload, Ending::Status(0));
        }
        let mut rewind = of_weather(&manager, run, &heard);
        rewind.launches[0].worker.args = vec!["12".to_owned()];
        let (answer, heard) = manager.asks(Command::Rewind(rewind));
        assert_eq!(answer.text.contains("1 join is open again (tracks)"), is_released, "{}", answer.text);
        assert_eq!(tracks(&manager, "a").requirements(), "weather (success), ssh (success)");
        assert_eq!(end(&manager, "a"), None);
        assert_eq!(manager.state.runs[&heard.run()].worker.args, ["12"]);
    }
}

#[test]
fn a_join_that_was_discarded_or_overdue_stays_so() {
    let mut manager = forecast();
    let (run, heard) = weather(&mut manager);
    let join = tracks(&manager, "a").id;
    manager.asks(Command::Discard { number: join });
    rivers(&mut manager, &heard);
    let rewind = of_weather(&manager, run, &heard);
    let (answer, _) = manager.asks(Command::Rewind(rewind));
    assert!(answer.done && !answer.text.contains("open again"), "{answer:?}");
    assert_eq!(end(&manager, "a"), Some(JoinEnd::Discarded));
}

#[test]
fn a_rewind_that_would_leave_something_out_is_refused_and_changes_nothing() {
    let mut manager = forecast();
    let day = whole_day(&mut manager, "a");
    let rewind = to_weather(&manager, "a", &day);
    let refused = |manager: &mut Story, change: &dyn Fn(&mut Rewind)| {
        let mut changed = rewind.clone();
        changed.seen = manager.state.cycles.get(&cycle("a")).expect("kept").last;
        change(&mut changed);
        refusal(manager, changed)
    };
    let unknown = refused(&mut manager, &|rewind| rewind.cycle = cycle("z"));
    assert_eq!(unknown, "there is no cycle z; \"nowcast cycles\" lists cycles");
    let future = refused(&mut manager, &|rewind| {
        rewind.messages.insert(Number(9_999));
    });
    assert_eq!(future, "there is no message #9999; use a number shown by \"nowcast messages\"");
    let none = refused(&mut manager, &|rewind| rewind.launches.clear());
    assert_eq!(none, "a rewind has 1 to 1000 launches, not 0");
    let many = refused(&mut manager, &|rewind| {
        rewind.launches = vec![again("weather", day.weather.0); MOST_REPEATED + 1];
    });
    assert_eq!(many, "a rewind has 1 to 1000 launches, not 1001");
    let host = refused(&mut manager, &|rewind| rewind.launches[0].worker.host = "nowhere".to_owned());
    assert!(host.contains("\"nowhere\""), "{host}");

    manager.hears_message(of_cycle("feeds", "halfway", "a"));
    assert_eq!(
        refusal(&mut manager, rewind.clone()),
        "cycle a went on meanwhile, so nothing is rewound; the same command shows what follows from weather now"
    );

    // What follows from the messages must not go on beside its repetition.
    let rerun = Command::Launch {
        worker: in_cycle("rivers", "a"),
        rerun_of: Some(day.rivers.0),
        origin: Some(day.rivers.0),
    };
    let (_, heard) = manager.asks(rerun);
    let running = heard.run();
    let text =
        format!("cycle a cannot be rewound while rivers (run {running}) is open: nowcast kill {}", running.0);
    assert_eq!(refused(&mut manager, &|_| ()), text);
    manager.hears_of(running, "rivers", "success");
    manager.ends(running, Ending::Status(0));

    manager.rules(|_, _| Err(failed()));
    let heard = manager.hears_message(of_cycle("weather", "failure", "a"));
    let parked = number(&heard).0;
    let text = format!(
        "cycle a cannot be rewound while a message of weather (failure) is parked: nowcast retry {parked} or nowcast discard {parked}"
    );
    assert_eq!(refused(&mut manager, &|_| ()), text);
    manager.asks(Command::Discard { number: Number(parked) });

    manager.asks(Command::CancelCycle { cycle: cycle("a"), reason: None });
    assert_eq!(
        refused(&mut manager, &|_| ()),
        "cycle a is cancelled; \"nowcast cycle resume a\" continues it"
    );
}

#[test]
fn a_parked_launch_that_followed_must_be_decided_before() {
    let mut manager = forecast();
    let (run, heard) = weather(&mut manager);
    rivers(&mut manager, &heard);
    let overdue = tracks(&manager, "a").id;
    manager.passes(600);
    assert!(manager.state.parked.contains_key(&overdue));
    let rewind = of_weather(&manager, run, &heard);
    let text = format!(
        "cycle a cannot be rewound while a launch of upload is parked: nowcast release {0} or nowcast discard {0}",
        overdue.0
    );
    assert_eq!(refusal(&mut manager, rewind), text);
}
