//! Runners and the managers that watch them, with real processes: whatever is killed, a worker is started once and its end
//! is known.

mod adoption;
mod claims;
mod damage;
mod endings;
mod exec;
mod failpoints;
mod output;
mod scene;
mod shortage;
mod speed;
mod stopping;
