//! What people see on a terminal of 80 columns and 24 lines, in a pipe, and without colours or Unicode.

use std::process::Command;

use unicode_width::UnicodeWidthStr;

use crate::support::python;
use crate::support::system::{System, system};

/// Runs a command on a terminal of 80×24 and prints what arrived there. With `watch`, SIGINT is sent after the second page.
const TERMINAL: &str = r#"
import fcntl, os, pty, signal, struct, sys, termios
watch, command = sys.argv[1] == "watch", sys.argv[2:]
pid, screen = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(command[0], command)
seen, told = b"", False
while True:
    try:
        some = os.read(screen, 65536)
    except OSError:
        break
    if not some:
        break
    seen += some
    if watch and not told and seen.count(b"\x1b[H") == 2 and seen.endswith(b"\x1b[J"):
        os.kill(pid, signal.SIGINT)
        told = True
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// What a command writes on a terminal.
fn on_terminal(system: &System, mode: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let command = system.command(arguments);
    let mut terminal = Command::new(python::venv());
    terminal.args(["-c", TERMINAL, mode]).arg(command.get_program()).args(command.get_args());
    terminal.current_dir(system.path("")).env("TERM", "xterm").env("LANG", "C.UTF-8");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_CTYPE", "CI"] {
        terminal.env_remove(name);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    let output = terminal.envs(environment.iter().copied()).output().expect("Python runs");
    String::from_utf8(output.stdout).expect("UTF-8").replace("\r\n", "\n")
}

/// A text without its escape codes.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.find(char::is_ascii_alphabetic);
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A system with something of everything, most of it too long for 80 columns.
fn crowded() -> System {
    let system = system()
        .worker("a_worker_with_quite_a_long_name: {success: yes, crash: no}")
        .section("workers: {a_worker_with_quite_a_long_name: {command: ['/nowhere/a/program/that/is/not/there']}}")
        .rules("function after_a_worker_with_quite_a_long_name() return {} end function after_sleep() error('a reason that takes more than eighty columns, since it goes on and on and on') end")
        .start();
    for day in 1..=14 {
        let day = format!("--run-date 2026-03-{day:02}");
        system.operate(&["launch", "a_worker_with_quite_a_long_name", "forecast", &day]);
    }
    system.send("sleep", "success", "null");
    for number in 0..24 {
        system.operate(&["launch", "--delay", "1h", "awaken", &format!("argument-{number}")]);
    }
    system.wait_for("the crashes", || {
        let runs = system.operate(&["runs", "--failed", "-n", "99"]);
        (runs.matches("crashed").count() == 14).then_some(())
    });
    system
}

#[test]
fn pages_fit_a_terminal_of_80_columns() {
    let system = crowded();
    for arguments in
        [&["status"][..], &["runs"], &["messages"], &["why", "a_worker_with_quite_a_long_name"], &["doctor"]]
    {
        let text = on_terminal(&system, "once", arguments, &[]);
        let page = plain(&text);
        let long: Vec<&str> = page.lines().filter(|line| line.width() > 80).collect();
        assert!(long.is_empty(), "{arguments:?}: {long:#?}\n{page}");
        assert!(page.lines().count() > 2, "{arguments:?}: {page}");
    }
}

#[test]
fn equal_failures_are_one_item_with_every_number() {
    let system = crowded();
    let text = system.operation(&["status"]).1;
    assert!(text.contains("  a_worker_with_quite_a_long_name ×14  "), "{text}");
    let status: serde_json::Value =
        serde_json::from_str(&system.operation(&["status", "--json"]).1).expect("JSON");
    let item = &status["attention"][0];
    assert_eq!(item["numbers"].as_array().map(Vec::len), Some(14), "{item}");
    assert_eq!(item["numbers"][0], item["number"]);
    assert_eq!(status["attention"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn watching_has_the_screen_for_itself_and_never_more_than_its_lines() {
    let system = crowded();
    let text = on_terminal(&system, "watch", &["status", "-w"], &[]);
    assert!(text.starts_with("\u{1b}[?1049h") && text.ends_with("\u{1b}[?1049l"), "{text:?}");
    let pages: Vec<&str> = text.split("\u{1b}[H").skip(1).collect();
    assert!(pages.len() >= 2, "{text:?}");
    for page in pages {
        let page = plain(page);
        assert_eq!(page.lines().count(), 24, "{page}");
        assert!(page.lines().all(|line| line.width() <= 80), "{page}");
        assert!(
            page.lines().last().is_some_and(|line| line.contains(" more lines: nowcast status")),
            "{page}"
        );
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let system = crowded();
    let red = "\u{1b}[31m✖ FAILED\u{1b}[0m";
    assert!(on_terminal(&system, "once", &["status"], &[]).contains(red));
    assert!(!on_terminal(&system, "once", &["status"], &[("NO_COLOR", "1")]).contains('\u{1b}'));
    let piped = |environment: &[(&str, &str)]| {
        let mut command = system.command(&["status"]);
        command.env_remove("CLICOLOR_FORCE").envs(environment.iter().copied());
        String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8")
    };
    let page = piped(&[("LANG", "C.UTF-8")]);
    assert!(!page.contains('\u{1b}') && page.contains("✖ FAILED"), "{page}");
    assert!(page.lines().any(|line| line.width() > 80), "a pipe has no width: {page}");
    assert!(piped(&[("LANG", "C.UTF-8"), ("CLICOLOR_FORCE", "1")]).contains(red));
    let ascii = piped(&[("LC_ALL", "C")]);
    assert!(ascii.is_ascii() && ascii.contains("X FAILED"), "{ascii}");
}

#[test]
fn watching_in_a_pipe_writes_no_escape_codes() {
    let mut system = system().start();
    let command = system.command(&["status", "-w"]);
    system.spawn("watch", command);
    system.wait_for_log_count("watch", "HEALTHY   2/2 daemons", 2);
    assert!(!system.log("watch").contains('\u{1b}'));
    system.signal("watch", rustix::process::Signal::INT);
    assert!(system.wait_for_end("watch").success());
}
