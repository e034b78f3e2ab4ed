//! The manager tells what it sees at a glance.

use rustix::process::Signal;

use super::OTHERS;
use crate::support::system::system;

#[test]
fn problems_are_reported_at_each_reload_and_refuse_nothing() {
    let rules = |text: &str| format!("function after_awaken() return {{}} end\n{OTHERS}{text}\n");
    let system = system().only_rules(&rules("function after_sleep() return {} end")).start();
    assert!(!system.log("manager").contains("next_workers.lua"), "{}", system.log("manager"));

    system.write_rules(&rules(
        "function after_sleep(msg) if msg.type == 'no' then return { wrker('awaken') } end return {} end",
    ));
    system.works();
    system.wait_for_log(
        "manager",
        "WARNING [manager] rules/next_workers.lua:6:61: there is no name `wrker`; did you mean `worker`?\n",
    );
    assert_eq!(system.send("sleep", "success", "null"), "ack");

    // Unchanged rules are not looked at again, a new generation is.
    let before = system.log("manager").matches("there is no name").count();
    system.works();
    assert_eq!(before, system.log("manager").matches("there is no name").count());
    let names = (0..30).map(|number| format!("unknown_{number}")).collect::<Vec<_>>().join(", ");
    system.write_rules(&rules(&format!("function after_sleep(msg) local t = {{ {names} }} return {{}} end")));
    system.works();
    system.wait_for_log(
        "manager",
        "WARNING [manager] 10 more problems in the rules: nowcast rules check shows them",
    );
}

#[test]
fn a_registered_worker_without_a_function_is_reported_on_hangup() {
    let mut system = system().start();
    let config = std::fs::read_to_string(system.config()).expect("the configuration");
    let with_newcomer = config
        .replace("    keyless: {", "    newcomer: {success: it came, crash: it crashed}\n    keyless: {");
    assert_ne!(config, with_newcomer);
    std::fs::write(system.config(), with_newcomer).expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for_log(
        "manager",
        "the registered worker `newcomer` has no function `after_newcomer`; its messages",
    );
    system.signal("manager", Signal::TERM);
    assert!(system.wait_for_end("manager").success());
}
