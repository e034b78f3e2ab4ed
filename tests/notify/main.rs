//! Notifications, to real servers, good ones and bad ones.

#[path = "../support/mod.rs"]
mod support;

mod configuration;
mod ends;
mod failures;
mod heartbeat;
mod late;
mod mail;
mod slack;
mod webhook;
