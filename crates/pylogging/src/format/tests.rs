//! Compares lines with those of the real Python.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::*;
use crate::Level;

/// Reads the process number, the style and formats, separated by U+001E, and writes for each format the result of
/// `logging.Formatter`, or `E` if it raises an exception.
const PYTHON: &str = r#"
import logging, os, sys
pid, style, *formats = sys.stdin.buffer.read().decode().split("\x1e")
record = dict(name="worker.größe", levelno=30, levelname="WARNING", created=1589570575.769123, msecs=769.0,
    msg="eins\n zwei 'ü' \"\U0001f30a", args=(), pathname="src/worker.rs", filename="worker.rs", module="worker",
    lineno=7, funcName="(unknown function)", process=int(pid), processName="MainProcess",
    logger_name="worker.größe")
out = []
for text in formats:
    fmt, _, datefmt = text.partition("\x1f")
    try:
        out.append("=" + logging.Formatter(fmt, datefmt or None, style).format(logging.makeLogRecord(record)))
    except Exception as error:
        out.append("E" + repr(error))
sys.stdout.buffer.write("\x1e".join(out).encode())
"#;

fn record() -> LogRecord<'static> {
    LogRecord {
        name: "worker.größe".into(),
        publisher: None,
        level: Level::WARNING,
        created: Timestamp::from_microsecond(1_589_570_575_769_123).unwrap(),
        message: "eins\n zwei 'ü' \"\u{1f30a}".into(),
        is_block: true,
        source: Some(("src/worker.rs", 7)),
    }
}

fn python(style: &str, formats: &[String]) -> Vec<String> {
    let mut input = format!("{}\x1e{style}", std::process::id());
    for format in formats {
        write!(input, "\x1e{format}").unwrap();
    }
    let mut child = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\x1e').map(str::to_owned).collect()
}

fn ours(style: Style, text: &str) -> Result<String, FormatError> {
    let (format, datefmt) =
        text.split_once('\x1f').map_or((text, None), |(format, date)| (format, Some(date)));
    let format = Format::new(format, style, datefmt, true)?;
    let mut line = String::new();
    format.render(&record(), &mut line);
    Ok(line)
}

/// Check that lines are equal if both accept the format. Return how many lines were compared, and the formats that only
/// one of the two accepts.
fn compare(style: Style, symbol: &str, formats: &[String]) -> (usize, Vec<String>) {
    let mut same = 0;
    let mut disputed = Vec::new();
    let theirs = python(symbol, formats);
    assert_eq!(theirs.len(), formats.len());
    for (format, theirs) in formats.iter().zip(&theirs) {
        match (ours(style, format), theirs.strip_prefix('=')) {
            (Ok(ours), Some(theirs)) => {
                assert_eq!(ours, theirs, "format {format:?}");
                same += 1;
            }
            (Err(_), None) => {}
            (Ok(ours), None) => disputed.push(format!("{format:?} is {ours:?} here, {theirs} there")),
            (Err(error), Some(theirs)) => {
                disputed.push(format!("{format:?} is {theirs:?} there, {error:?} here"));
            }
        }
    }
    (same, disputed)
}

const NAMES: [&str; 16] = [
    "asctime",
    "created",
    "filename",
    "funcName",
    "levelname",
    "levelno",
    "lineno",
    "logger_name",
    "message",
    "module",
    "msecs",
    "name",
    "pathname",
    "process",
    "processName",
    "nosuch",
];

#[test]
fn percent_formats_are_filled_in_as_by_python() {
    let mut formats = Vec::new();
    for name in NAMES {
        for layout in [
            "", "-8", "08", "+", " ", "#", "3", "-30", "030", "+.2", ".0", ".3", "20.4", "#.0", "-+12.1",
            "# 010.2",
        ] {
            // `repr` is tested in `pyyaml`, where it is implemented.
            for conversion in
                ["s", "d", "i", "u", "o", "x", "X", "e", "E", "f", "F", "g", "G", "q", "ld", "%"]
            {
                formats.push(format!("<%({name}){layout}{conversion}>"));
            }
        }
    }
    formats.extend(
        ["", "plain", "100%% %(message)s", "%", "%(message)", "%(message", "%s", "%(name)s %(levelname)s%%"]
            .map(str::to_owned),
    );
    let (same, disputed) = compare(Style::Percent, "%", &formats);
    assert!(same > 1000, "only {same} formats were compared");
    // Python checks less than it formats: `%(name)ld` alone is refused there, and `%(nosuch)%` looks the key up.
    let disputed: Vec<_> =
        disputed.into_iter().filter(|what| !what.contains("%>") && !what.contains("ld>")).collect();
    assert_eq!(disputed, Vec::<String>::new());
}

#[test]
fn brace_formats_are_filled_in_as_by_python() {
    let mut formats = Vec::new();
    for name in NAMES {
        for layout in
            ["", "8", "<20", ">20", "^21", "*^25", "=20", "020", "+", " ", "#", "+020", "#x", ".2", "20.3"]
        {
            for conversion in ["", "s", "d", "o", "x", "X", "e", "E", "f", "F", "g", "G", "q"] {
                formats.push(format!("<{{{name}:{layout}{conversion}}}>"));
            }
        }
    }
    formats.extend(
        ["plain", "{{}} {message}", "{message", "}", "{message!s:>30}", "{}", "{0}"].map(str::to_owned),
    );
    let (same, disputed) = compare(Style::Brace, "{", &formats);
    assert!(same > 700, "only {same} formats were compared");
    // A time with a precision but without a type is refused here, because Python's rule for it is complicated.
    let disputed: Vec<_> = disputed.into_iter().filter(|what| !what.contains("there, FormatError")).collect();
    assert_eq!(disputed, Vec::<String>::new());
}

#[test]
fn dollar_formats_are_filled_in_as_by_python() {
    let formats = [
        "$message",
        "${message}",
        "$$ $levelname: ${name}s",
        "$nosuch",
        "${",
        "$",
        "$ message",
        "plain",
        "$message_",
        "${asctime} $lineno $msecs",
        "${message",
        "$1",
    ];
    let (same, disputed) = compare(Style::Dollar, "$", &formats.map(str::to_owned));
    assert_eq!(same, 4);
    assert_eq!(disputed, Vec::<String>::new());
}

#[test]
fn dates_are_written_as_by_python() {
    let directives = [
        "%Y-%m-%d %H:%M:%S",
        "%d.%m.%y",
        "%a %A %b %B %h",
        "%j %U %W %w %u",
        "%I:%M %p",
        "%e|%k|%l",
        "%c",
        "%x %X",
        "%r",
        "%D %F %T %R",
        "%z %Z",
        "%C %G %g %V",
        "%n%t%%",
        "%s",
        "%-d/%-m",
        "Zeit: %H Uhr, größer",
    ];
    let formats = directives.map(|directive| format!("%(asctime)s %(message)s\x1f{directive}"));
    let (same, disputed) = compare(Style::Percent, "%", &formats);
    assert_eq!(disputed, Vec::<String>::new());
    assert_eq!(same, directives.len());
}

#[test]
fn a_refused_format_says_why_and_what_to_write() {
    let refused = |text| ours(Style::Percent, text).unwrap_err();
    let error = refused("%(levelnam)s %(message)s");
    assert_eq!(error.why, "a line has no attribute \"levelnam\"");
    assert!(error.remedy.starts_with("did you mean levelname?"), "{}", error.remedy);
    assert_eq!(refused("no field").remedy, "write %(message)s in it");
    assert_eq!(refused("%(message)d").why, "message is text, and its conversion is for something else");
    assert_eq!(refused("%(message)99999s").why, "99999 is too wide");
}
