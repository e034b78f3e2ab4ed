//! What the manager's decisions write to its log, NEMO_Nowcast's lines and our own, in each situation.

use nowcast_core::hold::HoldTarget;
use nowcast_core::{Command, Ending, Event, NextWorker, Number, PreviousReply, RequestId, Signal};
use pyyaml::Value;

use crate::program::assert_snapshot;
use crate::recorded::Recorded;
use crate::scenes;

/// The log of a scene beside that of a good day.
#[track_caller]
fn assert_log(name: &str, system: &Recorded) {
    assert_snapshot(&format!("log_{name}"), &system.log_from(scenes::fine().log_lines()));
}

#[test]
fn a_good_day() {
    assert_snapshot("log_fine", &scenes::fine().log_from(0));
}

#[test]
fn in_each_scene() {
    for (name, scene) in [
        ("failed_runs", scenes::failed_runs as fn() -> Recorded),
        ("bad_messages", scenes::bad_messages),
        ("stuck_join", scenes::stuck_join),
        ("parked_launches", scenes::parked_launches),
        ("pending_launches", scenes::pending_launches),
        ("operated", scenes::operated),
    ] {
        assert_log(name, &scene());
    }
}

#[test]
fn joins() {
    let mut system = scenes::open_joins();
    // Opened again, with a launch that waits in it, and then overdue.
    system.at("12:00").launches("download_weather", &["12"]).finishes(
        "download_weather",
        "success 12",
        "null",
    );
    system.at("16:00");
    assert_log("joins", &system);
}

#[test]
fn limits_and_holds() {
    let mut system = scenes::fine();
    let until = Some(system.moment("12:30"));
    system
        .at("09:00")
        .launches("run_nemo", &["forecast"])
        .asks(Command::Hold {
            target: HoldTarget::All,
            until,
            duration: None,
            reason: Some("power cut".into()),
        })
        .launches("make_plots", &["forecast", "2019-10-01"])
        .launches("mrge", &[])
        .at("12:31")
        .launches("make_plots", &["surface currents"])
        .at("12:35")
        .finishes("make_plots", "success", "null")
        .at("15:01")
        .ends("run_nemo", Ending::Killed(15))
        .at("15:02");
    assert_log("limits_and_holds", &system);
}

#[test]
fn endings() {
    let mut system = scenes::fine();
    for (minute, ending) in [
        Ending::Status(0),
        Ending::Status(3),
        Ending::Killed(9),
        Ending::Unknown,
        Ending::OnHost("FAILED".into()),
        Ending::NotStarted("no such host".into()),
    ]
    .into_iter()
    .enumerate()
    {
        system.at(&format!("09:{minute:02}")).launches("make_forcing", &["forecast"]);
        system.ends("make_forcing", ending).at(&format!("09:{minute:02}:30"));
    }
    system.launches("make_forcing", &["nowcast"]).says("make_forcing", "success", "null");
    system.ends("make_forcing", Ending::OnHost("COMPLETED".into()));
    assert_log("endings", &system);
}

#[test]
fn the_checklist() {
    let mut system = scenes::fine();
    let edited = pyyaml::read("{rivers: {Fraser: 1}}").expect("YAML").as_map().expect("a mapping").clone();
    system
        .at("09:00")
        .says("collect_rivers", "success", "a text")
        .says("collect_rivers", "success", "{Fraser: 5}")
        .says("clear_checklist", "success", "{cleared: true}")
        .says("run_nemo", "success", "!!set {a, b}");
    system.happens(Event::ChecklistNotWritten { reason: "No space left on device (os error 28)".into() });
    system.happens(Event::ChecklistWriteRecovered);
    system.happens(Event::ChecklistRead { checklist: edited, why: "why it was read".into() });
    system.asks(Command::ChecklistClear { force: true });
    assert_log("checklist", &system);
}

#[test]
fn messages_again_signals_and_what_is_late() {
    let mut system = scenes::late();
    let due = system.moment("12:00");
    system.says("collect_rivers", "success", "{Fraser: 5}").asks(Command::LaunchScheduled {
        item: "nowcast.workers.run_nemo on nobi (every day at 12:00)".into(),
        due,
        worker: NextWorker { host: "nobi".into(), ..NextWorker::new("nowcast.workers.run_nemo", Vec::new()) },
    });
    let recorded = PreviousReply { number: Number(7), reply: "ack".into(), payload: Value::Null, need: None };
    system.happens(Event::Repeat { request: RequestId(1_000), previous_reply: recorded });
    for signal in [Signal::Hangup, Signal::Interrupt, Signal::Terminate] {
        system.happens(Event::Signal(signal));
    }
    assert_snapshot("log_late", &system.log_from(0));
}
