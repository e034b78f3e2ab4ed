//! Tests of single parts, by their public interface or by one command: no daemon is started.

#[path = "../support/mod.rs"]
mod support;

mod build_commit;
mod decisions;
mod forecast;
mod fuzzing;
mod journal;
mod message;
mod model;
mod rules_check;
mod rules_engine;
mod rules_eval;
mod rules_test;
mod rules_types;
mod schema;
mod tidy;
