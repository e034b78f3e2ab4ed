//! The forecast: what it takes from the past, without a daemon.

mod clock;
mod dates;
mod draws;
mod history;
mod like;
mod simulation;
