//! `nowcast doctor --hosts` with the real sshd.

use std::fs;

use crate::doctor::{doctor, of};
use crate::scene::Scene;

#[test]
fn hosts_are_checked_at_the_same_time() {
    let mut scene = Scene::start(true);
    let (status, checks) = doctor(&scene.system, &["--hosts"]);
    // Two of the three cannot be reached.
    assert_eq!(status, Some(1));
    for check in ["ssh", "environment file", "python", "message registry", "broker's port", "clock"] {
        assert_eq!(of(&checks, &format!("robot: {check}")).0, "ok", "{check} in {checks:?}");
    }
    assert!(of(&checks, "locked: ssh").1.contains("Permission denied"), "{checks:?}");
    assert!(of(&checks, "nowhere: ssh").1.contains("Could not resolve hostname"), "{checks:?}");
    assert_eq!(checks.iter().filter(|(name, ..)| name.starts_with("locked: ")).count(), 1);

    // The host has another configuration, no environment file and no Python; the broker is stopped.
    let here = scene.system.path(".").canonicalize().expect("a folder").display().to_string();
    let text = fs::read_to_string(scene.system.config()).expect("the configuration");
    let there = text.replace("keyless: {success: it went well", "keyless: {success: it went otherwise");
    fs::write(scene.system.path("there.yaml"), there).expect("written");
    scene.system.more = format!(
        "run:\n  enabled hosts:\n    robot: {{envvars: {here}/none.sh, python: /no/python, config file: {here}/there.yaml}}\n    \
         bare: {{shared storage: true}}\nworkers: {{}}"
    );
    scene.system.write_config();
    scene.system.signal("broker", rustix::process::Signal::TERM);
    scene.system.wait_for_end("broker");
    let (status, checks) = doctor(&scene.system, &["--hosts"]);
    assert_eq!(status, Some(1));
    for check in ["environment file", "python", "broker's port"] {
        assert_eq!(of(&checks, &format!("robot: {check}")).0, "failed", "{checks:?}");
    }
    let (state, text) = of(&checks, "robot: message registry");
    assert!(state == "warning" && text.ends_with(": keyless"), "{text}");
    assert_eq!(of(&checks, "bare: configuration").0, "warning", "{checks:?}");

    scene.sshd.down();
    let (_, checks) = doctor(&scene.system, &["--hosts"]);
    assert!(of(&checks, "robot: ssh").1.contains("Connection refused"), "{checks:?}");
}
