//! Carries out effects: the only place where the manager touches the world.
//!
//! It decides nothing. An effect that fails comes back as an event.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use zmq::Socket;

use crate::core::{Effect, Event, NextWorker, RequestId, RunId, State};
use crate::launch::{self, Children};
use crate::logging::{self, Logger};
use crate::message::Message;
use crate::net::{Envelope, socket};
use crate::store::ChecklistFile;
use crate::store::checklist_file::Writing;
use crate::yaml::{Value, python};

/// The logger that the checklist is written to before it is cleared.
const CHECKLIST_LOGGER: &str = "checklist";

/// What carries out effects, with all that it needs for that.
pub struct Performer {
    /// The connection to the broker.
    pub socket: Socket,
    /// The ways back to the workers that wait for a reply.
    pub envelopes: HashMap<RequestId, Envelope>,
    /// The checklist on disk.
    pub checklist_file: ChecklistFile,
    /// The launched workers.
    pub children: Children<RunId>,
    /// The manager's log.
    pub log: Logger,
    /// Our own binary, which the built-in workers are part of.
    pub program: PathBuf,
}

/// What is left to do after a batch of effects.
#[derive(Debug, Default)]
pub struct Performed {
    /// What came of it.
    pub events: Vec<Event>,
    /// Configuration, rules and checklist are to be read again.
    pub reload: bool,
    /// The manager is to end with that status.
    pub stop: Option<u8>,
}

impl Performer {
    /// Carries out a batch: replies first, then the checklist file, then launches, so that a launched
    /// worker that reads the file finds its own world there.
    pub fn perform(&mut self, effects: Vec<Effect>, state: &State) -> Performed {
        let mut performed = Performed::default();
        let mut launches = Vec::new();
        for effect in effects {
            match effect {
                Effect::Log(line) => self.log.log(line.level, line.text),
                Effect::LogChecklist(checklist) => self.log_checklist(&checklist),
                Effect::Reply { request, message } => self.reply(request, &message),
                Effect::WriteChecklist => self.checklist_file.changed(Instant::now()),
                Effect::Launch { run, worker, .. } => launches.push((run, worker)),
                Effect::Journal(_) | Effect::Answer { .. } | Effect::EndRun(_) => {}
                Effect::Reload => performed.reload = true,
                Effect::Stop { status } => performed.stop = Some(status),
            }
        }
        performed.events.extend(self.write_checklist(state));
        for (run, worker) in launches {
            if let Err(reason) = self.launch(run, &worker, state) {
                performed
                    .events
                    .push(Event::RunEnded { run, ending: crate::core::Ending::NotStarted(reason) });
            }
        }
        performed
    }

    /// Writes the checklist file if that is due.
    pub fn write_checklist(&mut self, state: &State) -> Option<Event> {
        let writing = self.checklist_file.tick(|| state.checklist.to_value(), Instant::now())?;
        Some(match writing {
            Writing::Failed(error) => Event::ChecklistNotWritten { reason: error.to_string() },
            Writing::Recovered => Event::ChecklistWritten,
        })
    }

    fn reply(&mut self, request: RequestId, message: &Message) {
        let Some(mut frames) = self.envelopes.remove(&request) else { return };
        frames.push(message.encode().into_bytes());
        match socket::send(&self.socket, &frames) {
            Ok(true) => {}
            // The broker that brought the request is gone, and with it the way to the worker.
            Ok(false) | Err(zmq::Error::EHOSTUNREACH) => {
                self.log.warning("a reply was lost: the message broker that waited for it is gone");
            }
            Err(error) => self.log.error(format_args!("a reply was lost: ZMQError: {error}")),
        }
    }

    /// The peer writes the checklist once for each handler of the logger, at that handler's level.
    fn log_checklist(&self, checklist: &Value) {
        let levels = logging::handlers_of(CHECKLIST_LOGGER);
        if levels.is_empty() {
            return;
        }
        self.log.info("writing checklist to log file");
        let logger = Logger::new(CHECKLIST_LOGGER);
        for level in levels {
            logger.log(level, format_args!("checklist:\n{}", python::pformat(checklist)));
        }
    }

    fn launch(&mut self, run: RunId, worker: &NextWorker, state: &State) -> Result<(), String> {
        self.log.info(format_args!("launching {worker}"));
        let argv = launch::argv(worker, &state.config, &self.program).map_err(|error| error.to_string())?;
        let words: Vec<String> = argv.iter().map(|word| python::repr(word)).collect();
        self.log.debug(format_args!("cmd = [{}]", words.join(", ")));
        self.children.start(run, &argv, &[]).map_err(|error| error.to_string())
    }
}
