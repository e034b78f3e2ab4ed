//! `nowcast tell TYPE [PAYLOAD]`

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::stdio::dup2_stdout;

use super::config_file::ConfigFile;
use super::{USAGE, print};
use crate::config::{self, read_regular_up_to};
use crate::worker::exec::DEBUG;
use crate::worker::{self, Context};
use nowcast_core::message::{Message, WORKER};
use pyyaml::Value;

/// The maximum size of a payload, in bytes.
const LARGEST: u64 = 64 << 20;

/// The help text after the options.
const NOTES: &str = "The worker's rule gets the message as if the worker had sent it. A worker may send any number of \
    messages. The command returns when the manager has replied.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    sender: MessageSender,
    /// Message type of the worker in the message registry
    #[arg(value_name = "TYPE")]
    r#type: String,
    /// Payload as YAML or JSON, or @FILE
    #[arg(default_value = "null")]
    payload: String,
}

/// The worker that a message is from, and the system that it goes to.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct MessageSender {
    #[command(flatten)]
    config: ConfigFile,
    /// Worker that the message is from; workers' scripts have it set
    #[arg(long, value_name = "NAME", env = WORKER)]
    worker: String,
    /// Send nothing to the manager
    #[arg(long, env = DEBUG, value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) debug: bool,
}

impl MessageSender {
    /// Send a message and return the payload of the reply; null with `--debug`, which sends nothing.
    pub(super) fn send(&self, r#type: &str, payload: Value) -> Result<Value, ExitCode> {
        // Log lines must not be mixed with the answer on standard output.
        let fail = |error: io::Error| {
            print::complain(&format!(
                "cannot separate the answer from log lines on standard output: {error}; if too many files are open, raise \
                 the limit (`ulimit -n`) and try again"
            ));
            ExitCode::FAILURE
        };
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(fail)?;
        dup2_stdout(io::stderr()).map_err(|error| fail(error.into()))?;
        let answer = self.exchange(r#type, payload);
        let _ = dup2_stdout(stdout);
        answer
    }

    fn exchange(&self, r#type: &str, payload: Value) -> Result<Value, ExitCode> {
        let mut context = self.context().map_err(|error| {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        })?;
        let refuse = |error: &str| {
            print::complain(error);
            ExitCode::FAILURE
        };
        let reply = context.tell_manager(r#type, payload).map_err(|error| refuse(&error.to_string()))?;
        match reply {
            None => Ok(Value::Null),
            Some(Message { r#type, payload, .. }) if r#type == "ack" => Ok(payload),
            Some(Message { r#type: reply, .. }) => {
                Err(refuse(&format!("the manager refused the message of {}: {reply}", self.worker)))
            }
        }
    }

    fn context(&self) -> anyhow::Result<Context> {
        let (config, _) = config::load(&self.config.path())?;
        worker::speak_for(&self.worker, config, self.debug)
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    match payload(&args.payload) {
        Ok(payload) => {
            args.sender.send(&args.r#type, payload).map_or_else(|status| status, |_| ExitCode::SUCCESS)
        }
        Err(error) => {
            print::complain(&error);
            ExitCode::from(USAGE)
        }
    }
}

fn payload(text: &str) -> Result<Value, String> {
    let read = |text: &[u8]| pyyaml::read_bytes(text).map_err(|error| error.to_string());
    match text.strip_prefix('@') {
        None => {
            read(text.as_bytes()).map_err(|error| format!("invalid payload, neither YAML nor JSON: {error}"))
        }
        Some(file) => read_regular_up_to(file.as_ref(), LARGEST)
            .map_err(|error| error.to_string())
            .and_then(|text| read(&text))
            .map_err(|error| format!("invalid payload in {file}: {error}")),
    }
}
