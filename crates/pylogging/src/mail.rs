//! Python's `SMTPHandler`: a mail for each line.
//!
//! It never keeps the program waiting while that works: a thread sends, and what does not fit its queue is lost.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::message::Mailbox;

use super::output::{Complaint, say};
use super::smtp::{Mail, Server};

/// Mails that wait for one that is being sent.
const QUEUE: usize = 100;

/// How long a program that ends waits for its mails: Python's time-out for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the configuration says of a mail handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailPlan {
    pub server: Server,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub subject: String,
}

/// Sends mails. Its thread begins with the first one.
#[derive(Debug)]
pub(super) struct Mailer {
    plan: MailPlan,
    queue: Mutex<Option<SyncSender<String>>>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress {
    /// Mails that are not yet sent.
    open: usize,
    complaint: Complaint,
}

impl Mailer {
    pub fn new(plan: MailPlan) -> Self {
        let complaint =
            Complaint::new(format!("the mail server {} port {}", plan.server.host, plan.server.port));
        let progress = Mutex::new(Progress { open: 0, complaint });
        Self { plan, queue: Mutex::default(), state: Arc::new(State { progress, changed: Condvar::new() }) }
    }

    /// Sends a line, soon.
    pub fn send(&self, line: String) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match &*queue {
            Some(queue) => queue,
            None => match self.start() {
                Ok(sender) => queue.insert(sender),
                Err(error) => return self.state.lock().complaint.failed(&error, 1),
            },
        };
        // Counted first, or the thread could be done with it before it is.
        self.state.lock().open += 1;
        let why = match queue.try_send(line) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many mails wait for it",
            Err(TrySendError::Disconnected(_)) => "the thread that sends has ended",
        };
        self.state.done(Some(&io::Error::other(why)));
    }

    fn start(&self) -> io::Result<SyncSender<String>> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (plan, state) = (self.plan.clone(), Arc::clone(&self.state));
        std::thread::Builder::new().name("mail".to_owned()).spawn(move || run(&plan, &receiver, &state))?;
        Ok(sender)
    }

    /// Waits until everything is sent, up to [`PATIENCE`].
    pub fn finish(&self) {
        let end = Instant::now() + PATIENCE;
        let mut progress = self.state.lock();
        while progress.open > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let Server { host, port, .. } = &self.plan.server;
                say(&format!(
                    "the mail server {host} port {port} is slow; mails that were not sent: {}",
                    progress.open
                ));
                break;
            }
            let waited = self.state.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mail was sent, or why it was not.
    fn done(&self, error: Option<&io::Error>) {
        let mut progress = self.lock();
        progress.open = progress.open.saturating_sub(1);
        match error {
            None => progress.complaint.worked(),
            Some(error) => progress.complaint.failed(error, 1),
        }
        drop(progress);
        self.changed.notify_all();
    }
}

fn run(plan: &MailPlan, lines: &Receiver<String>, state: &State) {
    for line in lines {
        state.done(send(plan, line).err().as_ref());
    }
}

fn send(plan: &MailPlan, line: String) -> io::Result<()> {
    let (from, to) = (plan.from.clone(), plan.to.clone());
    let mail = Mail { from, to, subject: plan.subject.clone(), id: None, body: line };
    plan.server.send(mail).map_err(|error| io::Error::other(with_causes(&error)))
}

/// An error with what caused it; `lettre` shows only the outermost.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
