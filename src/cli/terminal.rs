//! [`Terminal`]: the size of standard output, and whether it shows colours and characters beyond ASCII. It never
//! decides what is shown.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The minimum width to which text is fitted; narrower text is not readable.
const NARROWEST: usize = 20;

/// The meaning of a colour, the same on every page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Headings and names.
    Strong,
    /// Less important text.
    Dim,
    Good,
    Active,
    Warning,
    Bad,
    /// Waiting in a join.
    Waiting,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Good => colour(AnsiColor::Green),
            Tone::Active => colour(AnsiColor::Blue),
            Tone::Warning => colour(AnsiColor::Yellow),
            Tone::Bad => colour(AnsiColor::Red),
            Tone::Waiting => colour(AnsiColor::Magenta),
        }
    }
}

/// The abilities of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terminal {
    /// The number of columns; `None` if nothing is fitted, as in a pipe.
    pub width: Option<usize>,
    /// The number of lines; `None` if a page may have any length.
    pub height: Option<usize>,
    pub colour: bool,
    /// Whether characters beyond ASCII are shown.
    pub unicode: bool,
}

impl Terminal {
    /// Return the abilities of this process's standard output.
    pub(super) fn of_stdout() -> Self {
        let out = io::stdout();
        let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        // A terminal that does not know its size reports 0.
        let known = |count: u16| Some(usize::from(count)).filter(|count| *count > 0);
        Self {
            width: size.and_then(|size| known(size.ws_col)),
            height: size.and_then(|size| known(size.ws_row)),
            colour: anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never,
            unicode: is_utf8(|name| std::env::var(name).ok()),
        }
    }

    /// Return a terminal that shows text unchanged.
    pub(super) fn plain() -> Self {
        Self { width: None, height: None, colour: false, unicode: true }
    }

    /// Return text in this tone.
    pub(super) fn paint(&self, text: &str, tone: Tone) -> String {
        let style = tone.style();
        if !self.colour || style.is_plain() || text.is_empty() {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }

    /// Return text with control characters escaped, and with our own glyphs replaced if they cannot be shown.
    pub(super) fn letters(&self, text: &str) -> String {
        let text = pylogging::escape(text);
        if self.unicode {
            return text.into_owned();
        }
        let mut shown = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '…' => shown.push_str("..."),
                '→' => shown.push_str("->"),
                '×' => shown.push('x'),
                '·' | '⋈' => shown.push('|'),
                '▶' => shown.push('>'),
                '✔' => shown.push('+'),
                '✖' => shown.push('X'),
                '◔' => shown.push('o'),
                '⏸' => shown.push('='),
                '⚑' => shown.push('P'),
                '⏰' => shown.push('L'),
                '⌁' => shown.push('~'),
                '◑' => shown.push('%'),
                '█' | '◼' => shown.push('#'),
                '░' => shown.push('.'),
                other => shown.push(other),
            }
        }
        shown
    }

    /// Return the number of columns that a line takes, without its escape codes.
    pub(super) fn width_of(line: &str) -> usize {
        anstream::adapter::strip_str(line).to_string().width()
    }

    /// Return a line, cut to a number of columns.
    pub(super) fn cut(&self, text: &str, width: usize) -> String {
        if text.width() <= width {
            return text.to_owned();
        }
        let mark = if self.unicode { "…" } else { "..." };
        let available = width.saturating_sub(mark.width());
        let mut taken = 0;
        let mut cut = String::new();
        for letter in text.chars() {
            taken += letter.width().unwrap_or(0);
            if taken > available {
                break;
            }
            cut.push(letter);
        }
        format!("{}{}", cut.trim_end(), &mark[..if width < mark.width() { 0 } else { mark.len() }])
    }

    /// Return a text as lines of whole words; lines after the first are indented. A word longer than a line is cut.
    pub(super) fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let text = self.letters(text);
        let Some(width) = self.width.map(|width| width.max(NARROWEST)) else {
            return vec![text];
        };
        let width_of_line = |is_first: bool| if is_first { width } else { width.saturating_sub(indent) };
        if text.width() <= width {
            return vec![text];
        }
        let mut lines: Vec<String> = Vec::new();
        // Leading blanks are the indent, not a word.
        let lead = text.len() - text.trim_start_matches(' ').len();
        let mut line = text[..lead].to_owned();
        let mut is_empty = true;
        for word in text[lead..].split(' ') {
            let needed = line.width() + usize::from(!is_empty) + word.width();
            if !is_empty && needed > width_of_line(lines.is_empty()) {
                lines.push(std::mem::take(&mut line));
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            let left = width_of_line(lines.is_empty()).saturating_sub(line.width());
            line.push_str(&self.cut(word, left));
            is_empty = false;
        }
        lines.push(line);
        let blanks = " ".repeat(indent);
        let indented = |(at, line): (usize, String)| if at == 0 { line } else { format!("{blanks}{line}") };
        lines.into_iter().enumerate().map(indented).collect()
    }

    /// Wrap each line of a page.
    pub(super) fn wrap_page(&self, text: &str) -> String {
        /// The extra indent of a continued line.
        const HANGING: usize = 2;
        let mut page = String::new();
        for line in text.lines() {
            let lead = line.len() - line.trim_start_matches(' ').len();
            for line in self.wrap(line, lead + HANGING) {
                let _ = writeln!(page, "{line}");
            }
        }
        page
    }
}

/// Return whether the locale uses UTF-8. The variables are read in their order of precedence.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: usize) -> Terminal {
        Terminal { width: Some(width), ..Terminal::plain() }
    }

    #[test]
    fn the_locale_is_the_first_of_three_variables_that_is_set() {
        let of = |set: &[(&str, &str)]| {
            is_utf8(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[("LANG", "en_CA.UTF-8")]) && of(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!of(&[]) && !of(&[("LC_ALL", "C"), ("LANG", "en_CA.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LANG", "en_CA.UTF-8")]));
    }

    #[test]
    fn a_cut_text_fits_also_with_wide_characters() {
        assert_eq!(terminal(9).cut("ocean", 5), "ocean");
        assert_eq!(terminal(9).cut("oceanic", 5), "ocea…");
        assert_eq!(terminal(9).cut("海洋予報", 5), "海洋…");
        let ascii = Terminal { unicode: false, ..terminal(9) };
        assert_eq!(ascii.cut("oceanic", 5), "oc...");
    }

    #[test]
    fn lines_break_between_words_only() {
        let lines = terminal(20).wrap("  ended with status 1 after 5:49", 4);
        assert_eq!(lines, ["  ended with status", "    1 after 5:49"]);
        let long = terminal(20).wrap(&format!("see {}", "x".repeat(50)), 2);
        assert_eq!(long, ["see".to_owned(), format!("  {}…", "x".repeat(17))]);
        assert_eq!(Terminal::plain().wrap(&"x ".repeat(50), 2).len(), 1);
    }

    #[test]
    fn our_glyphs_have_replacements_in_ascii() {
        let ascii = Terminal { unicode: false, ..Terminal::plain() };
        let shown = ascii.letters("✖ FAILED 26 × → ▶ ✔ ◔ ⏸ ⋈ ⚑ ⏰ ⌁ ◼ ◑ ██░ … ·");
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(Terminal::plain().letters("a\u{1b}[31m"), "a\\x1b[31m");
    }

    #[test]
    fn colour_is_written_only_where_it_is_enabled() {
        assert_eq!(Terminal::plain().paint("x", Tone::Bad), "x");
        let colour = Terminal { colour: true, ..Terminal::plain() };
        assert_eq!(colour.paint("x", Tone::Bad), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colour.paint("x", Tone::Plain), "x");
    }
}
