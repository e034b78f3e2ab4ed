//! The same configurations and lines through the real `logging.config.dictConfig` and through ours, compared
//! byte for byte but for the times.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::child::{Script, finish, text};

const PYTHON: &str = r#"
import json, logging, logging.config
for word, *arguments in json.load(open("script.json", encoding="utf-8")):
    if word == "install":
        logging.config.dictConfig(arguments[1])
    else:
        logger, level, text = arguments
        logging.getLogger(logger).log(level, text)
"#;

const FORMATTERS: &str = r#"{
    "full": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"},
    "wide": {"format": "%(asctime)s|%(levelname)-10s|%(name)20.12s|%(levelno)05d|%(message)-30s|%(processName)s"},
    "brace": {"format": "{levelname:>9}:{name:*<12}:{levelno:#x}:{message}", "style": "{"},
    "dollar": {"format": "$$ $levelname ${name} $message", "style": "$"},
    "dated": {"format": "%(asctime)s %(message)s", "datefmt": "in %Y: %d"},
    "bare": {}
}"#;
const FORMATTER_NAMES: [&str; 7] = ["full", "wide", "brace", "dollar", "dated", "bare", ""];

const LEVELS: [&str; 13] = [
    "\"DEBUG\"",
    "\"INFO\"",
    "\"WARNING\"",
    "\"WARN\"",
    "\"ERROR\"",
    "\"CRITICAL\"",
    "\"NOTSET\"",
    "0",
    "5",
    "15",
    "35",
    "60",
    "100",
];
const NAMED: [&str; 6] = ["a", "a.b", "a.b.c", "manager", "checklist", "worker.größe"];
const USED: [&str; 11] = [
    "a",
    "a.b",
    "a.b.c",
    "a.b.c.d",
    "a.x",
    "ab",
    "manager",
    "checklist",
    "worker.größe",
    "other.one",
    "root",
];
const TEXTS: [&str; 9] = [
    "running in process 15974",
    "",
    "checklist:\n{'a': 1,\n 'b': 2}",
    "größer – 海 🌊",
    "100 % {done} $now %(name)s",
    "ends with a newline\n",
    "tab\tand \"quotes\" \\",
    "\n",
    "a long line that is longer than thirty letters",
];
const HANDLERS: [(&str, &str); 7] = [
    ("out", r#""class": "logging.StreamHandler", "stream": "ext://sys.stdout""#),
    ("err", r#""class": "logging.StreamHandler""#),
    ("plain", r#""class": "logging.FileHandler", "filename": "plain.log", "mode": "w", "encoding": "utf-8""#),
    (
        "rotating",
        r#""class": "logging.handlers.RotatingFileHandler", "filename": "./x/../rotating.log", "backupCount": 3,
           "maxBytes": 900, "encoding": "utf8""#,
    ),
    (
        "never",
        r#""class": "logging.handlers.RotatingFileHandler", "filename": "never.log", "backupCount": 3"#,
    ),
    (
        "watched",
        r#""class": "logging.handlers.WatchedFileHandler", "filename": "watched.log", "delay": true"#,
    ),
    ("null", r#""class": "logging.NullHandler""#),
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }

    /// The key and a level, or nothing.
    fn level(&mut self) -> String {
        if self.roll(3) == 0 { String::new() } else { format!(r#", "level": {}"#, self.pick(&LEVELS)) }
    }

    fn handler_names(&mut self) -> String {
        let names: Vec<String> =
            HANDLERS.iter().filter(|_| self.roll(3) == 0).map(|(name, _)| text(name)).collect();
        format!("[{}]", names.join(", "))
    }

    fn logger(&mut self, name: &str) -> String {
        let propagate = ["", r#", "propagate": false"#, r#", "propagate": true"#][self.roll(3)];
        format!("{}: {{\"handlers\": {}{}{propagate}}}", text(name), self.handler_names(), self.level())
    }

    fn config(&mut self) -> String {
        let handlers: Vec<String> = HANDLERS
            .iter()
            .map(|(name, rest)| {
                let formatter = match self.pick(&FORMATTER_NAMES) {
                    "" => String::new(),
                    name => format!(r#", "formatter": {}"#, text(name)),
                };
                format!("{}: {{{rest}{formatter}{}}}", text(name), self.level())
            })
            .collect();
        let named: Vec<&str> = NAMED.into_iter().filter(|_| self.roll(2) == 0).collect();
        let loggers: Vec<String> = named.into_iter().map(|name| self.logger(name)).collect();
        let root = if self.roll(5) == 0 { String::new() } else { format!(", {}", self.logger("root")) };
        format!(
            r#"{{"version": 1, "disable_existing_loggers": false, "formatters": {FORMATTERS},
                 "handlers": {{{}}}, "loggers": {{{}}}{root}}}"#,
            handlers.join(", "),
            loggers.join(", ")
        )
    }

    fn script(&mut self) -> Script {
        let mut script = Script::default().install("worker", &self.config());
        for _ in 0..60 {
            let level = [0, 1, 5, 10, 15, 20, 25, 30, 40, 50, 55, 100, 120][self.roll(13)];
            script = script.log(self.pick(&USED), level, self.pick(&TEXTS));
        }
        script
    }
}

/// All that a run leaves behind: files and streams, times masked.
fn trace(folder: &Path, (stdout, stderr): (String, String)) -> BTreeMap<String, String> {
    let time = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}").unwrap();
    let mut all = BTreeMap::from([("stdout".to_owned(), stdout), ("stderr".to_owned(), stderr)]);
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "script.json" {
            all.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    for text in all.values_mut() {
        *text = time.replace_all(text, "TIME").into_owned();
    }
    all
}

fn python(script: &Script, folder: &Path) -> (String, String) {
    python_of(Path::new("python3"), script, folder)
}

fn python_of(interpreter: &Path, script: &Script, folder: &Path) -> (String, String) {
    std::fs::write(folder.join("script.json"), script.json()).unwrap();
    let mut command = Command::new(interpreter);
    command.args(["-X", "utf8", "-c", PYTHON]).current_dir(folder);
    finish(command.output().expect("python3 is installed"))
}

#[test]
fn twenty_configurations_log_as_python_does() {
    let mut lines = 0;
    for seed in 0..20 {
        let script = Dice(seed * 7919 + 1).script();
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = trace(theirs.path(), python(&script, theirs.path()));
        let ours = trace(ours.path(), script.run(ours.path(), None));
        assert_eq!(ours, theirs, "seed {seed}: {}", script.json());
        lines += theirs.values().map(|text| text.lines().count()).sum::<usize>();
    }
    assert!(lines > 1000, "only {lines} lines were compared");
}

/// The formatters of the real package python-json-logger. `args` and times differ from process to process.
#[test]
fn lines_of_json_are_those_of_the_package() {
    const FORMATTERS: [&str; 11] = [
        r#""class": "pythonjsonlogger.json.JsonFormatter""#,
        r#""class": "pythonjsonlogger.jsonlogger.JsonFormatter", "format": "%(asctime)s %(levelname)-8s %(name)s %(message)s""#,
        r#""class": "pythonjsonlogger.json.JsonFormatter", "format": "{levelno:>9} {message} {no_such}", "style": "{""#,
        r#""class": "pythonjsonlogger.json.JsonFormatter", "format": "$$ ${name} $message", "style": "$""#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "fmt": "message, levelname ,, name", "style": ",""#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "fmt": ["message", "processName", "exc_info", "message"]"#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "format": "%(message)s %(asctime)s", "datefmt": "in %Y""#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "fmt": "%(levelname)s %(message)s",
            "rename_fields": {"levelname": "level", "message": "msg", "timestamp": "@timestamp"}, "timestamp": true"#,
        r#""()": "pythonjsonlogger.jsonlogger.JsonFormatter", "fmt": "%(message)s", "timestamp": "at", "prefix": "@cee: ",
            "static_fields": {"system": "now\u00e9", "n": 1, "x": 1.5, "list": [true, null, {"a": "b"}]}"#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "fmt": "%(message)s", "json_ensure_ascii": false"#,
        r#""()": "pythonjsonlogger.json.JsonFormatter", "fmt": "%(message)s", "defaults": {"message": "none", "team": "ocean"}"#,
    ];
    let texts = TEXTS.into_iter().chain(["\u{1}\u{2028}\r\u{8}\u{c} </script>"]);
    let texts: Vec<&str> = texts.collect();
    let timestamp = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00").unwrap();
    for formatter in FORMATTERS {
        let config = format!(
            r#"{{"version": 1, "disable_existing_loggers": false, "formatters": {{"json": {{{formatter}}}}},
                 "handlers": {{"out": {{"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}}}},
                 "root": {{"level": "DEBUG", "handlers": ["out"]}}}}"#
        );
        let mut script = Script::default().install("worker", &config);
        for text in &texts {
            script = script.log("worker.größe", 30, text);
        }
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = python_of(&test_venv::venv(), &script, theirs.path());
        let of_package = trace(Path::new("/nowhere"), theirs);
        let ours = trace(Path::new("/nowhere"), script.run(ours.path(), None));
        let masked =
            |all: &BTreeMap<String, String>| timestamp.replace_all(&all["stdout"], "TIMESTAMP").into_owned();
        assert_eq!(masked(&ours), masked(&of_package), "{formatter}");
        assert_eq!(
            masked(&ours).lines().count(),
            texts.len(),
            "a line for each, whatever its text: {formatter}"
        );
    }
}
