//! A process that logs what a script tells it to: this test executable once more. There is one logger in a
//! process, so each case needs its own.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pylogging::{Level, Logger, Role, RotationStep, Setup};
use pyyaml::Value;

/// Ends what the test harness prints before the script begins.
const BEGIN: &str = "-- script begins --";

/// The environment variable that names the script.
const SCRIPT: &str = "NOWCAST_LOGGING_TEST_SCRIPT";

/// A script: a JSON list of steps, each a list of a word and its arguments.
#[derive(Default)]
pub struct Script(Vec<String>);

impl Script {
    pub fn step(mut self, word: &str, arguments: &[&str]) -> Self {
        let step = std::iter::once(text(word)).chain(arguments.iter().map(|argument| (*argument).to_owned()));
        self.0.push(format!("[{}]", step.collect::<Vec<_>>().join(", ")));
        self
    }

    /// Puts a configuration in force; one that is refused is reported in the file `refused`.
    pub fn install(self, role: &str, config: &str) -> Self {
        self.step("install", &[&text(role), config])
    }

    pub fn log(self, logger: &str, level: u32, message: &str) -> Self {
        self.step("log", &[&text(logger), &level.to_string(), &text(message)])
    }

    pub fn json(&self) -> String {
        format!("[{}]", self.0.join(",\n"))
    }

    /// The process, started in that folder.
    pub fn start(&self, folder: &Path, rust_log: Option<&str>) -> Child {
        self.command(folder, rust_log).spawn().unwrap()
    }

    /// The process, with a stdout that breaks when the script begins.
    pub fn start_with_breaking_stdout(&self, folder: &Path) -> Child {
        let (near, far) = UnixStream::pair().unwrap();
        let child = self.command(folder, None).stdout(OwnedFd::from(far)).spawn().unwrap();
        let mut lines = BufReader::new(&near).lines();
        assert!(lines.any(|line| line.unwrap().ends_with(BEGIN)));
        // Closing a pipe would not do: another test's process may hold a copy of it for a moment.
        near.shutdown(Shutdown::Both).unwrap();
        child
    }

    fn command(&self, folder: &Path, rust_log: Option<&str>) -> Command {
        std::fs::write(folder.join("script.json"), self.json()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(SCRIPT, "script.json").args([
            "--exact",
            "--nocapture",
            "--test-threads=1",
            "child::follow_the_script",
        ]);
        command.current_dir(folder).env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
        command.envs(rust_log.map(|filters| ("RUST_LOG", filters)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end; what it wrote to stdout and stderr.
    pub fn run(&self, folder: &Path, rust_log: Option<&str>) -> (String, String) {
        finish(self.start(folder, rust_log).wait_with_output().unwrap())
    }
}

/// Return the output of a process on stdout and stderr. Panics if it failed.
pub fn finish(output: Output) -> (String, String) {
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let stdout =
        stdout.split_once(&format!("{BEGIN}\n")).map(|(_, after)| after.to_owned()).unwrap_or(stdout);
    (stdout, stderr)
}

/// A JSON string.
pub fn text(plain: &str) -> String {
    use std::fmt::Write;
    let mut out = String::from('"');
    for letter in plain.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)).unwrap(),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The process that the other tests start; without a script it has nothing to do.
#[test]
fn follow_the_script() {
    let Some(script) = std::env::var_os(SCRIPT) else { return };
    let script = std::fs::read_to_string(script).expect("the script of another test");
    let script = pyyaml::read(&script).unwrap();
    pylogging::name_program("nowcast");
    println!("{BEGIN}");
    for step in script.as_list().unwrap() {
        let step = step.as_list().unwrap();
        take(step[0].as_str().unwrap(), &step[1..]);
    }
    // The harness would print more.
    std::process::exit(0);
}

fn take(word: &str, arguments: &[Value]) {
    let string = |index: usize| arguments[index].as_str().unwrap();
    let number = |index: usize| u32::try_from(arguments[index].as_int().unwrap()).unwrap();
    match word {
        "install" => install(string(0), &arguments[1]),
        // As a block: Python does not indent the lines of a text.
        "log" => Logger::new(string(0)).log_block(Level(number(1)), string(2)),
        "library" => log::warn!(target: "some::library", "{}", string(0)),
        "wait" => assert_eq!(std::io::stdin().lines().next().unwrap().unwrap(), "go"),
        "many" => write_many(string(0), number(1)),
        "swap" => swap_under_way(&arguments[0], &arguments[1], number(2)),
        "rotate" => rotate(),
        "handlers" => note("handlers", &format!("{:?}", pylogging::handlers_of(string(0)))),
        "note" => note(string(0), string(1)),
        other => panic!("no step {other}"),
    }
}

fn install(role: &str, config: &Value) {
    let role = match role {
        "daemon" => Role::Daemon,
        "debug" => Role::Worker { debug: true },
        _ => Role::Worker { debug: false },
    };
    match Setup::from_value(config, role) {
        Ok((setup, _)) => pylogging::install(setup),
        Err(error) => note("refused", &error.to_string()),
    }
}

fn note(file: &str, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    writeln!(file, "{text}").unwrap();
}

/// Numbered records of several lines, some of them larger than a pipe takes at once.
fn write_many(writer: &str, count: u32) {
    let logger = Logger::new(writer);
    (0..count).for_each(|number| write_record(&logger, number));
}

fn write_record(logger: &Logger, number: u32) {
    let writer = logger.name();
    let body = format!("\n{writer} goes on").repeat(if number.is_multiple_of(10) { 600 } else { 3 });
    logger.info(format!("{number}{body}\nend of {writer} {number}"));
}

/// Four threads log while the configurations take turns; each is in force for some lines. How many lines
/// each thread wrote is noted in the file `counts`.
fn swap_under_way(one: &Value, other: &Value, swaps: u32) {
    const THREADS: u32 = 4;
    let (written, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let write = &|name: u32| {
        let logger = Logger::new(format!("t{name}"));
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            write_record(&logger, number);
            number += 1;
            written.fetch_add(1, Ordering::Relaxed);
        }
        number
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|name| scope.spawn(move || write(name))).collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        for swap in 0..swaps {
            install("daemon", if swap % 2 == 0 { other } else { one });
            // Each thread may have one line under way to the old files; one more is surely for the new.
            let enough = written.load(Ordering::Relaxed) + THREADS + 1;
            while written.load(Ordering::Relaxed) < enough {
                assert!(Instant::now() < deadline, "the threads stand still");
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            note("counts", &thread.join().unwrap().to_string());
        }
    });
}

/// Rotate as the `rotate_logs` worker does.
fn rotate() {
    let logger = Logger::new("rotate_logs");
    let files = pylogging::rotate(None, |step| match step {
        RotationStep::Rotated(file) => logger.info(format!("log file rotated: {file}")),
        RotationStep::PermissionsSet(file) => {
            logger.debug(format!("new {file} log file permissions set to rw-rw-r--"));
        }
    });
    match files {
        Ok(files) => note("rotated", &files.join("\n")),
        Err(error) => note("rotated", &error.to_string()),
    }
}
