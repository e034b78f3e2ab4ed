//! What other users of the machine could do with the files of a system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::system::system;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

#[test]
fn folders_that_others_could_change_are_repaired_at_the_start() {
    let mut system = system().prepare();
    let journal = system.path("checklist.journal");
    for folder in ["", "runs", "claims"] {
        let folder = journal.join(folder);
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("a mode");
    }
    let poison = journal.join("poison");
    fs::write(&poison, "").expect("a file");
    fs::set_permissions(&poison, Permissions::from_mode(0o666)).expect("a mode");
    fs::create_dir(journal.join(".control-left")).expect("a folder");
    system.start_broker();
    system.start_manager(&[]);
    // The broker notes its state in the journal's folder before the manager starts.
    system.wait_for_log_count("broker", "other users had rights on ", 1);
    system.wait_for_log_count("manager", "other users had rights on ", 2);
    assert_eq!(mode(&journal), 0o755);
    assert_eq!(mode(&journal.join("runs")), 0o700);
    assert_eq!(mode(&journal.join("claims")), 0o700);
    assert_eq!(mode(&journal.join("control")), 0o600);
    assert_eq!(mode(&poison), 0o600);
    assert!(!journal.join(".control-left").exists());
    system.works();
}

/// Only root can give a folder away.
#[cfg(feature = "system-tests")]
#[test]
fn a_folder_of_another_user_is_refused() {
    let mut system = system().prepare();
    let journal = system.path("checklist.journal");
    fs::create_dir(&journal).expect("a folder");
    std::os::unix::fs::chown(&journal, Some(65_534), None).expect("given away");
    system.start_broker();
    let (status, text) = system.run_to_end(&["manager"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("belongs to another user (uid 65534)"), "{text}");
}

#[test]
fn a_scheduler_that_launches_itself_does_not_give_them_to_workers_either() {
    let mut system = system()
        .env("SLACK_SECRET", "http://127.0.0.1:1/a")
        .env("UNRELATED", "d")
        .section(
            "slack notifications: {SLACK_SECRET: [keyless]}
workers: {keyless: {command: [sh, -c, 'env > shown.new && mv shown.new shown']}}
scheduled workers: [{keyless: {cron: '* * * * * *'}}]",
        )
        .prepare();
    system.start_scheduler(&[]);
    let shown = system.wait_for("the worker's environment", || fs::read_to_string(system.path("shown")).ok());
    assert!(!shown.contains("SLACK_SECRET=") && shown.contains("UNRELATED="), "{shown}");
}

/// The manager has secrets in its environment; its workers' environments can be read by those who wrote the workers.
#[test]
fn workers_do_not_get_the_secrets_of_notifications() {
    let system = system()
        .env("SLACK_SECRET", "http://127.0.0.1:1/a")
        .env("HOOK_SECRET", "b")
        .env("HOME_OF_ALL", "c")
        .env("UNRELATED", "d")
        .worker("shown: {success: it is shown, failure: it is not, crash: it crashed}")
        .section(
            "slack notifications: {SLACK_SECRET: [keyless]}
notifications: {hook: {workers: [keyless], url: 'http://127.0.0.1:1/$(NOWCAST.ENV.HOOK_SECRET)/$(NOWCAST.ENV.HOME_OF_ALL)'}}
elsewhere: $(NOWCAST.ENV.HOME_OF_ALL)
workers: {shown: {exec: [sh, -c, 'env > shown.new && mv shown.new shown']}}",
        )
        .start();
    system.operate(&["launch", "shown"]);
    let shown = system.wait_for("the worker's environment", || fs::read_to_string(system.path("shown")).ok());
    let has = |name: &str| shown.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(!has("SLACK_SECRET") && !has("HOOK_SECRET"), "{shown}");
    assert!(has("HOME_OF_ALL") && has("UNRELATED"), "{shown}");
}
