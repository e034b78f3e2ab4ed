//! What the manager's decisions write to its log, NEMO_Nowcast's lines and our own, in each situation.

use jiff::SignedDuration;
use nowcast_core::hold::HoldTarget;
use nowcast_core::message::Message;
use nowcast_core::{
    Command, Cycle, Ending, Event, NextWorker, Number, PoisonRequest, PreviousReply, RequestId, Signal,
};
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
        ("cycles", scenes::cycles),
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

/// Rules that open joins by cycle: two chains that meet, one that asks for something else, and a join without launches.
const MEETING: &str = r#"
local function plots(msg, arguments)
  return {}, Join{
    name = "plots", cycle = msg.cycle, wait_for = { make_ssh_files = "success", collect_rivers = "success" },
    launch = { worker("make_plots", arguments) }, timeout = "3h",
  }
end

function after_make_ssh_files(msg)
  return plots(msg, "forecast")
end

function after_collect_rivers(msg)
  if msg.type == "failure" then
    return plots(msg, "rivers")
  end
  return plots(msg, "forecast")
end

function after_make_forcing(msg)
  return {}, Join{ name = "model", cycle = msg.cycle, wait_for = { "run_nemo" }, timeout = "1h" }
end

function after_make_plots(msg)
  return {}, Join{ name = "day", since = "06:00", wait_for = { "run_nemo" } }
end
"#;

#[test]
fn joins_by_cycle() {
    let mut system = Recorded::with(("", ""), MEETING);
    system
        .at("09:00")
        .launches_in("2019-10-01", "make_ssh_files", &[])
        .launches_in("2019-10-01", "collect_rivers", &[])
        .launches_in("2019-10-02", "collect_rivers", &[])
        .launches_in("2019-10-02", "make_forcing", &[])
        .finishes("make_ssh_files", "success", "null")
        .says("collect_rivers", "success", "null")
        .says("collect_rivers", "success", "null")
        .hears(b"{source: collect_rivers, type: failure, payload: , cycle: '2019-10-02'}")
        .hears(b"{source: collect_rivers, type: failure, payload: , cycle: '2019-10-02'}")
        .finishes("make_forcing", "success", "null")
        .finishes("make_plots", "success", "null")
        .says("make_ssh_files", "success", "null")
        .hears(b"{source: make_ssh_files, type: success, payload: , cycle: '2019-10-01'}");
    let after_the_end = system.run(&["why", "make_plots"]);
    system.at("12:30");
    let log = system.log_from(0);
    assert_snapshot("log_joins_by_cycle", &format!("{log}\n{after_the_end}"));
}

#[test]
fn cycles_end_and_begin_again() {
    let mut system = Recorded::with(("cycles: {", "cycles: {keep: 1h, "), "");
    let cycle = |label| Cycle::parse(label).expect("a label");
    system
        .at("08:00")
        .launches_in("2019-10-01", "run_nemo", &["forecast"])
        .finishes("run_nemo", "success", "null")
        .finishes("make_plots", "success", "null")
        .at("09:30")
        .launches_in("2019-10-01", "make_plots", &["forecast"])
        .launches_in("2019-10-02", "make_forcing", &["forecast"])
        .launches_in("2019-10-03", "make_forcing", &["forecast"])
        .says("make_forcing", "failure", "null")
        .launches_in("hindcast-1", "download_weather", &[])
        .asks(Command::CancelCycle { cycle: cycle("hindcast-1"), reason: None })
        .finishes("download_weather", "success 00", "null")
        .asks(Command::ResumeCycle { cycle: cycle("hindcast-1") })
        .asks(Command::SkipCycle { cycle: cycle("2019-10-03"), reason: None });
    assert_snapshot("log_cycles_end", &system.log_from(0));
}

#[test]
fn the_clock_is_set() {
    let mut system = scenes::late();
    let before = system.log_lines();
    system.sets_clock(SignedDuration::from_mins(-150)).sets_clock(SignedDuration::from_secs(5_430));
    assert_snapshot("log_clock_set", &system.log_from(before));
}

#[test]
fn a_message_that_ended_the_manager() {
    let mut system = scenes::fine();
    let poison = |id, body: &str| {
        Event::PoisonRequest(PoisonRequest {
            id: RequestId(id),
            ticket: None,
            body: body.into(),
            reason: "the manager exited twice while it decoded this message, so it is not decoded again automatically"
                .into(),
        })
    };
    let message = Message::new("make_plots", "success", Value::Null).encode();
    system.at("09:00").happens(poison(1_000, &message));
    system.happens(poison(1_001, "]"));
    assert_log("poison", &system);
}

#[test]
fn a_manager_with_nothing_left_to_do() {
    assert_snapshot("log_idle", &Recorded::new().exits_when_idle().log_from(0));
}
