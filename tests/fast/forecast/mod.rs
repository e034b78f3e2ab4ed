//! The forecast: what it takes from the past, without a daemon.

mod backtest;
mod clock;
mod dates;
mod draws;
mod history;
mod like;
mod simulation;
