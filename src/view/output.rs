//! The end of a run's output: what a worker wrote last usually says why it failed. This module never reads a whole output.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use rustix::fs::OFlags;

/// The bytes at the end of an output that are looked at.
const END: u64 = 16_384;

/// The most characters of a line.
const LONGEST: usize = 300;

/// Lines that a worker's log has in any case, in the usual format: those below WARNING, and the end of an `exec:` worker's program, which is shown already.
static ROUTINE: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern is a constant that the tests compile.
    #[allow(clippy::expect_used)]
    Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ((DEBUG|INFO) \[|(ERROR|CRITICAL) \[\S+\] .*((exited with status|was killed by signal) \d+|reported (failure.*|crash))$|CRITICAL \[\S+\] .* failed$)").expect("a valid pattern")
});

/// Escape sequences that colour text or move the cursor.
static SEQUENCE: LazyLock<Regex> = LazyLock::new(|| {
    // As above.
    #[allow(clippy::expect_used)]
    Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]").expect("a valid pattern")
});

/// Return the last lines of an output, without empty and routine ones. Empty if it cannot be read, or is on another host.
#[must_use]
pub fn last_lines(output: &Path, most: usize) -> Vec<String> {
    let Ok(text) = end_of(output) else { return Vec::new() };
    let text = SEQUENCE.replace_all(&text, "");
    let is_telling = |line: &&str| !line.trim().is_empty() && !ROUTINE.is_match(line);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .filter(is_telling)
        .take(most)
        .map(|line| error_text::cut(last_state(line), LONGEST).into_owned())
        .collect();
    lines.reverse();
    lines
}

/// Return what a terminal shows of a line that a progress bar has written again and again.
fn last_state(line: &str) -> &str {
    let line = line.trim_end();
    line.rsplit_once('\r').map_or(line, |(_, last)| last)
}

fn end_of(output: &Path) -> io::Result<String> {
    // A worker may have put a pipe in its place.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(output)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let begin = file.metadata()?.len().saturating_sub(END);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line may be the rest of one.
    let rest = text.split_once('\n').filter(|(_, rest)| begin > 0 && !rest.is_empty());
    let rest = rest.map(|(_, rest)| rest.to_owned());
    Ok(rest.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, most: usize) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        last_lines(file.path(), most)
    }

    #[test]
    fn the_error_of_a_python_worker_is_the_last_line() {
        let text = "2026-03-14 03:46:00,001 INFO [get_obs] running in process 1\n\
                    2026-03-14 03:46:01,001 CRITICAL [get_obs] unhandled exception:\n\
                    Traceback (most recent call last):\n  File \"get_obs.py\", line 3\n\
                    requests.HTTPError: 503 Server Error\n\n\
                    2026-03-14 03:46:02,001 DEBUG [get_obs] sent message: (crash) it crashed\n\
                    2026-03-14 03:46:02,002 INFO [get_obs] shutting down\n";
        assert_eq!(last(text, 1), ["requests.HTTPError: 503 Server Error"]);
        assert_eq!(last(text, 2)[0], "  File \"get_obs.py\", line 3");
    }

    #[test]
    fn the_line_about_the_end_of_a_program_does_not_hide_its_output() {
        let end = "2026-03-14 03:46:01,001 CRITICAL [get_obs] sh ./workers/get_obs.sh 06 failed\n";
        assert_eq!(
            last(&format!("curl: (6) Could not resolve host\n{end}"), 1),
            ["curl: (6) Could not resolve host"]
        );
        let end = end.replace(
            "CRITICAL [get_obs] sh",
            "ERROR [get_obs] sh reported failure\n2026-03-14 03:46:01,001 CRITICAL [get_obs] sh",
        );
        assert_eq!(last(&format!("no data\n{end}"), 1), ["no data"]);
        let own = "2026-03-14 03:46:01,001 ERROR [get_obs] the download of the forecast failed\n";
        assert_eq!(last(own, 1), [own.trim_end()]);
    }

    #[test]
    fn colours_are_left_out_and_long_lines_cut() {
        assert_eq!(last("\x1b[1;31mno such file\x1b[0m\n", 3), ["no such file"]);
        for end in ["", "\n"] {
            let long = last(&("x".repeat(100_000) + end), 1);
            assert_eq!(long.len(), 1);
            assert!(long[0].chars().count() <= LONGEST + 1, "{}", long[0].len());
        }
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_shown() {
        assert_eq!(last(" 1 %\r 2 %\r99 %: connection lost\n", 1), ["99 %: connection lost"]);
    }

    #[test]
    fn a_pipe_in_place_of_the_output_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("output.log");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(last_lines(&pipe, 3), Vec::<String>::new());
    }

    #[test]
    fn only_the_end_of_a_large_output_is_read_and_its_first_line_is_whole() {
        let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
        let text = lines.join("\n");
        let lines = last(&text, 5_000);
        assert_eq!(lines.last().map(String::as_str), Some("line 9999"));
        assert!(lines.len() < 2_000 && lines[0].starts_with("line "), "{}", lines[0]);
    }

    #[test]
    fn a_missing_output_has_no_lines() {
        assert_eq!(last_lines(Path::new("/nowhere/output.log"), 3), Vec::<String>::new());
    }
}
