//! Prints further entries of log files as they are written. It never ends by itself.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use super::entry::Filter;
use super::source::LogSource;
use crate::cli::print;

/// The pause between two looks at the files.
const PAUSE: Duration = Duration::from_millis(200);

/// Print the entries that the filter shows until the reader of standard output is gone.
pub(super) fn follow(sources: &mut [LogSource], filter: &Filter) -> anyhow::Result<ExitCode> {
    loop {
        let mut entries = Vec::new();
        for source in &mut *sources {
            entries.extend(source.further()?);
        }
        entries.retain(|entry| filter.shows(&entry.head));
        entries.sort_by_key(|entry| entry.head.time);
        for entry in entries {
            let text = format!("{}\n", pylogging::escape(&entry.text));
            match print::write(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                written => written?,
            }
        }
        std::thread::sleep(PAUSE);
    }
}
