//! Python's `SMTPHandler`: a mail for each line.
//!
//! The handler never blocks the program while it runs: a thread sends the mails, and lines that do not fit its queue
//! are lost and counted.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::message::Mailbox;

use super::output::{Complaint, say};
use super::smtp::{Mail, Server};

/// The most mails that can wait in the queue.
const QUEUE: usize = 100;

/// The time that a program waits for its mails before it exits: Python's timeout for one mail.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration of a mail handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailPlan {
    pub server: Server,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub subject: String,
}

/// A queue of mails and the thread that sends them, which starts with the first mail.
#[derive(Debug)]
pub(super) struct Mailer {
    plan: MailPlan,
    queue: Mutex<Option<SyncSender<String>>>,
    outbox: Arc<Outbox>,
}

#[derive(Debug)]
struct Outbox {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress {
    /// The number of mails that are not yet sent.
    open: usize,
    complaint: Complaint,
}

impl Mailer {
    pub fn new(plan: MailPlan) -> Self {
        let complaint =
            Complaint::new(format!("the mail server {} port {}", plan.server.host, plan.server.port));
        let progress = Mutex::new(Progress { open: 0, complaint });
        Self { plan, queue: Mutex::default(), outbox: Arc::new(Outbox { progress, changed: Condvar::new() }) }
    }

    /// Queue a line.
    pub fn send(&self, line: String) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match &*queue {
            Some(queue) => queue,
            None => match self.start() {
                Ok(sender) => queue.insert(sender),
                Err(error) => return self.outbox.lock().complaint.failed(&error, 1),
            },
        };
        // Counted first, because the thread may be faster.
        self.outbox.lock().open += 1;
        let why = match queue.try_send(line) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many mails wait for it",
            Err(TrySendError::Disconnected(_)) => "the thread that sends has ended",
        };
        self.outbox.done(Some(&io::Error::other(why)));
    }

    fn start(&self) -> io::Result<SyncSender<String>> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (plan, outbox) = (self.plan.clone(), Arc::clone(&self.outbox));
        std::thread::Builder::new().name("mail".to_owned()).spawn(move || run(&plan, &receiver, &outbox))?;
        Ok(sender)
    }

    /// Wait until every mail is sent, for [`EXIT_TIMEOUT`] at most.
    pub fn finish(&self) {
        let end = Instant::now() + EXIT_TIMEOUT;
        let mut progress = self.outbox.lock();
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
            let waited = self.outbox.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Count a mail as sent, or as failed with that error.
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

fn run(plan: &MailPlan, lines: &Receiver<String>, outbox: &Outbox) {
    for line in lines {
        outbox.done(send(plan, line).err().as_ref());
    }
}

fn send(plan: &MailPlan, line: String) -> io::Result<()> {
    let (from, to) = (plan.from.clone(), plan.to.clone());
    let mail = Mail { from, to, subject: plan.subject.clone(), id: None, body: line };
    plan.server.send(mail).map_err(|error| io::Error::other(error_text::with_causes(&error)))
}
