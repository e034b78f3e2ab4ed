//! The forecast: what it takes from the past, without a daemon.

mod dates;
mod draws;
mod history;
mod like;
mod simulation;
