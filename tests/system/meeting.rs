//! Two independent chains that meet in a join by cycle, whichever comes first.

use std::fs;

use rustix::process::Signal;

use nowcast::store::History;

use crate::plain_worker::plain_worker;
use crate::support::system::{Builder, System, system};

/// The tracks of a cycle follow its ocean and its satellite picture. Only the rule of the ocean knows of the join.
const RULES: &str = "
function after_ocean(msg)
  return {}, Join{
    name = 'tracks', cycle = msg.cycle, wait_for = { ocean = 'success', satellite = 'success' },
    launch = { worker('tracks', msg.cycle) },
  }
end
function after_satellite(msg) return {} end
function after_tracks(msg)
  local before = last('tracks', 'success', '2026-03-13')
  log.info('tracks: ' .. msg.type .. ' of ' .. tostring(msg.cycle) .. ', satellite #' ..
    tostring(last('satellite', 'success', msg.cycle) ~= nil) .. ', before ' .. tostring(before and before.cycle))
  return {}
end
";

const MESSAGES: &str = "{success: it is done, failure: it is not, crash: it crashed}";

fn builder() -> Builder {
    system()
        .worker(&format!("ocean: {MESSAGES}"))
        .worker(&format!("satellite: {MESSAGES}"))
        .worker(&format!("tracks: {MESSAGES}"))
        .section("workers: {tracks: {exec: [sh, -c, 'echo \"$0 in $NOWCAST_CYCLE\" >> tracks']}}")
        .rules(RULES)
}

fn tracks(system: &System) -> Vec<String> {
    let text = fs::read_to_string(system.path("tracks")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn send(system: &System, worker: &str, cycle: &str) {
    system.operate(&["send", "--cycle", cycle, worker, "success", "null"]);
}

fn kill_manager(system: &mut System) {
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
}

#[test]
fn two_chains_meet_in_either_order_though_the_manager_is_killed_between() {
    for order in [["ocean", "satellite"], ["satellite", "ocean"]] {
        let mut system = builder().start();
        send(&system, order[0], "2026-03-14");
        kill_manager(&mut system);
        send(&system, order[1], "2026-03-13");
        kill_manager(&mut system);
        send(&system, order[1], "2026-03-14");
        system.wait_for_log("manager", "tracks: success of 2026-03-14, satellite #true, before nil");
        // It is known after its end, also by the next manager.
        kill_manager(&mut system);
        send(&system, "ocean", "2026-03-14");
        send(&system, order[0], "2026-03-13");
        system.wait_for_log("manager", "tracks: success of 2026-03-13, satellite #true, before 2026-03-13");
        assert_eq!(tracks(&system), ["2026-03-14 in 2026-03-14", "2026-03-13 in 2026-03-13"], "{order:?}");

        // The same day, again: the historical notes are known, and requests of joins are compared.
        let (status, text) = system.operation(&["rules", "replay", "--exit-code"]);
        assert_eq!(status, Some(0), "{text}");
        assert!(!text.contains("could not be reproduced") && text.contains(" 0 not comparable"), "{text}");
    }
}

#[test]
fn an_edited_join_is_a_difference_in_a_replay() {
    let system = builder()
        .file("edited.lua", RULES.replace("satellite = 'success' },", "satellite = 'failure' },"))
        .start();
    send(&system, "ocean", "2026-03-14");
    let (status, text) = system.operation(&["rules", "replay", "--rules", "edited.lua", "--exit-code"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains(
            "- join tracks of cycle 2026-03-14: ocean (success), satellite (success); then tracks 2026-03-14"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "+ join tracks of cycle 2026-03-14: ocean (success), satellite (failure); then tracks 2026-03-14"
        ),
        "{text}"
    );
}

#[test]
fn two_rules_that_disagree_about_a_join_are_shown_to_the_operator() {
    let other = "
function after_keyless(msg)
  return {}, Join{ name = 'tracks', cycle = '2026-03-14', wait_for = { 'satellite' } }
end
";
    let system = builder().rules(other).start();
    send(&system, "ocean", "2026-03-14");
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    system.wait_for_log(
        "manager",
        "CRITICAL [manager] join tracks of cycle 2026-03-14 is requested differently: next_workers.lua:",
    );
    system.wait_for_log("manager", " made it, next_workers.lua:");
    let status = system.operation(&["status"]).1;
    assert!(status.contains("CONFLICT") && status.contains("the first one stays"), "{status}");
    let of_cycle = |cycle| system.operation(&["status", "--cycle", cycle]).1.contains("CONFLICT");
    assert!(of_cycle("2026-03-14") && !of_cycle("2026-03-15"));
    send(&system, "satellite", "2026-03-14");
    system.wait_for_log("manager", "tracks: success of 2026-03-14");
    assert!(system.operation(&["status"]).1.contains("CONFLICT"), "it is shown for a day");

    // Another one changes nothing of the join that has ended: the message that completed it stays that.
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    let [join] = &history.open_now().expect("readable").ended_joins[..] else { panic!("one join") };
    let closed_by = || history.join(join.id).expect("readable").expect("kept").closed_by;
    let before = closed_by();
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    assert!(before.is_some());
    assert_eq!(closed_by(), before);
}

#[test]
fn the_messages_of_plain_workers_meet_in_the_cycle_of_their_runs() {
    let mut system = builder().prepare();
    let [ocean, satellite] = ["ocean", "satellite"].map(|name| plain_worker(&system, name));
    let workers = format!("workers: {{{ocean}, {satellite}, ");
    system.more = system.more.replace("workers: {", &workers);
    system.write_config();
    system.start_broker();
    system.start_manager(&["--launch", "ocean", "--launch", "satellite", "--cycle", "2026-03-14"]);
    fs::write(system.path("go-satellite"), "").expect("written");
    system.wait_for_log("manager", "received message from satellite");
    fs::write(system.path("go-ocean"), "").expect("written");
    system.wait_for_log("manager", "tracks: success of 2026-03-14");
    assert_eq!(tracks(&system), ["2026-03-14 in 2026-03-14"]);
}
