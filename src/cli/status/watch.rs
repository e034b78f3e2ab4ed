//! `nowcast status -w`: shows the page again each second. On a terminal it fills the alternate screen and never scrolls
//! it; elsewhere each page follows the previous one.

use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use zmq::{POLLIN, PollItem};

use super::Args;
use super::show::StatusPage;
use crate::cli::print;
use crate::cli::terminal::Terminal;
use crate::clock::MachineClock;
use crate::net::socket;
use crate::signals::Signals;
use crate::view::system::SystemView;

/// The time between two pages, in milliseconds.
const INTERVAL: i64 = 1_000;

/// The codes that enter the alternate screen without a cursor, and that leave it.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// The screen, which is restored when the command ends.
struct Screen {
    is_terminal: bool,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            print::write(ENTER.as_bytes())?;
        }
        Ok(Self { is_terminal })
    }

    fn draw(&self, mut page: Vec<String>, terminal: &Terminal) -> io::Result<()> {
        if !self.is_terminal {
            return print::write(format!("{}\n\n", page.join("\n")).as_bytes());
        }
        if let Some(height) = terminal.height.filter(|height| page.len() > *height) {
            let more = page.len() - height.saturating_sub(1);
            page.truncate(height.saturating_sub(1));
            page.push(terminal.letters(&format!("… and {more} more lines: nowcast status")));
        }
        // Overwrite the previous page and clear the rest of each line, so that nothing flickers. A line end after the
        // last line would scroll a full screen.
        print::write(format!("\u{1b}[H{}\u{1b}[K\u{1b}[J", page.join("\u{1b}[K\r\n")).as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = print::write(LEAVE.as_bytes());
        }
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    if let Err(status) = args.common.load() {
        return status;
    }
    match watch(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print::status(Err(error)),
    }
}

/// Draw the page until a signal comes.
fn watch(args: &Args) -> io::Result<()> {
    let mut signals = Signals::install()?;
    let screen = Screen::enter()?;
    let clock = MachineClock::new();
    loop {
        let terminal = Terminal::of_stdout();
        let time = clock.read();
        // The configuration is read each time, since it may be repaired meanwhile.
        let page = match args.common.read() {
            Ok(config) => {
                let view = SystemView::gather(&config, &time, args.cycle.as_ref());
                StatusPage { now: &time.wall, terminal: &terminal }.lines(&view)
            }
            Err(error) => terminal.wrap_page(&error.to_string()).lines().map(str::to_owned).collect(),
        };
        screen.draw(page, &terminal)?;
        let mut items = [PollItem::from_fd(signals.as_raw_fd(), POLLIN)];
        socket::poll(&mut items, INTERVAL).map_err(|error| io::Error::other(error.to_string()))?;
        if !signals.take().is_empty() {
            return Ok(());
        }
    }
}
