//! Notifications, to real servers, good ones and bad ones.

mod configuration;
mod ends;
mod failures;
mod heartbeat;
mod late;
mod mail;
mod sentry;
mod slack;
mod test_command;
mod webhook;
