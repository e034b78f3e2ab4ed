//! How the state of a run is drawn: glyph and colour, always beside its word.

use super::table::Cell;
use super::terminal::Tone;
use crate::view::run::RunStatus;

/// The glyph and the tone of a state.
pub(super) fn state_look(state: RunStatus) -> (&'static str, Tone) {
    match state {
        RunStatus::Pending => ("◔", Tone::Dim),
        RunStatus::Running => ("▶", Tone::Active),
        RunStatus::ContactLost => ("⌁", Tone::Warning),
        RunStatus::Stopping => ("◼", Tone::Active),
        RunStatus::Exited => ("◑", Tone::Active),
        RunStatus::Succeeded => ("✔", Tone::Good),
        RunStatus::Failed | RunStatus::Crashed => ("✖", Tone::Bad),
        RunStatus::Discarded => ("·", Tone::Dim),
    }
}

/// A cell with glyph and word.
pub(super) fn state_cell(state: RunStatus) -> Cell {
    let (glyph, tone) = state_look(state);
    Cell::new(format!("{glyph} {}", state.word()), tone)
}
