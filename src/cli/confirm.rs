//! Asks an operator at the terminal before something that is hard to take back.

use std::io::{self, BufRead, IsTerminal, Write};

/// Ask a question. Return whether the answer is yes.
///
/// # Errors
/// If there is no terminal for the question: a program must say `--yes`.
pub(super) fn ask(question: &str, json: bool) -> anyhow::Result<bool> {
    if json || !io::stdin().is_terminal() {
        anyhow::bail!("nothing was changed: there is no terminal for the question; add --yes");
    }
    write!(io::stderr(), "{} [y/N] ", pylogging::escape(question))?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
