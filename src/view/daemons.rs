//! Whether the daemons answer.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::Config;
use crate::control::call::{self, Service, WELL};
use crate::store::{Presence, journal};
use crate::{log_aggregator, scheduler};

/// How long the broker may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a daemon is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    /// It answers.
    Works,
    /// It is there, and why it does not work.
    Stuck(String),
    /// It is not there.
    Missing,
}

/// Programs only ask whether it answers; why not is under `attention`.
impl Serialize for Daemon {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.answers())
    }
}

impl Daemon {
    pub fn answers(&self) -> bool {
        *self == Daemon::Works
    }
}

/// Which of the daemons are there.
#[derive(Debug, Clone, Serialize)]
pub struct Daemons {
    pub broker: Daemon,
    pub manager: Daemon,
    /// `None` where nothing is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Daemon>,
    /// `None` where log messages are not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_aggregator: Option<Daemon>,
    /// Why the manager does nothing at the moment, if it does nothing.
    #[serde(skip)]
    pub stands_still: Option<String>,
}

impl Daemons {
    pub fn look(config: &Config) -> Self {
        let folder = &config.journal.folder;
        let (manager, stands_still) = match call::service(folder) {
            Service::Works => (Daemon::Works, None),
            Service::Still(why) => (Daemon::Works, Some(why)),
            Service::Silent => (Daemon::Stuck(silent("it is stopped, or busy with a long batch")), None),
            Service::None => {
                let stuck = journal::holder(folder).map(unreachable).map(Daemon::Stuck);
                (stuck.unwrap_or(Daemon::Missing), None)
            }
        };
        let look = |is_wanted: bool, name| {
            let is_there = || Presence::is_announced(name, folder);
            is_wanted.then(|| if is_there() { Daemon::Works } else { Daemon::Missing })
        };
        let scheduler = look(!config.scheduled.is_empty(), scheduler::NAME);
        let log_aggregator = look(config.aggregates_logs(), log_aggregator::NAME);
        Self { broker: broker(config), manager, scheduler, log_aggregator, stands_still }
    }

    fn each(&self) -> impl Iterator<Item = &Daemon> {
        [&self.broker, &self.manager].into_iter().chain(&self.scheduler).chain(&self.log_aggregator)
    }

    /// How many there should be.
    pub fn all(&self) -> usize {
        self.each().count()
    }

    pub fn running(&self) -> usize {
        self.each().filter(|daemon| daemon.answers()).count()
    }

    pub fn is_one_missing(&self) -> bool {
        self.each().any(|daemon| *daemon == Daemon::Missing)
    }
}

/// Why a manager that is there cannot be asked.
pub fn unreachable(process: u64) -> String {
    format!(
        "the manager (process {process}) has the journal, but its control socket is gone: it makes it anew within a second, \
         unless it is just starting or stuck; its log says more"
    )
}

fn silent(why: &str) -> String {
    format!("it did not answer for {} s: {why}", WELL.as_secs())
}

/// A broker greets whoever connects, but the operating system takes connections for one that is stopped, too.
fn broker(config: &Config) -> Daemon {
    let address = (config.zmq.host.as_str(), config.zmq.workers_port);
    let addresses = address.to_socket_addrs().into_iter().flatten();
    let connect = |address: SocketAddr| TcpStream::connect_timeout(&address, PATIENCE).ok();
    let Some(mut stream) = addresses.into_iter().find_map(connect) else { return Daemon::Missing };
    let greeted = stream.set_read_timeout(Some(WELL)).and_then(|()| stream.read_exact(&mut [0]));
    match greeted {
        Ok(()) => Daemon::Works,
        Err(_) => Daemon::Stuck(silent("it is stopped, or something else has its port")),
    }
}
