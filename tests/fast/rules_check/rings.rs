//! Rings of launches in which no launch sets a cycle.

use super::{OTHERS, check};
use crate::support::system::{Builder, System, system};

/// Weather four times a day as in `SalishSeaCast`: each forecast launches the collection of the next one. `OPTION` is for the launch of
/// tomorrow's first one.
const WEATHER: &str = r#"
local following = { ["00"] = "06", ["06"] = "12", ["12"] = "18", ["18"] = "00" }
function after_collect_weather(msg, config, checklist)
  if not msg.type:startswith("success") then return {} end
  local hour = msg.type:split(" ")[3]
  local launches = { worker("awaken", hour) }
  if hour ~= "18" then
    return add(launches, worker("collect_weather", following[hour], "2.5km"))
  end
  return add(launches, worker("collect_weather", "00", "2.5km")OPTION)
end
function after_sleep(msg) return { worker("awaken"):with{ cycle = now():format("%Y-%m-%d") } } end
function after_awaken() return {} end
"#;

fn weather(option: &str) -> Builder {
    system()
        .worker(
            "collect_weather: {checklist key: weather, success 2.5km 00: '', success 2.5km 06: '', success 2.5km 12: '', \
             success 2.5km 18: '', failure: no weather, crash: crashed}",
        )
        .only_rules(&format!("{}{OTHERS}", WEATHER.replace("OPTION", option)))
}

/// The warnings of endless cycles.
fn rings(system: &System) -> String {
    let (status, text) = check(system, &[]);
    assert_eq!(status, 0, "{text}");
    let problems = text.split("\n\n").filter(|problem| problem.contains("of this ring"));
    problems.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn weather_that_launches_the_next_day_s_is_one_endless_cycle() {
    let expected = r#"warning: no launch of this ring sets a cycle, so that its cycle never ends: collect_weather (success 2.5km 00) → collect_weather (success 2.5km 06) → collect_weather (success 2.5km 12) → collect_weather (success 2.5km 18) → collect_weather (success 2.5km 00)
  --> rules/next_workers.lua:10
10 |   return add(launches, worker("collect_weather", "00", "2.5km"))
   = set one at the launch that begins the next forecast: `:with{ cycle = … }`, or `cycle = false`"#;
    assert_eq!(rings(&weather("").prepare()), expected);
    // A label that is always the same is none.
    assert_ne!(rings(&weather(":with{ cycle = msg.cycle }").prepare()), "");
}

#[test]
fn a_launch_that_sets_a_cycle_or_none_ends_it() {
    for option in [
        r#":with{ cycle = now():format("%Y-%m-%d") }"#,
        ":with{ cycle = date(msg.cycle):shift{ days = 1 } }",
        ":with{ cycle = false }",
    ] {
        assert_eq!(rings(&weather(option).prepare()), "", "{option}");
    }
}

/// Launches a worker again until its type says that its data are there, and when it fails.
const POLLING: &str = r#"
function after_sleep(msg)
  return { worker("watch"):with{ cycle = now():format("%Y-%m-%d") } }
end
function after_watch(msg)
  if msg.type == "success" then return { worker("awaken") } end
  return { worker("watch"):with{ delay = "5m" } }
end
function after_awaken() return {} end
"#;

#[test]
fn a_worker_that_is_launched_again_until_it_says_success_is_not_a_ring() {
    let system = system()
        .worker("watch: {success: there, success not yet: '', failure: failed, crash: crashed}")
        .only_rules(&format!("{POLLING}{OTHERS}"));
    assert_eq!(rings(&system.prepare()), "");
}

#[test]
fn a_worker_that_is_launched_again_until_its_payload_says_so_is_not_a_ring_once_that_was_seen() {
    let rules = "
        function after_keyless(msg)
          if msg.payload == 'done' then return {} end
          return { worker('keyless') }
        end
        function after_sleep(msg) return { worker('keyless'):with{ cycle = now():format('%Y-%m-%d') } } end";
    let system = system().rules(rules).start();
    let ring = "sets a cycle, so that its cycle never ends: keyless (success) → keyless (success)\n";
    assert!(rings(&system).contains(ring));
    assert_eq!(system.send("keyless", "success", "done"), "ack");
    assert_eq!(rings(&system), "");
}

#[test]
fn a_system_without_cycles_is_not_warned_until_it_uses_them() {
    let rules = "function after_keyless() return { worker('keyless') } end";
    let mut system = system().rules(rules).start();
    system.operate(&["hold", "--all"]);
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    assert_eq!(rings(&system), "");
    // An operator names one.
    system.operate(&["send", "--cycle", "hindcast-12", "keyless", "success"]);
    assert!(rings(&system).contains("keyless (success) → keyless (success)\n"));
    // The schedule names one: a system that has not begun.
    let scheduled = "scheduled workers: [keyless: {every: day, at: '05:15', cycle: '%Y-%m-%d'}]";
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    let system = crate::support::system::system().rules(rules).section(scheduled).prepare();
    assert!(rings(&system).contains("keyless (success) → keyless (success)\n"));
}
