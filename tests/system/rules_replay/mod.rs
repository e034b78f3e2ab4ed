//! Rules on the messages of the past: `nowcast rules replay` and `deploy`, and the broker's recordings.

mod deploy;
mod journal;
mod recording;
mod reproducible;
