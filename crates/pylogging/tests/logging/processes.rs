//! Several writers, consoles that go away, disks that are full, configurations that change under way.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::child::{Script, finish};

/// Everything to stdout and to the file `log`, as `LEVEL [name] message`.
const BOTH: &str = r#"{"version": 1,
    "formatters": {"f": {"format": "%(levelname)s [%(name)s] %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "f"},
        "file": {"class": "logging.handlers.WatchedFileHandler", "filename": "log", "formatter": "f"}},
    "root": {"level": "DEBUG", "handlers": ["console", "file"]}}"#;

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap()
}

#[test]
fn rust_log_narrows_the_console_and_nothing_else() {
    let script = Script::default()
        .install("daemon", &BOTH.replace(r#""level": "DEBUG""#, r#""level": "INFO""#))
        .log("manager", 10, "d")
        .log("manager", 20, "i")
        .log("sleep", 20, "s")
        .log("manager", 50, "c");
    let all = "INFO [manager] i\nINFO [sleep] s\nCRITICAL [manager] c\n";
    let cases = [
        (None, all),
        (Some(""), all),
        (Some("trace"), all),
        (Some("manager=loud"), all),
        (Some("warn"), "CRITICAL [manager] c\n"),
        (Some("sleep"), "INFO [sleep] s\n"),
        (Some("error,sleep=debug"), "INFO [sleep] s\nCRITICAL [manager] c\n"),
        (Some("off"), ""),
    ];
    for (rust_log, console) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (stdout, stderr) = script.run(folder.path(), rust_log);
        assert_eq!((stdout.as_str(), stderr.as_str()), (console, ""), "RUST_LOG={rust_log:?}");
        assert_eq!(read(folder.path(), "log"), all, "RUST_LOG={rust_log:?}");
    }
}

#[test]
fn a_closed_console_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::default()
        .install("daemon", BOTH)
        .step("wait", &[])
        .log("manager", 20, "one")
        .log("manager", 20, "two")
        .step("note", &[r#""survived""#, r#""yes""#]);
    let mut child = script.start_with_breaking_stdout(folder.path());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let (_, stderr) = finish(child.wait_with_output().unwrap());
    assert_eq!(read(folder.path(), "survived"), "yes\n");
    assert_eq!(read(folder.path(), "log"), "INFO [manager] one\nINFO [manager] two\n");
    assert_eq!(stderr.matches("cannot log to stdout: Broken pipe").count(), 1, "{stderr}");
}

#[test]
fn a_full_disk_stops_nothing_and_is_complained_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = BOTH.replace(r#""filename": "log""#, r#""filename": "/dev/full""#);
    let script =
        Script::default().install("daemon", &config).log("manager", 20, "one").log("manager", 20, "two");
    let (stdout, stderr) = script.run(folder.path(), None);
    assert_eq!(stdout, "INFO [manager] one\nINFO [manager] two\n");
    assert_eq!(
        stderr,
        "nowcast: cannot log to /dev/full: No space left on device (os error 28); \
         lines are lost until it works again; free some space\n"
    );
}

/// Checks that the log is nothing but whole records, and that each writer's are all there.
fn check_records(log: &str, writers: &[(&str, u32)]) {
    let mut found = BTreeSet::new();
    let mut rest = log;
    while let Some((head, _)) = rest.split_once('\n') {
        let (writer, number) = head
            .strip_prefix("INFO [")
            .and_then(|head| head.split_once("] "))
            .and_then(|(writer, number)| Some((writer, number.parse::<u32>().ok()?)))
            .unwrap_or_else(|| panic!("{head:?} is not the beginning of a record"));
        let body = format!("  {writer} goes on\n").repeat(if number.is_multiple_of(10) { 600 } else { 3 });
        let record = format!("{head}\n{body}  end of {writer} {number}\n");
        rest = rest.strip_prefix(&record).unwrap_or_else(|| panic!("{head:?} is torn"));
        assert!(found.insert((writer, number)), "{head:?} came twice");
    }
    assert_eq!(rest, "");
    let expected =
        writers.iter().flat_map(|(writer, count)| (0..*count).map(move |number| (*writer, number)));
    assert_eq!(found, expected.collect());
}

#[test]
fn records_of_two_processes_stay_whole() {
    const COUNT: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let config = BOTH.replace(r#""console", "#, "").replace(r#""log""#, r#""../log""#);
    let children = ["p", "q"].map(|writer| {
        let own = folder.path().join(writer);
        fs::create_dir(&own).unwrap();
        let script = Script::default().install("daemon", &config).step("wait", &[]);
        let mut child = script.step("many", &[&format!("{writer:?}"), &COUNT.to_string()]).start(&own, None);
        let go = child.stdin.take().unwrap();
        (child, go)
    });
    let children = children.map(|(child, mut go)| {
        go.write_all(b"go\n").unwrap();
        child
    });
    for child in children {
        finish(child.wait_with_output().unwrap());
    }
    check_records(&read(folder.path(), "log"), &[("p", COUNT), ("q", COUNT)]);
}

#[test]
fn no_line_is_lost_or_torn_while_configurations_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let one = BOTH.replace(r#""console", "#, "");
    let other = one.replace(r#""log""#, r#""other""#);
    let script = Script::default().install("daemon", &one).step("swap", &[&one, &other, "50"]);
    let (stdout, stderr) = script.run(folder.path(), None);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
    let (one, other) = (read(folder.path(), "log"), read(folder.path(), "other"));
    assert!(!one.is_empty() && !other.is_empty(), "both were in force");
    let counts = read(folder.path(), "counts");
    let counts = counts.lines().map(|count| count.parse().unwrap());
    let writers: Vec<_> = ["t0", "t1", "t2", "t3"].into_iter().zip(counts).collect();
    check_records(&(one + &other), &writers);
}

#[test]
fn a_refused_configuration_leaves_the_old_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (stdout, _) = Script::default()
        .install("daemon", BOTH)
        .install("daemon", &BOTH.replace(r#""log""#, r#""none/log""#).replace("INFO", "ERROR"))
        .log("manager", 20, "still here")
        .run(folder.path(), None);
    assert_eq!(stdout, "INFO [manager] still here\n");
    assert_eq!(read(folder.path(), "log"), stdout);
    assert!(read(folder.path(), "refused").contains("handlers: file: filename"));
}

#[test]
fn early_warnings_go_to_stderr_and_a_librarys_lines_where_they_belong() {
    let folder = tempfile::tempdir().unwrap();
    let config = BOTH
        .replace(r#""root""#, r#""loggers": {"some": {"handlers": ["file"], "propagate": false}}, "root""#);
    let (stdout, stderr) = Script::default()
        .log("manager", 20, "not yet")
        .log("manager", 30, "early")
        .install("daemon", &config)
        .step("library", &[r#""of a library""#])
        .step("handlers", &[r#""some""#])
        .step("handlers", &[r#""root""#])
        .step("handlers", &[r#""nobody""#])
        .run(folder.path(), None);
    assert!(stderr.ends_with(" WARNING [manager] early\n") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(stdout, "");
    assert_eq!(read(folder.path(), "log"), "WARNING [some.library] of a library\n");
    assert_eq!(read(folder.path(), "handlers"), "[Level(0)]\n[Level(0), Level(0)]\n[]\n");
}

/// Three rotating files of the root and two more of the logger `checklist`, one of them the root's too.
const ROTATING: &str = r#"{"version": 1,
    "formatters": {"f": {"format": "%(levelname)s [%(name)s] %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "level": 100},
        "info": {"class": "logging.handlers.RotatingFileHandler", "filename": "info", "level": "INFO", "formatter": "f", "backupCount": 2},
        "debug": {"class": "logging.handlers.RotatingFileHandler", "filename": "debug", "formatter": "f", "backupCount": 2},
        "list": {"class": "logging.handlers.RotatingFileHandler", "filename": "list", "formatter": "f", "backupCount": 2},
        "other": {"class": "logging.handlers.RotatingFileHandler", "filename": "other", "formatter": "f", "backupCount": 2},
        "plain": {"class": "logging.FileHandler", "filename": "plain", "formatter": "f"}},
    "loggers": {"checklist": {"handlers": ["list", "info"], "propagate": false}, "a": {"handlers": ["other"]}},
    "root": {"level": "DEBUG", "handlers": ["console", "info", "debug"]}}"#;

#[test]
fn rotation_takes_the_roots_files_then_the_checklists_and_its_lines_are_in_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    Script::default()
        .install("worker", ROTATING)
        .log("manager", 20, "old")
        .log("checklist", 20, "checklist:\n{}")
        .step("rotate", &[])
        .run(folder.path(), None);
    let path = fs::canonicalize(folder.path()).unwrap();
    let [info, debug, list] = ["info", "debug", "list"].map(|name| path.join(name).display().to_string());
    let rotated = |file: &str| format!("INFO [rotate_logs] log file rotated: {file}\n");
    let set = |file: &str| format!("DEBUG [rotate_logs] new {file} log file permissions set to rw-rw-r--\n");

    assert_eq!(read(&path, "rotated"), format!("{info}\n{debug}\n{list}\n"));
    assert_eq!(read(&path, "info"), rotated(&info) + &rotated(&debug) + &rotated(&list));
    let old_debug = "INFO [manager] old\n".to_owned() + &rotated(&info) + &set(&info);
    assert_eq!(read(&path, "debug.1"), old_debug);
    assert_eq!(read(&path, "debug"), rotated(&debug) + &set(&debug) + &rotated(&list) + &set(&list));
    assert_eq!(read(&path, "list.1"), "INFO [checklist] checklist:\n{}\n");
    assert!(!path.join("other.1").exists() && !path.join("plain.1").exists());
    for file in [info, debug, list] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o664);
    }
}

#[test]
fn a_daemon_rotates_nothing_and_a_rotation_that_fails_says_which_file() {
    let folder = tempfile::tempdir().unwrap();
    Script::default().install("daemon", ROTATING).step("rotate", &[]).run(folder.path(), None);
    assert_eq!(read(folder.path(), "rotated"), "\n");
    fs::remove_file(folder.path().join("rotated")).unwrap();

    for name in ["debug.1/full", "debug.2/full"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    Script::default().install("worker", ROTATING).step("rotate", &[]).run(folder.path(), None);
    let said = read(folder.path(), "rotated");
    assert!(said.starts_with("cannot rotate the log file ") && said.contains("/debug: "), "{said}");
}
