//! The results of the historical rules, called again, compared with the journal.

use crate::support::system::system;

#[test]
fn another_configuration_shows_as_not_reproducible() {
    let rules = "function after_sleep(msg, config) return { NextWorker('awaken', { need(config, 'extra', 'name') }, { delay = '10h' }) } end";
    let mut system = system().only_rules(rules).section("extra: {name: here}").start();
    system.send("sleep", "success", "null");
    "extra: {}".clone_into(&mut system.more);
    system.write_config();
    let text = system.operate(&["rules", "replay"]);
    assert!(text.contains("1 not reproducible: the historical rules, called again"), "{text}");
    assert!(text.contains("    #2: then an answer; now the error next_workers.lua:1: "), "{text}");
}

/// Both sides answer otherwise and alike: what the journal has tells.
#[test]
fn launches_and_joins_that_the_historical_rules_no_longer_return_are_not_reproducible() {
    let rules = "function after_sleep(msg, config)
  if msg.type == 'failure' then
    return { NextWorker('awaken', {}, { delay = '10h' }) },
      Join{ name = 'for ' .. config.extra.name, wait_for = { 'rotate_logs' }, launch = { NextWorker('keyless') } }
  end
  return { NextWorker('awaken', { config.extra.name }, { delay = '10h' }) }
end";
    let mut system = system().only_rules(rules).section("extra: {name: here}").start();
    system.send("sleep", "success", "null");
    system.send("sleep", "failure", "null");
    let text = system.operate(&["rules", "replay", "--exit-code"]);
    assert!(text.starts_with("2 of them were decided by these very rules"), "{text}");
    "extra: {name: there}".clone_into(&mut system.more);
    system.write_config();
    let said = |text: &str| {
        for line in [
            "2 not reproducible: ",
            "    #2: then awaken here (delay 10h); now awaken there (delay 10h)\n",
            "    #4: then awaken (delay 10h), keyless, join for here for 1; now awaken (delay 10h), keyless, join for there for 1\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("nothing can differ"), "{text}");
    };
    said(&system.operate(&["rules", "replay"]));
    std::fs::write(system.path("edited.lua"), format!("-- other\n{rules}")).expect("written");
    let (status, text) = system.operation(&["rules", "replay", "--rules", "edited.lua", "--exit-code"]);
    said(&text);
    assert_eq!(status, Some(1), "{text}");
}

/// A launch counts as returned by its rule whether it waits in a join, is parked, discarded, released or launched.
#[test]
fn whatever_became_of_a_launch_it_is_reproducible() {
    let rules = "function after_sleep(msg)
  return { NextWorker('rotate_logs', {}, { delay = '10h' }) },
    Join{ name = msg.payload, wait_for = { 'awaken', rotate_logs = 2 }, launch = { NextWorker('sleep', {}, { delay = '9h' }) }, timeout = '3h' }
end
function after_awaken() return { NextWorker('awaken', {}, { delay = '8h' }) } end
function after_rotate_logs() return {} end";
    let system = system().only_rules(rules).start();
    let join = |name: &str| {
        let joins: serde_json::Value =
            serde_json::from_str(&system.operate(&["status", "--json"])).expect("JSON");
        let all = joins["joins"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|join| join["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("{joins:#}"))["number"].to_string()
    };
    for (name, ending) in [("done", ""), ("released", "release"), ("discarded", "discard"), ("open", "")] {
        assert_eq!(system.send("sleep", "success", name), "ack");
        assert_eq!(system.send("awaken", "success", "null"), "ack");
        match ending {
            "" if name == "done" => {
                system.send("rotate_logs", "success", "null");
                system.send("rotate_logs", "success", "null");
            }
            "" => {}
            ending => drop(system.operate(&[ending, &join(name)])),
        }
    }
    // The join of the name that is open is parked by its like.
    system.send("sleep", "success", "open");
    let text = system.operate(&["rules", "replay"]);
    assert!(text.starts_with("11 of them were decided by these very rules"), "{text}");
    assert!(!text.contains("not reproducible"), "{text}");
}

/// Launches show the input of their rule, so each result of the historical rules can be compared with the run that followed.
#[test]
fn the_historical_rules_get_their_original_input() {
    let rules = "
local function seen(checklist)
  local parts = {}
  for key, entry in pairs(checklist) do
    for inner, value in pairs(entry) do add(parts, key .. '.' .. inner .. '=' .. tostring(value)) end
  end
  return table.concat(parts, ' ')
end
local function answer(msg, config, checklist)
  return { NextWorker('rotate_logs', { seen(checklist), tostring(now()), math.random(1000000) }, { delay = '10h' }) }
end
after_sleep, after_awaken, after_keyless, after_clear_checklist = answer, answer, answer, answer
";
    let mut system = system().only_rules(rules).env("TZ", "America/Vancouver").start();
    system.send("sleep", "success", "{b: '1', a: '2'}");
    system.send_raw("{source: awaken, type: success, payload: {c: '3'}, id: mine, run: '77'}");
    system.operate(&["checklist", "set", "sleepyhead", "d", "4"]);
    system.send("sleep", "success", "{a: '5'}");
    system.send("sleep", "need", "sleepyhead");
    assert_eq!(system.send("clear_checklist", "clear checklist", "null"), "checklist cleared");
    system.send("keyless", "success", "null");
    system.operate(&["send", "awaken", "success", "{z: '1', y: 2026-03-14}"]);
    // What is still to be written would go over the edit.
    system.wait_for("the checklist file", || {
        let text = std::fs::read_to_string(system.path("checklist.yaml")).unwrap_or_default();
        text.contains("z: '1'").then_some(())
    });
    std::fs::write(system.path("checklist.yaml"), "sleepyhead: {h: '9', 1: one}\n").expect("written");
    system.signal("manager", rustix::process::Signal::HUP);
    system.wait_for_log_count("manager", "hangup signal (SIGHUP) received", 1);
    system.wait_for("the checklist of the file", || {
        system.operate(&["checklist", "show"]).contains("h: '9'").then_some(())
    });
    system.send("sleep", "success", "{i: '10'}");
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.send("sleep", "success", "null");

    std::fs::write(system.path("edited.lua"), rules.replace("'rotate_logs'", "'awaken'")).expect("written");
    let replay = ["rules", "replay", "--rules", "edited.lua", "--all", "--json"];
    let output = system.command(&replay).env("TZ", "UTC").output().expect("it runs");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let differences = document["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 7, "{document:#}");
    for difference in differences {
        let run = runs.as_array().and_then(|all| all.iter().find(|run| run["cause"] == difference["number"]));
        let run = run.unwrap_or_else(|| panic!("a run of {difference:#}\n{runs:#}"));
        assert_eq!(difference["removed"][0]["args"], run["args"], "{difference:#}");
        let time = run["args"][1].as_str().expect("a time");
        assert!(time.contains("-08:00") || time.contains("-07:00"), "{time}");
    }
    assert_eq!(document["summary"]["not_reproducible"], 0);
}
