//! [`RecordingReport`]: the result of a replayed recording, as text and JSON.

use std::fmt::Write as _;

use indexmap::IndexMap;
use jiff::ZonedDateTime;
use serde::Serialize;

use crate::trial::replay::{Difference, ReplayReport as Answers, ReplayedMessage, grouped};
use nowcast_core::message::Message;
use pyyaml::{Value, python};

/// The maximum number of characters of a payload that are shown.
const SHOWN: usize = 60;

/// The result of a replayed recording.
#[derive(Debug)]
pub struct RecordingReport {
    /// The counts.
    pub summary: RecordingSummary,
    answers: Answers,
    workers: IndexMap<String, RecordedWorker>,
    replies: IndexMap<String, RecordedReply>,
}

/// The counts of a replayed recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecordingSummary {
    /// The number of messages that were decided.
    pub messages: u64,
    /// The time of the first one.
    pub first: Option<ZonedDateTime>,
    /// The time of the last one.
    pub last: Option<ZonedDateTime>,
    /// The number of messages whose rule would launch something or open a join.
    pub answered: u64,
    /// The number of messages whose rule would fail.
    pub fail: u64,
    /// The number of messages whose reply would be different.
    pub other_replies: u64,
    /// The number of workers whose launches and reports differ in number.
    pub other_launches: u64,
    /// The number of repeated messages, which are decided once.
    pub repeated: u64,
    /// The number of lines that could not be read.
    pub unreadable: u64,
}

/// A worker in the recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct RecordedWorker {
    /// The number of launches by the rules.
    launched: u64,
    /// The number of its reports.
    reported: u64,
}

/// A reply that would be different.
#[derive(Debug, Clone, Serialize)]
struct RecordedReply {
    number: u64,
    time: ZonedDateTime,
    worker: String,
    r#type: String,
    /// The recorded reply.
    recorded: String,
    /// The reply that would be sent now.
    now: String,
    /// The number of other messages with the same replies.
    more: u64,
}

/// The JSON document of a replayed recording.
#[derive(Debug, Serialize)]
struct RecordingDocument<'a> {
    summary: &'a RecordingSummary,
    answers: Vec<&'a Difference>,
    workers: &'a IndexMap<String, RecordedWorker>,
    replies: Vec<&'a RecordedReply>,
}

impl RecordingSummary {
    /// Count a message.
    pub(super) fn take(&mut self, at: &ZonedDateTime) {
        self.messages += 1;
        self.first.get_or_insert_with(|| at.clone());
        self.last = Some(at.clone());
    }
}

impl RecordingReport {
    pub(super) fn new(each: bool) -> Self {
        Self {
            summary: RecordingSummary::default(),
            answers: Answers::new(None, None, each),
            workers: IndexMap::new(),
            replies: IndexMap::new(),
        }
    }

    /// Add the result of a rule. It is counted even if it is not shown.
    pub(super) fn answer(&mut self, answer: Difference, is_shown: bool) {
        let fails = answer.error_after.is_some();
        self.summary.fail += u64::from(fails);
        self.summary.answered += u64::from(!fails);
        if is_shown {
            self.answers.add(answer);
        }
    }

    pub(super) fn launched(&mut self, worker: &str) {
        self.count(worker, |worker| worker.launched += 1);
    }

    pub(super) fn reported(&mut self, worker: &str) {
        self.count(worker, |worker| worker.reported += 1);
    }

    fn count(&mut self, name: &str, add: impl FnOnce(&mut RecordedWorker)) {
        let worker = self.workers.entry(name.to_owned()).or_default();
        let differed = worker.launched != worker.reported;
        add(worker);
        let differs = worker.launched != worker.reported;
        self.summary.other_launches += u64::from(differs && !differed);
        self.summary.other_launches -= u64::from(differed && !differs);
    }

    /// Compare a reply with the recorded one: the types and, for a `need`, the payloads.
    pub(super) fn reply(
        &mut self,
        asked: ReplayedMessage<'_>,
        is_need: bool,
        now: &Message,
        recorded: &[u8],
    ) {
        let recorded = Message::decode(recorded);
        let is_same = recorded.as_ref().is_ok_and(|recorded| {
            recorded.r#type == now.r#type && (!is_need || recorded.payload == now.payload)
        });
        if is_same {
            return;
        }
        self.summary.other_replies += 1;
        let said = |message: &Message| {
            if is_need {
                format!("{} {}", message.r#type, short(&message.payload))
            } else {
                message.r#type.clone()
            }
        };
        let recorded = recorded.as_ref().map_or_else(|_| "something that is not a message".to_owned(), said);
        let now = said(now);
        let ReplayedMessage { number, time, worker, r#type } = asked;
        self.replies
            .entry(format!("{worker} {type}\n{recorded}\n{now}"))
            .and_modify(|reply| reply.more += 1)
            .or_insert_with(|| RecordedReply {
                number,
                time: time.clone(),
                worker: worker.to_owned(),
                r#type: r#type.to_owned(),
                recorded,
                now,
                more: 0,
            });
    }

    /// Return the whole report for programs.
    #[must_use]
    pub fn document(&self) -> impl Serialize + '_ {
        RecordingDocument {
            summary: &self.summary,
            answers: self.answers.differences().collect(),
            workers: &self.workers,
            replies: self.replies.values().collect(),
        }
    }

    /// Return whether a rule would fail, or replies or launches differ from the recording.
    #[must_use]
    pub fn differs(&self) -> bool {
        let RecordingSummary { fail, other_replies, other_launches, .. } = self.summary;
        fail + other_replies + other_launches > 0
    }

    /// Return the whole report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.answers.text_of_differences();
        self.tell_workers(&mut text);
        for RecordedReply { number, time, worker, r#type, recorded, now, more } in self.replies.values() {
            let time = time.strftime("%Y-%m-%d %H:%M:%S");
            let more =
                if *more > 0 { format!(", and {} more like it", grouped(*more)) } else { String::new() };
            let _ = writeln!(
                text,
                "{time}  #{number}  {worker} {type}: the reply was {recorded}, and would be {now}{more}"
            );
        }
        if self.summary.repeated > 0 {
            let count = grouped(self.summary.repeated);
            let _ = writeln!(text, "{count} sent again, and decided once");
        }
        if self.summary.unreadable > 0 {
            let _ = writeln!(
                text,
                "{} of its lines could not be read; a broker that is killed leaves one half",
                grouped(self.summary.unreadable)
            );
        }
        let RecordingSummary { messages, first, last, answered, fail, other_replies, .. } = &self.summary;
        let shown = |at: &ZonedDateTime| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let span = first.as_ref().zip(last.as_ref());
        let span = span.map(|(first, last)| format!(" from {} to {}", shown(first), shown(last)));
        let _ = writeln!(
            text,
            "{} {}{} decided: {} would launch something, {} would fail, {} would be different",
            grouped(*messages),
            if *messages == 1 { "message" } else { "messages" },
            span.unwrap_or_default(),
            grouped(*answered),
            grouped(*fail),
            if *other_replies == 1 {
                "1 reply".to_owned()
            } else {
                format!("{} replies", grouped(*other_replies))
            }
        );
        text
    }

    /// Append the comparison of the rules' launches with the recorded reports.
    fn tell_workers(&self, text: &mut String) {
        let times =
            |count: u64| if count == 1 { "once".to_owned() } else { format!("{} times", grouped(count)) };
        let alike = self.workers.values().filter(|worker| worker.launched == worker.reported).count();
        if alike > 0 {
            let workers = if alike == 1 { "worker was" } else { "workers were" };
            let _ = writeln!(
                text,
                "{alike} {workers} launched by the rules as often as reported in the recording"
            );
        }
        for (name, RecordedWorker { launched, reported }) in &self.workers {
            if *launched > 0 && launched != reported {
                let reported = match reported {
                    0 => "never reported".to_owned(),
                    reported => format!("reported {}", times(*reported)),
                };
                let launched = times(*launched);
                let _ = writeln!(
                    text,
                    "{name} was launched {launched} by the rules, and {reported} in the recording"
                );
            }
        }
        let others: Vec<String> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.launched == 0 && worker.reported > 0)
            .map(|(name, worker)| format!("{name} ({})", times(worker.reported)))
            .collect();
        if !others.is_empty() {
            let _ = writeln!(text, "reported without being launched by the rules: {}", others.join(", "));
        }
    }
}

/// Format a value on one line, and cut it after [`SHOWN`] characters.
fn short(value: &Value) -> String {
    error_text::cut(&python::repr_value(value), SHOWN).into_owned()
}
