//! Draws the status of a run or a cycle: glyph and colour, always with its word.

use super::table::Cell;
use super::terminal::Tone;
use crate::view::cycle::CycleState;
use crate::view::run::RunStatus;

/// Return the glyph and the tone of a status.
pub(super) fn glyph_and_tone(state: RunStatus) -> (&'static str, Tone) {
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

/// Return a table cell with glyph and word.
pub(super) fn state_cell(state: RunStatus) -> Cell {
    let (glyph, tone) = glyph_and_tone(state);
    Cell::new(format!("{glyph} {}", state.word()), tone)
}

/// Return the glyph and the tone of a cycle's state.
pub(super) fn cycle_glyph_and_tone(state: CycleState) -> (&'static str, Tone) {
    match state {
        CycleState::Running => ("▶", Tone::Active),
        CycleState::Waiting => ("⋈", Tone::Waiting),
        CycleState::Held => ("⏸", Tone::Warning),
        CycleState::Failed => ("✖", Tone::Bad),
        CycleState::Quiet | CycleState::Cancelled => ("·", Tone::Dim),
        CycleState::Done => ("✔", Tone::Good),
    }
}

/// Return a table cell with glyph and word of a cycle's state.
pub(super) fn cycle_cell(state: CycleState) -> Cell {
    let (glyph, tone) = cycle_glyph_and_tone(state);
    Cell::new(format!("{glyph} {}", state.word()), tone)
}
