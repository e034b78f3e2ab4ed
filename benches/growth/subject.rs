//! One system of a curve, and what a message costs it.

use std::fs;
use std::time::{Duration, Instant};

use nowcast::store::History;

use crate::support::system::System;
use crate::support::wait::wait_within;

/// Requests in flight where many are measured.
pub const IN_FLIGHT: usize = 64;

/// The request that is measured: it changes one entry of the checklist, and its rule launches nothing.
const REQUEST: [&str; 2] = ["", "payload: {sleep time: 5}\nsource: sleep\ntype: success\n"];

/// The unit in which Linux tells processor time (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// How long a manager has used no processor time when it is idle.
const IDLE: Duration = Duration::from_millis(200);

/// Deadline for that: a large checklist is still being written.
const IDLE_DEADLINE: Duration = Duration::from_secs(300);

/// Deadline for each reply.
const REPLY_DEADLINE: i32 = 120_000;

/// What a message costs.
#[derive(Clone, Copy)]
pub struct Cost {
    /// From a request to its reply, with no other in flight: the median.
    pub single: Duration,
    /// Replies a second with many in flight.
    pub rate: f64,
    /// The processor time of the manager for one of these messages, in all of its threads.
    pub processor: Duration,
    /// The longest time without a reply while many are in flight.
    pub pause: Duration,
}

impl Cost {
    /// Return the lower cost of two rounds in every respect: what others do on the machine only adds.
    pub fn best(self, other: Self) -> Self {
        Self {
            single: self.single.min(other.single),
            rate: self.rate.max(other.rate),
            processor: self.processor.min(other.processor),
            pause: self.pause.min(other.pause),
        }
    }
}

/// A system, and the sockets of its workers.
pub struct Subject {
    /// Its size, for the axis.
    pub size: f64,
    /// Its size, for people.
    pub label: String,
    pub system: System,
    single: zmq::Socket,
    many: zmq::Socket,
    in_flight: usize,
}

impl Subject {
    /// A running system, measured with [`IN_FLIGHT`] requests in flight.
    pub fn new(size: f64, label: String, system: System) -> Self {
        let (single, many) = (connect(&system, 1), connect(&system, 1));
        Self { size, label, system, single, many, in_flight: IN_FLIGHT }
    }

    /// A running system with so many connected workers. All of them wait for a reply where many are measured.
    pub fn with_workers(workers: usize, label: String, system: System) -> Self {
        // A count of workers is far below the numbers that a float cannot hold.
        #[allow(clippy::cast_precision_loss)]
        let size = workers as f64;
        let (single, many) = (connect(&system, 1), connect(&system, workers));
        Self { size, label, system, single, many, in_flight: workers }
    }

    /// Send distinct requests, many at a time, and wait until each is acknowledged.
    pub fn send_all(&self, bodies: impl Iterator<Item = String>) {
        let mut open = 0;
        for body in bodies {
            if open == IN_FLIGHT {
                acknowledged(&self.single);
                open -= 1;
            }
            self.single.send_multipart(["", &body], 0).expect("sent");
            open += 1;
        }
        (0..open).for_each(|_| acknowledged(&self.single));
    }

    /// Measure one round.
    pub fn measure(&self, single: Duration, many: Duration) -> Cost {
        self.wait_until_idle();
        let single = self.one_at_a_time(single);
        let used = self.processor_time();
        let (count, time, pause) = self.many_in_flight(many);
        let processor = self.processor_time().saturating_sub(used).max(TICK) / count;
        Cost { single, rate: f64::from(count) / time.as_secs_f64(), processor, pause }
    }

    fn one_at_a_time(&self, time: Duration) -> Duration {
        let (mut times, start) = (Vec::new(), Instant::now());
        while start.elapsed() < time || times.is_empty() {
            let sent = Instant::now();
            self.single.send_multipart(REQUEST, 0).expect("sent");
            acknowledged(&self.single);
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// Return how many replies came in which time, and the longest pause.
    fn many_in_flight(&self, time: Duration) -> (u32, Duration, Duration) {
        for _ in 0..self.in_flight {
            self.many.send_multipart(REQUEST, 0).expect("sent");
        }
        let start = Instant::now();
        let (mut count, mut pause, mut last) = (0_u32, Duration::ZERO, start);
        while last.duration_since(start) < time || count == 0 {
            acknowledged(&self.many);
            self.many.send_multipart(REQUEST, 0).expect("sent");
            let now = Instant::now();
            pause = pause.max(now.duration_since(last));
            (count, last) = (count + 1, now);
        }
        (0..self.in_flight).for_each(|_| acknowledged(&self.many));
        (count, last.duration_since(start), pause)
    }

    /// Wait until the manager has nothing left to do, such as writing the checklist file.
    pub fn wait_until_idle(&self) {
        let (mut since, mut used) = (Instant::now(), self.processor_time());
        let is_idle = || {
            let now = self.processor_time();
            if now != used {
                (since, used) = (Instant::now(), now);
            }
            (since.elapsed() >= IDLE).then_some(())
        };
        wait_within(IDLE_DEADLINE, "an idle manager", is_idle, || self.system.describe());
    }

    /// The processor time that the manager has used, in all of its threads.
    fn processor_time(&self) -> Duration {
        let stat = format!("/proc/{}/stat", self.system.id("manager"));
        let stat = fs::read_to_string(stat).expect("the manager runs");
        // After the name, which is in parentheses, user and system time are the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u32 = fields.map(|field| field.parse::<u32>().expect("a number")).sum();
        TICK * ticks
    }

    /// Check that no rule failed: its messages would have been acknowledged, but at another cost.
    pub fn check(&self) {
        let history = History::open(&self.system.path("checklist.journal")).expect("the journal");
        let parked = history.open_now().expect("readable").parked;
        assert!(parked.is_empty(), "{parked:?}\n{}", self.system.describe());
    }
}

/// Connect so many times as workers do. Requests go round all connections.
fn connect(system: &System, connections: usize) -> zmq::Socket {
    let socket = system.context.socket(zmq::DEALER).expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.set_rcvtimeo(REPLY_DEADLINE).expect("an option");
    for _ in 0..connections {
        socket.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    }
    socket
}

/// Receive a reply, which must be an acknowledgement.
fn acknowledged(socket: &zmq::Socket) {
    let reply = socket.recv_multipart(0).expect("a reply");
    let is_acknowledged = reply.last().is_some_and(|body| body.ends_with(b"type: ack\n"));
    assert!(is_acknowledged, "{}", String::from_utf8_lossy(&reply.concat()));
}
