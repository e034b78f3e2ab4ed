//! What other users of the machine could do with the files of a system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use serde_json::Value;

use crate::support::system::{System, system};

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
    system.wait_for_log_count("manager", "other users had rights on ", 3);
    assert_eq!(mode(&poison), 0o644);
    assert_eq!(mode(&journal), 0o755);
    assert_eq!(mode(&journal.join("runs")), 0o700);
    assert_eq!(mode(&journal.join("claims")), 0o700);
    assert_eq!(mode(&journal.join("control")), 0o600);
    assert!(!journal.join(".control-left").exists());
    system.works();
}

#[test]
fn files_of_the_journal_are_private_whatever_the_umask_is() {
    let mut system = system().prepare();
    let nowcast = system.command(&["manager", "nowcast.yaml"]);
    let mut manager = Command::new("sh");
    manager.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(nowcast.get_program()).args(nowcast.get_args());
    manager.current_dir(system.path(""));
    system.start_broker();
    system.spawn("manager", manager);
    system.works();
    let journal = system.path("checklist.journal");
    for file in fs::read_dir(&journal).expect("a folder").flatten() {
        assert_eq!(mode(&file.path()) & 0o077, 0, "{}", file.path().display());
    }
    assert_eq!(mode(&journal), 0o700);
}

/// Return the remedies of the doctor for rights of other users.
fn remedies(system: &System) -> Vec<String> {
    let (_, checks) = system.operation(&["doctor", "--json"]);
    let checks: Vec<Value> = serde_json::from_str(&checks).expect("JSON");
    let of_rights = checks.iter().filter(|check| check["check"] == "rights");
    of_rights.filter_map(|check| Some(check["help"].as_str()?.to_owned())).collect()
}

#[test]
fn rights_that_no_daemon_takes_away_are_warned_of_with_the_command_that_does() {
    let mut system = system().section("security: {curve: {keys: keys}}").prepare();
    system.operate(&["keys"]);
    assert_eq!(remedies(&system), Vec::<String>::new());
    let journal = system.path("checklist.journal");
    let runs = journal.join("runs");
    fs::create_dir_all(&runs).expect("a folder");
    fs::write(system.path("checklist.yaml"), "{}").expect("a checklist");
    fs::create_dir_all(system.path("rules/rivers")).expect("a folder");
    fs::write(system.path("rules/rivers/fraser.lua"), "return {}").expect("a file of rules");
    let exposed = [
        (journal, 0o757),
        (runs, 0o755),
        (system.config().parent().expect("a folder").to_owned(), 0o757),
        (system.config(), 0o646),
        (system.path("checklist.yaml"), 0o646),
        (system.path("rules/rivers/fraser.lua"), 0o646),
        (system.path("keys/authorized"), 0o757),
        (system.path("keys/broker.key"), 0o646),
    ];
    for (path, mode) in &exposed {
        fs::set_permissions(path, Permissions::from_mode(*mode)).expect("a mode");
    }
    assert_eq!(remedies(&system).len(), exposed.len(), "{:#?}", remedies(&system));

    // The manager repairs the folders of the journal, and the daemons warn of the others.
    system.start_broker();
    system.start_manager(&[]);
    // The messages of this program would have no key.
    assert_eq!(system.operation(&["worker", "sleep", "--sleep-time", "0"]).0, Some(0));
    let (broker, manager) = (system.log("broker"), system.log("manager"));
    for (path, mode) in &exposed[2..] {
        let line = format!("WARNING [{{}}] other users can change {} (mode {mode:04o})", path.display());
        let (name, log) = if path.starts_with(system.path("keys")) {
            ("message_broker", &broker)
        } else {
            ("manager", &manager)
        };
        assert!(log.contains(&line.replace("{}", name)), "{line}\n{log}");
    }
    let left = remedies(&system);
    assert_eq!(left.len(), exposed.len() - 2, "{left:#?}");
    for remedy in left {
        let command = remedy.split(';').next().expect("a command");
        assert!(Command::new("sh").args(["-c", command]).status().expect("a shell").success(), "{command}");
    }
    assert_eq!(remedies(&system), Vec::<String>::new());
}

/// A daemon refuses a secret key that others can read.
#[test]
fn the_doctor_fails_for_a_secret_key_that_others_can_read() {
    let system = system().section("security: {curve: {keys: keys}}").prepare();
    system.operate(&["keys"]);
    let key = system.path("keys/client.key_secret");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("a mode");
    let (status, checks) = system.operation(&["doctor"]);
    assert_eq!(status, Some(1), "{checks}");
    assert!(checks.contains(&format!("→ chmod go-rwx {}", key.display())), "{checks}");
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
    let (status, checks) = system.operation(&["doctor"]);
    assert_eq!(status, Some(1), "{checks}");
    assert!(checks.contains(&format!("→ chown root {}", journal.display())), "{checks}");
}

/// Another user has put folders of runs in their places while that was possible. They name a process that is not a worker's.
#[cfg(feature = "system-tests")]
#[test]
fn folders_of_runs_that_another_user_has_made_are_set_aside() {
    use std::os::unix::fs::{chown, lchown, symlink};
    use std::path::Path;

    const FOLDERS: usize = 60;
    let mut system = system().start();
    let stop = |system: &mut System| {
        system.signal("manager", rustix::process::Signal::TERM);
        assert!(system.wait_for_end("manager").success());
    };
    stop(&mut system);
    let mut bystander = Command::new("sleep").arg("1000").spawn().expect("a process");
    let number = i32::try_from(bystander.id()).expect("a small number");
    let identity = nowcast::process::ProcessIdentity::of(number).expect("a process");
    let identity = serde_json::to_string(&identity).expect("JSON");
    let give_away = |path: &Path| chown(path, Some(65_534), None).expect("given away");
    let plant = |day: &Path| {
        for number in 1..=FOLDERS {
            let run = day.join(number.to_string());
            fs::create_dir_all(&run).expect("a folder");
            for file in ["claim", "process"] {
                fs::write(run.join(file), &identity).expect("a file");
                give_away(&run.join(file));
            }
            give_away(&run);
        }
    };
    let (runs, elsewhere) = (system.path("checklist.journal/runs"), system.path("elsewhere"));
    let today = jiff::ZonedDateTime::now().date();
    plant(&runs.join(today.to_string()));
    plant(&elsewhere);
    // The test may run at midnight.
    let tomorrow = runs.join(today.tomorrow().expect("a day").to_string());
    symlink(&elsewhere, &tomorrow).expect("a link");
    lchown(&tomorrow, Some(65_534), None).expect("given away");
    let (_, checks) = system.operation(&["doctor"]);
    assert_eq!(checks.matches("belongs to another user (uid 65534)").count(), 20, "{checks}");

    system.start_manager(&[]);
    let line = "other users have put files or folders into the journal's folder";
    system.wait_for_log("manager", line);
    let more = format!(" and {} more. ", FOLDERS + 1 - 5);
    assert!(system.log("manager").contains(&more), "{}", system.describe());
    system.operate(&["launch", "sleep", "--sleep-time", "0"]);
    system.wait_for_log("manager", "received message from sleep");
    assert!(bystander.try_wait().expect("a process").is_none(), "{}", system.describe());

    // What was set aside is logged once; the doctor tells of it until it is removed.
    stop(&mut system);
    system.start_manager(&[]);
    assert_eq!(system.log("manager").matches(line).count(), 1, "{}", system.describe());
    let (_, checks) = system.operation(&["doctor"]);
    assert!(checks.contains(".set-aside; check what it is first"), "{checks}");
    bystander.kill().expect("it can be ended");
    bystander.wait().expect("it has ended");
}

/// Only root can give a file away.
#[cfg(feature = "system-tests")]
#[test]
fn a_secret_key_of_another_user_is_refused() {
    let mut system = system().section("security: {curve: {keys: keys}}").prepare();
    system.operate(&["keys"]);
    std::os::unix::fs::chown(system.path("keys/broker.key_secret"), Some(65_534), None).expect("given away");
    let (status, text) = system.run_to_end(&["broker"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("broker.key_secret belongs to another user (uid 65534)"), "{text}");
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
