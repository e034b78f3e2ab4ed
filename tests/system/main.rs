//! The real binaries, put together to whole systems, with real counterparts.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod backtest;
mod backup;
mod bad_checklists;
mod bad_messages;
mod bad_rules;
mod bulk;
mod checklist_command;
#[cfg(feature = "system-tests")]
mod clock_steps;
mod command_line;
mod configuration;
#[cfg(feature = "system-tests")]
mod container;
mod crowds;
mod curve;
mod cycles;
mod descriptors;
mod detached;
mod distributed;
#[cfg(feature = "system-tests")]
mod editor;
mod ends;
mod example;
mod exec;
mod floods;
mod growth_page;
mod history;
mod hostile_text;
mod include;
mod init;
mod joins;
mod journal_command;
mod launches;
mod local_users;
mod log_rotation;
mod logs;
mod lost;
mod managers;
mod meeting;
mod nemo_nowcast;
mod notify;
mod operators;
mod orphans;
mod plain_worker;
mod production;
mod python_package;
mod redelivery;
#[cfg(feature = "system-tests")]
mod release_packages;
mod reload;
mod resending;
mod restore;
mod rewind;
mod rules_replay;
mod runner;
mod scheduler;
mod screens;
mod scripts;
mod service;
mod shells;
mod signals;
mod status;
mod storms;
mod supervisor;
mod terminal;
mod timers;
mod toy_system;
mod up;
#[cfg(feature = "failpoints")]
mod versions;
mod warn_ahead;
mod why;
mod worker_settings;
mod workers;
