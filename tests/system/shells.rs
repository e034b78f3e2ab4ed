//! Completions in a real shell, and manual pages.

use std::path::Path;
use std::process::Command;

use crate::support::system::{NOWCAST, System, system};

/// What bash offers for the last of these words.
fn offered(system: &System, words: &str) -> Vec<String> {
    let script = format!(
        "source <(nowcast generate completions bash)
         COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
         COMP_LINE=\"${{COMP_WORDS[*]}}\"; COMP_POINT=${{#COMP_LINE}}
         $(complete -p nowcast | sed 's/.* -F \\([^ ]*\\) .*/\\1/') nowcast \"${{COMP_WORDS[$COMP_CWORD]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    let ours = Path::new(NOWCAST).parent().expect("a folder");
    let path = format!("{}:{}", ours.display(), std::env::var("PATH").unwrap_or_default());
    bash.args(["-c", &script]).env("PATH", path).current_dir(system.path("."));
    let output = bash.output().expect("bash runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_workers_runs_types_and_messages() {
    let system = system().rules("function after_keyless() error('no') end\n").start();
    assert_eq!(offered(&system, "nowcast laun"), ["launch"]);
    let workers = offered(&system, "nowcast launch ''");
    assert!(["sleep", "keyless"].iter().all(|name| workers.contains(&(*name).to_owned())), "{workers:?}");
    assert_eq!(offered(&system, "nowcast hold --worker slee"), ["sleep"]);
    assert_eq!(offered(&system, "nowcast send sleep fail"), ["failure"]);

    system.operate(&["launch", "sleep", "--sleep-time", "0"]);
    let run = system.wait_for("a run", || {
        let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).ok()?;
        runs[0]["number"].as_u64()
    });
    for command in ["tail", "why", "rerun", "kill"] {
        let runs = offered(&system, &format!("nowcast {command} ''"));
        assert!(runs.contains(&run.to_string()), "{command}: {runs:?}");
    }
    system.send("keyless", "success", "null");
    let parked = system.wait_for("a parked message", || {
        offered(&system, "nowcast retry ''").into_iter().find(|word| word.parse::<u64>().is_ok())
    });
    system.operate(&["why", &parked]);
}

#[test]
fn without_a_configuration_commands_are_completed_and_nothing_is_printed() {
    let system = system().prepare();
    std::fs::remove_file(system.config()).expect("removed");
    assert_eq!(offered(&system, "nowcast laun"), ["launch"]);
    let words = offered(&system, "nowcast why ''");
    assert!(
        words.contains(&"--config".to_owned()) && words.iter().all(|word| word.starts_with("--")),
        "{words:?}"
    );
}

#[test]
fn each_command_has_a_manual_page() {
    let system = system().prepare();
    system.operate(&["generate", "man", "man"]);
    let page = |name: &str| std::fs::read_to_string(system.path("man").join(name)).unwrap_or_default();
    assert!(
        page("nowcast.1").contains("An event\\-driven orchestrator") || page("nowcast.1").contains("nowcast")
    );
    assert!(
        page("nowcast-rules-check.1").contains("misspelt") || page("nowcast-rules-check.1").contains(".TH")
    );
    assert!(page("nowcast-launch.1").contains("\\-\\-delay"), "{}", page("nowcast-launch.1"));
    assert_eq!(page("nowcast-runner.1"), "", "hidden commands have none");
}
