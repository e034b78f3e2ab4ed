//! [`Refusal`]: finds out why the message broker does not admit this manager. It never decides messages, and never waits.
//!
//! A broker that does not admit a manager only ends its connection, so the manager asks at the workers' port which other
//! manager is connected. A broker of NEMO_Nowcast admits every manager and is never asked.

use std::time::{Duration, Instant};

use zmq::{Context, Socket, SocketType};

use super::ManagerError;
use crate::config::Zmq;
use crate::net::broker_state::{BrokerState, QUESTION};
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::{ManagerIdentity, socket};
use pylogging::Logger;

/// Timeout for the broker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout after which a refused manager exits. A manager whose host is gone is expired by then.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(20);

/// The state of the refusal of this manager.
pub(super) struct Refusal {
    identity: ManagerIdentity,
    /// The question that the broker has not answered, with the time when it was asked.
    question: Option<(Socket, Instant)>,
    /// Since when another manager has been connected, and which.
    refused: Option<(Instant, String)>,
    log: Logger,
}

impl Refusal {
    /// Start without a refusal.
    pub(super) fn new(identity: ManagerIdentity, log: Logger) -> Self {
        Self { identity, question: None, refused: None, log }
    }

    /// Ask the broker which manager is connected, unless that was asked a moment ago.
    pub(super) fn ask(&mut self, context: &Context, zmq: &Zmq) -> Result<(), KeyError> {
        if self.question.is_some() {
            return Ok(());
        }
        // Not a REQ: its empty frame would make this a message for the manager.
        let socket = context.socket(SocketType::DEALER)?;
        curve::secure_client(&socket, zmq.curve.as_ref(), CurveServer::Broker)?;
        socket.set_linger(0)?;
        socket.connect(&format!("tcp://{}:{}", zmq.host, zmq.workers_port))?;
        socket::send(&socket, &[QUESTION])?;
        self.question = Some((socket, Instant::now()));
        Ok(())
    }

    /// Take note that the broker has admitted this manager.
    pub(super) fn end(&mut self) {
        if self.refused.take().is_some() {
            self.log.warning("the message broker accepts this manager now");
        }
    }

    /// Read the broker's answer if it has come. Return whether the connected manager is this one, over another connection.
    pub(super) fn receive(&mut self, zmq: &Zmq) -> zmq::Result<bool> {
        let Some((socket, asked)) = &self.question else { return Ok(false) };
        let Some(frames) = socket::receive(socket)? else {
            if asked.elapsed() >= ANSWER_TIMEOUT {
                self.question = None;
            }
            return Ok(false);
        };
        self.question = None;
        let Some(state) = serde_json::from_slice::<BrokerState>(&frames.concat()).ok() else {
            return Ok(false);
        };
        if state.manager.as_ref().is_some_and(|manager| manager.session == self.identity.session) {
            return Ok(true);
        }
        if state.connected {
            self.note(state.manager.as_ref(), zmq);
        }
        Ok(false)
    }

    fn note(&mut self, other: Option<&ManagerIdentity>, zmq: &Zmq) {
        let other = other.map_or("one that does not introduce itself".to_owned(), ToString::to_string);
        if let Some((_, known)) = &mut self.refused {
            *known = other;
            return;
        }
        self.log.error(format_args!(
            "the message broker on {} refuses this manager, since another one is connected ({other}). It tries again for {} s \
             and then exits",
            zmq.host,
            REFUSAL_TIMEOUT.as_secs()
        ));
        self.refused = Some((Instant::now(), other));
    }

    /// Return why this manager gets no messages, if it is refused.
    pub(super) fn reason(&self) -> Option<String> {
        self.refused
            .as_ref()
            .map(|(_, other)| format!("the broker refuses it, since another manager is connected ({other})"))
    }

    /// Check whether this manager has tried for long enough.
    ///
    /// # Errors
    /// When the broker has refused it for too long. `was_admitted`: it had been connected before.
    pub(super) fn check(&self, was_admitted: bool) -> Result<(), ManagerError> {
        match &self.refused {
            Some((since, other)) if since.elapsed() >= REFUSAL_TIMEOUT => {
                Err(ManagerError::Refused { other: other.clone(), was_admitted })
            }
            _ => Ok(()),
        }
    }
}
