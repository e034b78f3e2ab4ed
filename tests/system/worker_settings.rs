//! `folder:`, `environment:`, `umask:`, `nice:` and `memory limit:` of workers.

use crate::support::system::{System, system};

/// Wait for the end of the worker's run; return its output.
fn output(system: &System, worker: &str) -> String {
    system.wait_for("its end", || {
        let runs = system.operate(&["runs", "--worker", worker, "--json"]);
        let runs: serde_json::Value = serde_json::from_str(&runs).ok()?;
        (!runs[0]["ended"].is_null()).then_some(())
    });
    system.operate(&["tail", worker])
}

#[test]
fn a_worker_starts_with_its_settings_and_its_launch_takes_precedence() {
    const SETTINGS: &str = "folder: work, umask: '027', nice: 7, memory limit: 1 GB, \
                            environment: {A: 1, B: of its settings, C: '$(NOWCAST.ENV.OF_MANAGER)', D: '{worker}'}";
    const SCRIPT: &str = "pwd; echo \"umask $(umask), nice $(nice), data $(ulimit -d), $A, $B, $C, $D\"; echo > made; stat -c %a made";
    for program in ["exec", "command"] {
        let system = system()
            .worker("script: {success: it went well, crash: it crashed}")
            .section(&format!("workers: {{script: {{{program}: [sh, '{{folder}}/script.sh'], {SETTINGS}}}}}"))
            .rules("function after_script() return {} end\nfunction after_keyless() return { NextWorker('script', {}, { env = { B = 'of its rule' } }) } end")
            .file("script.sh", SCRIPT)
            .file("work/file", "")
            .env("OF_MANAGER", "the manager's")
            .start();
        system.send("keyless", "success", "null");
        let output = output(&system, "script");
        let folder = std::fs::canonicalize(system.path("work")).expect("a folder");
        let expected = format!(
            "{}\numask 0027, nice 7, data 1048576, 1, of its rule, the manager's, script\n640\n",
            folder.display()
        );
        assert!(output.contains(&expected), "{program}: {output}");
    }
}

#[test]
fn a_missing_working_folder_is_a_failed_launch_that_says_so() {
    let system = system().section("workers: {sleep: {exec: ['true'], folder: '{folder}/nowhere'}}").start();
    let check = system.operation(&["config", "check"]).1;
    assert!(check.contains("workers: sleep: folder: the working folder does not exist; make it"), "{check}");
    system.operate(&["launch", "sleep"]);
    let why = system.wait_for("its end", || {
        let why = system.operation(&["why", "sleep"]).1;
        why.contains("could not be started").then_some(why)
    });
    let expected = format!(
        "the working folder {} cannot be used; make it, or change `folder:`",
        system.path("nowhere").display()
    );
    assert!(why.contains(&expected), "{why}");
}

#[test]
fn a_worker_over_its_memory_limit_ends_with_the_reason() {
    let system = system()
        .section("workers: {sleep: {exec: [python3, -c, 'a = bytearray(1 << 30)'], memory limit: 256 MB}}")
        .start();
    system.operate(&["launch", "sleep"]);
    assert!(output(&system, "sleep").contains("MemoryError"));
    let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let number = runs[0]["number"].to_string();
    for question in [&["status"][..], &["why", &number]] {
        let expected = "nowcast: probably over the worker's `memory limit: 256 MB`; its largest process had ";
        system.wait_for("the reason", || system.operation(question).1.contains(expected).then_some(()));
    }
}
