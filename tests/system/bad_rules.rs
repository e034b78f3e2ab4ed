//! A bad rule costs one message: its worker is acknowledged, the log says where, the next one works.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::system::{System, system};

/// One message runs into that rule; the log has these texts; then a good one works.
fn costs_one_message(rule: &str, log: &[&str]) -> System {
    let system = system().rules(rule).start();
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack", "{}", system.describe());
    system.wait_for_log("manager", "CRITICAL [manager] the rule for this message failed");
    for text in log {
        system.wait_for_log("manager", text);
    }
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    system.works();
    system
}

#[test]
fn a_run_time_error() {
    costs_one_message(
        "function after_sleep(msg)\n  return msg.payload.no.such end",
        &["next_workers.lua:", "after_sleep"],
    );
}

#[test]
fn an_error_object() {
    costs_one_message("function after_sleep() error({code = 7}) end", &[]);
    costs_one_message("function after_sleep() error() end", &[]);
}

#[test]
fn an_endless_loop() {
    costs_one_message("function after_sleep() while true do end end", &["limit"]);
}

#[test]
fn an_endless_loop_that_catches_errors() {
    costs_one_message(
        "function after_sleep() while true do pcall(function() while true do end end) end end",
        &["limit"],
    );
}

#[test]
fn an_endless_loop_in_a_coroutine() {
    costs_one_message(
        "function after_sleep() coroutine.wrap(function() while true do end end)() end",
        &["limit"],
    );
}

#[test]
fn endless_recursion() {
    costs_one_message(
        "function after_sleep() local function f() return 1 + f() end return f() end",
        &["stack overflow"],
    );
}

#[test]
fn unbounded_memory() {
    costs_one_message("function after_sleep() local s = 'x' while true do s = s .. s end end", &[]);
    costs_one_message("function after_sleep() local t = {} while true do t[#t + 1] = {} end end", &[]);
}

#[test]
fn a_huge_repetition_of_nothing() {
    let system = system().rules("function after_sleep() string.rep('', 1e15) return {} end").start();
    assert_eq!(system.send("sleep", "success", "null"), "ack", "{}", system.describe());
    system.works();
}

#[test]
fn the_way_out_is_closed() {
    for escape in [
        "os.exit(1)",
        "os.execute('true')",
        "io.open('/etc/passwd')",
        "load(string.dump(print))",
        "require('os')",
    ] {
        costs_one_message(&format!("function after_sleep() {escape} end"), &["next_workers.lua:"]);
    }
}

#[test]
fn bytecode_is_not_loaded() {
    costs_one_message("function after_sleep() return load('\\27Lua')() end", &[]);
}

#[test]
fn wrong_return_values() {
    for (value, log) in [
        ("return", "nothing"),
        ("return nil", "nothing"),
        ("return 7", "after_sleep returned an integer"),
        ("return { 'awaken' }", "awaken"),
        ("return { NextWorker('awaken'), 7 }", "at place 2"),
        ("return {}, 7", "7"),
    ] {
        costs_one_message(&format!("function after_sleep() {value} end"), &[log]);
    }
}

#[test]
fn a_missing_function() {
    let system = system().only_rules("function after_keyless() return {} end").start();
    assert_eq!(system.send("sleep", "success", "null"), "no after_worker function");
    system.wait_for_log("manager", "CRITICAL [manager] could not find after_sleep in next_workers module");
    system.wait_for_log(
        "manager",
        "WARNING [manager] sleep (success) is parked. After fixing the rule: nowcast retry ",
    );
    system.works();
    system.write_rules(
        "function after_keyless() return {} end function after_sleep() return { NextWorker('awaken') } end",
    );
    system.operate(&["retry", "--all"]);
    system.wait_for_log("manager", "launching NextWorker(module='awaken'");
}

#[test]
fn an_unregistered_worker_is_launched_with_a_warning() {
    let system = system().rules("function after_sleep() return { NextWorker('no.such.module') } end").start();
    assert_eq!(system.send("sleep", "success", "null"), "ack");
    system.wait_for_log(
        "manager",
        "WARNING [manager] module is launched though it is not in the message registry",
    );
    system
        .wait_for_log("manager", "launching NextWorker(module='no.such.module', args=[], host='localhost')");
    system.works();
}

#[test]
fn an_unknown_host_does_not_stop_the_others() {
    let system = system()
        .rules(
            "function after_sleep() return { NextWorker('sleep', {}, {host = 'nowhere'}), NextWorker('awaken') } end",
        )
        .start();
    assert_eq!(system.send("sleep", "success", "null"), "ack");
    system.wait_for_log(
        "manager",
        "the host nowhere is not in `run: enabled hosts:` or `hosts:`; known hosts: none",
    );
    system.wait_for_log("manager", "[awaken] awoke");
    system.works();
}

#[test]
fn a_program_that_does_not_exist_does_not_stop_the_others() {
    let system = system()
        .section("workers: {sleep: {command: [/no/such/program]}}")
        .rules("function after_keyless() return { NextWorker('sleep'), NextWorker('awaken') } end")
        .start();
    system.works();
    system.wait_for_log("manager", "CRITICAL [manager] could not launch NextWorker(module='sleep'");
    system.wait_for_log("manager", "/no/such/program");
    system.wait_for_log("manager", "[awaken] awoke");
}

#[test]
fn a_system_starts_with_broken_rules_and_takes_the_repaired_ones() {
    for broken in ["function after_sleep( return end", "error('not today')", "while true do end"] {
        let system = system().only_rules(broken).start();
        system.wait_for_log("manager", "CRITICAL [manager]");
        assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack", "{}", system.describe());
        system.wait_for_log("manager", "CRITICAL [manager] the rule for this message failed");
        system.write_rules("function after_keyless() log.info('well again') return {} end");
        system.works();
        system.wait_for_log("manager", "INFO [manager] well again");
        system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    }
}

/// Neither the time limit of a rule nor the watchdog counts the time in which the manager did not run.
#[test]
fn a_manager_that_was_stopped_within_a_rule_goes_on_with_it() {
    let system = system()
        .rules(
            "function after_sleep()
               local sum = 0
               for number = 1, 10000000 do sum = sum + number end
               log.info('the sum is ' .. sum)
               return {}
             end",
        )
        .start();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: null}", 0).expect("sent");
    let is_in_rule = || {
        let poison = fs::read_to_string(system.path("checklist.journal/poison")).expect("the poison file");
        poison.starts_with("deciding").then_some(())
    };
    system.wait_for("the call of the rule", is_in_rule);
    system.signal("manager", Signal::STOP);
    system.wait_for("a manager that is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", system.id("manager"))).expect("its state");
        stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")).then_some(())
    });
    assert_eq!(is_in_rule(), Some(()), "it was stopped within the rule");
    let stopped = Instant::now();
    system.wait_for("more time than a rule may take", || {
        (stopped.elapsed() > Duration::from_secs(3)).then_some(())
    });
    system.signal("manager", Signal::CONT);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_log("manager", "the sum is 50000005000000");
    assert!(!system.log("manager").contains("CRITICAL"), "{}", system.describe());
}
