//! Handles a message in the order of NEMO_Nowcast's manager: update the checklist, call the rule, reply.

use std::sync::Arc;

use crate::alarm::Alarm;
use crate::attribution::Attribution;
use crate::cycle::Cycle;
use crate::cycle_of;
use crate::decide::Decision;
use crate::event::{PoisonRequest, Request};
use crate::level::Level;
use crate::message::Message;
use crate::notices::describe;
use crate::parked::{Parked, ParkedItem};
use crate::policy::RegisteredWorker;
use crate::record::{Change, MessageRecord, Outcome, RecordedEvent, Speaker};
use crate::rules::{JoinRequest, RuleCallResult, RuleError, RuleInput};
use crate::run::{Number, Run, RunId, RunReport};
use crate::ticket::Ticket;
use pyyaml::{Keys, Value, python};
use std::borrow::Cow;

/// Bytes that the journal stores of an invalid message: enough to see what it was.
const KEPT_OF_GARBAGE: usize = 65_536;

/// A message to decide, from any sender.
pub(super) struct IncomingMessage {
    pub(super) message: Message,
    pub(super) body: Vec<u8>,
    pub(super) ticket: Option<Ticket>,
    pub(super) speaker: Speaker,
    /// The run that a message of the manager is for; that of a worker's message is found later.
    pub(super) run: Option<RunId>,
    /// Whether its sender says that it belongs to no cycle. It then reports for a run without a cycle only.
    pub(super) is_of_no_cycle: bool,
}

impl IncomingMessage {
    /// Create a message that no worker sent.
    pub(super) fn internal(message: Message, speaker: Speaker, run: Option<RunId>) -> Self {
        let body = message.encode().into_bytes();
        Self { message, body, ticket: None, speaker, run, is_of_no_cycle: false }
    }
}

/// The run, cycle, rule and checklist keys of a message, known once it is decided.
#[derive(Default)]
struct Decided {
    run: Option<RunId>,
    cycle: Option<Cycle>,
    /// As in [`IncomingMessage`].
    is_of_no_cycle: bool,
    rule_location: Option<String>,
    join_request: Option<JoinRequest>,
    keys_read: Vec<String>,
}

/// The reply to a message.
pub(super) struct Reply {
    pub(super) r#type: &'static str,
    pub(super) payload: Value,
    pub(super) outcome: Outcome,
}

impl Reply {
    fn new(r#type: &'static str, outcome: Outcome) -> Self {
        Self { r#type, payload: Value::Null, outcome }
    }
}

impl Decision<'_> {
    /// Decide a worker's request. Each gets a reply.
    pub(super) fn handle_request(&mut self, request: Request) {
        let Request { id, ticket, mut body, message } = request;
        let reply = match message {
            Ok(message) => self.handle_message(IncomingMessage {
                message,
                body,
                ticket,
                speaker: Speaker::Worker,
                run: None,
                is_of_no_cycle: false,
            }),
            Err(error) => {
                self.begin_record();
                self.log(Level::Error, format!("message refused: {error}"));
                let outcome = Outcome::Refused(error.to_string());
                let mut reply = Reply::new("unregistered message type", outcome);
                reply.payload = error.to_string().into();
                body.truncate(KEPT_OF_GARBAGE);
                self.finish_message(None, body, ticket, Speaker::Worker, Decided::default(), &reply);
                reply
            }
        };
        self.reply(id, reply.r#type, reply.payload);
    }

    /// Park a message that is not to be decided automatically. Its sender is told that it arrived, as if its rule had failed.
    pub(super) fn handle_poison_request(&mut self, request: PoisonRequest) {
        let PoisonRequest { id, ticket, body, reason } = request;
        self.begin_record();
        let message = Message::peek(&body);
        let report =
            message.as_ref().filter(|message| !matches!(&*message.r#type, "need" | "clear checklist"));
        let run = report.and_then(|message| self.find_run(message, false));
        let open_run = run.and_then(|run| self.state.runs.get(&run));
        let named = message.as_ref().and_then(|message| message.cycle.as_ref());
        let cycle = cycle_of::message(open_run, named);
        if let Some((message, run)) = report.zip(run.and_then(|run| self.state.runs.get(&run)).cloned()) {
            self.record_report(run, &message.r#type);
        }
        // It has come, as one whose rule failed.
        if let Some(message) = report {
            self.note_expected_message(&in_cycle(message, cycle.as_ref()));
        }
        let (source, r#type) =
            message.as_ref().map_or(("unknown", "unknown"), |message| (&message.source, &message.r#type));
        let number = self.number.0;
        self.alarm(
            Alarm::Parked,
            source,
            format!(
                "a message is parked undecided: {source}: ({type})\n{reason}\nTo decide it, which may make the manager exit again: \
                 nowcast retry {number}. To discard it: nowcast discard {number}"
            ),
        );
        // Readers of the journal decode what a record has, so this one has no payload.
        let shown = match &message {
            Some(message) => message.encode().into_bytes(),
            None => body.bytes().take(KEPT_OF_GARBAGE).collect(),
        };
        let item = ParkedItem::Message {
            source: source.to_owned(),
            r#type: r#type.to_owned(),
            payload: String::new(),
            run,
            cycle: cycle.clone(),
            counted_as: None,
            undecided: Some(body),
        };
        let parked = Parked { id: self.number, at: self.time.wall.clone(), reason: reason.clone(), item };
        self.change(Change::Parked(parked));
        let reply = Reply::new("ack", Outcome::Undecided(reason));
        let decided = Decided { run, cycle, ..Decided::default() };
        self.finish_message(message, shown, ticket, Speaker::Worker, decided, &reply);
        self.reply(id, reply.r#type, reply.payload);
    }

    /// Decide a message, record it and return its reply.
    pub(super) fn handle_message(&mut self, incoming: IncomingMessage) -> Reply {
        self.begin_record();
        let IncomingMessage { message, body, ticket, speaker, run, is_of_no_cycle } = incoming;
        let cycle = message.cycle.clone();
        let mut decided = Decided { run, cycle, is_of_no_cycle, ..Decided::default() };
        let reply = self.decide_message(&message, None, &mut decided);
        // If the registry refuses a `crash` that the manager made, record it here, or each `Due` would make
        // it again.
        let refused = run.filter(|_| matches!(reply.outcome, Outcome::Refused(_)));
        if let Some(run) = refused.and_then(|run| self.state.runs.get(&run)).cloned() {
            self.notify(Some(Alarm::Crash), &message.source, None, describe(&message, Some(&run)));
            decided.cycle.clone_from(&run.cycle);
            self.record_report(run, &message.r#type);
        }
        self.finish_message(Some(message), body, ticket, speaker, decided, &reply);
        reply
    }

    /// Re-decide a parked message with the current rules and its own time. Its payload is merged already, and it has counted
    /// in its joins. If its rule fails again, it stays parked.
    pub(super) fn redecide(&mut self, parked: &Parked, message: Message, checklist: &Value) -> Reply {
        self.begin_record();
        let run = match &parked.item {
            ParkedItem::Message { run, .. } => *run,
            ParkedItem::Launches { .. } => None,
        };
        let mut decided = Decided { run, cycle: message.cycle.clone(), ..Decided::default() };
        let cycles = self.state.cycles.clone();
        let call = self.rules.call_after(&RuleInput {
            message: &message,
            config: &self.state.policy.config,
            checklist,
            cycles: Some(&cycles),
            now: &parked.at,
        });
        drop(cycles);
        let reply = self.apply_rule_result(&message, call, Some(parked), &mut decided);
        if reply.outcome == Outcome::Ruled {
            self.change(Change::ParkedClosed(parked.id));
        }
        let body = message.encode().into_bytes();
        self.finish_message(Some(message), body, None, Speaker::Retry, decided, &reply);
        reply
    }

    /// Decide a message that was parked undecided, with its own time.
    pub(super) fn decide_parked(&mut self, parked: &Parked, run: Option<RunId>, message: Message) -> Reply {
        self.begin_record();
        let mut decided = Decided { run, cycle: message.cycle.clone(), ..Decided::default() };
        let reply = self.decide_message(&message, Some(parked), &mut decided);
        let is_parked =
            matches!(reply.outcome, Outcome::RuleFailed(_) | Outcome::NoFunction(_) | Outcome::Refused(_));
        if !is_parked {
            self.change(Change::ParkedClosed(parked.id));
        }
        let body = message.encode().into_bytes();
        self.finish_message(Some(message), body, None, Speaker::Retry, decided, &reply);
        reply
    }

    /// Launch what is ready and finish the record of a message.
    fn finish_message(
        &mut self,
        message: Option<Message>,
        body: Vec<u8>,
        ticket: Option<Ticket>,
        speaker: Speaker,
        decided: Decided,
        reply: &Reply,
    ) {
        let message = message.map(|message| Message { cycle: decided.cycle, ..message });
        self.launch_ready_runs();
        let keeps_payload = reply.outcome != Outcome::Answered;
        self.finish_record(RecordedEvent::Message(Box::new(MessageRecord {
            ticket,
            body,
            message,
            speaker,
            run: decided.run,
            outcome: reply.outcome.clone(),
            generation: self.state.rules.0,
            rule_location: decided.rule_location,
            join_request: decided.join_request,
            keys_read: decided.keys_read,
            reply: reply.r#type.to_owned(),
            reply_payload: if keeps_payload { reply.payload.clone() } else { Value::Null },
        })));
    }

    /// Decide a message. `parked` is the undecided parked message that is decided.
    fn decide_message(&mut self, message: &Message, parked: Option<&Parked>, decided: &mut Decided) -> Reply {
        let policy = self.state.policy.clone();
        let Message { source, r#type, .. } = message;
        let Some(worker) = policy.registered.get(source) else {
            let text = format!("message received from unregistered worker: {}", shortened(source));
            self.log(Level::Error, text.clone());
            return Reply::new("unregistered worker", Outcome::Refused(text));
        };
        let Some(words) = worker.messages.get(r#type) else {
            let r#type = shortened(r#type);
            let text = format!("unregistered message type received from {source} worker: {type}");
            self.log(Level::Error, text.clone());
            return Reply::new("unregistered message type", Outcome::Refused(text));
        };
        self.log(Level::Debug, format!("received message from {source}: ({type}) {words}"));
        if let Some(text) = &message.invalid_cycle {
            let text = shortened(text);
            let warning = format!("{source}: ({type}) names the invalid cycle {text:?}, which is ignored");
            self.log(Level::Warning, warning);
        }
        match r#type.as_str() {
            "clear checklist" => {
                self.clear_checklist();
                self.record_clearing(message, decided);
                Reply::new("checklist cleared", Outcome::Cleared)
            }
            "need" => self.reply_to_need(message),
            _ => self.handle_report(message, worker, parked, decided),
        }
    }

    pub(super) fn clear_checklist(&mut self) {
        self.effects.push(super::Effect::LogChecklist(self.state.checklist.to_value()));
        self.change(Change::ChecklistReplaced { checklist: Value::Map(std::sync::Arc::default()) });
        self.log(Level::Info, "checklist cleared");
    }

    fn reply_to_need(&mut self, message: &Message) -> Reply {
        let entry = self.state.checklist.get(&message.payload).cloned();
        if entry.is_none() {
            /// More names make a line too long to read.
            const NAMED: usize = 20;
            let shown = |value: &Value| shortened(&python::repr_value(value)).into_owned();
            let keys: Vec<String> = self.state.checklist.keys().take(NAMED).map(shown).collect();
            let text = format!(
                "{} needs {}, which is not in the checklist; it has: {}",
                message.source,
                shown(&message.payload),
                if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") },
            );
            self.log(Level::Error, text);
        }
        let mut reply = Reply::new("ack", Outcome::Answered);
        reply.payload = entry.unwrap_or_default();
        reply
    }

    /// Handle a worker's report: update the checklist and the run, then retry the run or call the rule.
    fn handle_report(
        &mut self,
        message: &Message,
        worker: &RegisteredWorker,
        parked: Option<&Parked>,
        decided: &mut Decided,
    ) -> Reply {
        self.update_checklist(worker, message);
        if parked.is_none() {
            decided.run = decided.run.or_else(|| self.find_run(message, decided.is_of_no_cycle));
        }
        let run = decided.run.and_then(|run| self.state.runs.shared(run));
        let run = run.as_deref();
        // A parked message keeps the cycle that it had: its run may be closed by now.
        if parked.is_none() {
            decided.cycle = cycle_of::message(run, message.cycle.as_ref());
        }
        let message = &*in_cycle(message, decided.cycle.as_ref());
        if let Some(run) = run {
            self.record_report(run.clone(), &message.r#type);
        }
        self.state.has_failures |= message.r#type == "crash";
        // A parked message was received, for its run and in time, when it was parked.
        if parked.is_none() {
            self.note_expected_message(message);
        }
        self.notify_of_message(message, run);
        if let Some(next) = run.and_then(|run| self.retry_if_failed(run, &message.r#type)) {
            return Reply::new("ack", Outcome::Retried(next));
        }
        let now = parked.map_or(&self.time.wall, |parked| &parked.at);
        self.note_message(message, decided.run, run, now.timestamp());
        let (checklist, cycles) = (self.state.checklist.to_value(), self.state.cycles.clone());
        let call = self.rules.call_after(&RuleInput {
            message,
            config: &self.state.policy.config,
            checklist: &checklist,
            cycles: Some(&cycles),
            now,
        });
        // With these references, the next payload could not be merged or noted without a copy.
        drop((checklist, cycles));
        self.apply_rule_result(message, call, parked, decided)
    }

    /// Apply the result of a rule call. `parked` is the parked message that is re-decided.
    fn apply_rule_result(
        &mut self,
        message: &Message,
        call: RuleCallResult,
        parked: Option<&Parked>,
        decided: &mut Decided,
    ) -> Reply {
        let counted_as = parked.and_then(Parked::counted_as);
        self.effects.extend(call.log.into_iter().map(super::Effect::Log));
        (decided.rule_location, decided.keys_read) = (call.location, call.keys_read);
        let reply = match call.result {
            Ok(returned) => {
                let join = returned.join.as_ref();
                decided.join_request = join.filter(|join| join.scope.is_some()).cloned();
                self.add_returned_launches(message, returned, counted_as);
                Reply::new("ack", Outcome::Ruled)
            }
            Err(error @ RuleError::NoFunction { .. }) => {
                let why = error.to_string();
                self.alarm(Alarm::Parked, &message.source, why.clone());
                // It did not reach a rule, so it does not count in joins yet.
                let number = self.park_message(message, decided.run, &why, parked, counted_as);
                // In a line of its own: the one before is NEMO_Nowcast's, word for word.
                let label = format!("{} ({})", message.source, message.r#type);
                self.log(
                    Level::Warning,
                    format!("{label} is parked. After fixing the rule: nowcast retry {}", number.0),
                );
                Reply::new("no after_worker function", Outcome::NoFunction(why))
            }
            Err(RuleError::Failed(why)) => {
                let text = format!(
                    "the rule for this message failed, so nothing is launched after it: {}: ({})\n{why}",
                    message.source, message.r#type
                );
                // It reached its rule, so it counts in joins, and only once although it will be re-decided.
                let join_number = counted_as.or(Some(self.number));
                let number = self.park_message(message, decided.run, &why, parked, join_number);
                let text = format!(
                    "{text}\nThe message is parked. After fixing the rule: nowcast retry {}",
                    number.0
                );
                self.alarm(Alarm::Parked, &message.source, text);
                for launch in self.count_in_joins(message, &mut Vec::new(), counted_as) {
                    self.add_launch(launch);
                }
                Reply::new("ack", Outcome::RuleFailed(why))
            }
        };
        // A message counts by its note, whatever its rule did.
        if self.has_noted {
            for launch in self.count_note_in_joins(message) {
                self.add_launch(launch);
            }
        }
        reply
    }

    /// Park a message whose rule failed or is missing, and return its number. One that was parked `before` keeps its number
    /// and time, by which its historical checklist is found.
    fn park_message(
        &mut self,
        message: &Message,
        run: Option<RunId>,
        why: &str,
        before: Option<&Parked>,
        counted_as: Option<Number>,
    ) -> Number {
        let (id, at) = before.map_or((self.number, &self.time.wall), |before| (before.id, &before.at));
        let at = at.clone();
        let item = ParkedItem::Message {
            source: message.source.clone(),
            r#type: message.r#type.clone(),
            payload: pyyaml::write(&message.payload, Keys::AsGiven),
            run,
            cycle: message.cycle.clone(),
            counted_as,
            undecided: None,
        };
        self.change(Change::Parked(Parked { id, at, reason: why.to_owned(), item }));
        id
    }

    fn update_checklist(&mut self, worker: &RegisteredWorker, message: &Message) {
        if message.payload.is_null() {
            return;
        }
        let source = &message.source;
        let Some(key) = &worker.checklist_key else {
            let text = format!(
                "checklist key not found for {source} worker; its payload is not in the checklist. Add \
                 `checklist key:` to `message registry: workers: {source}:`"
            );
            return self.log(Level::Error, text);
        };
        let shown = key.as_str().map_or_else(|| python::repr_value(key), str::to_owned);
        if self.state.checklist.would_lose_mapping(key, &message.payload) {
            let kind = message.payload.kind();
            self.log(Level::Warning, format!("[{shown}] was a mapping; {source} replaced it with {kind}"));
        }
        self.change_with(Change::PayloadMerged { key: key.clone() }, &message.payload);
        self.log(Level::Info, format!("checklist updated with [{shown}] items from {source} worker"));
    }

    /// Return the run that a message reports for. If a run of another cycle is as likely, warn of it.
    fn find_run(&mut self, message: &Message, is_of_no_cycle: bool) -> Option<RunId> {
        let Attribution { run, rival } = self.state.run_of(message, is_of_no_cycle)?;
        if let Some(rival) = rival {
            let shown = |id: RunId| {
                let cycle = self.state.runs.get(&id).and_then(|run| run.cycle.as_ref());
                cycle.map_or_else(
                    || format!("run {id} of no cycle"),
                    |cycle| format!("run {id} of cycle {cycle}"),
                )
            };
            let text = format!(
                "{}: ({}) may be of {} or of {}; the first is taken. Nothing in the message tells them apart: let the worker send the key \
                 `run`, or an argument that differs",
                message.source,
                message.r#type,
                shown(run),
                shown(rival)
            );
            self.log(Level::Warning, text);
        }
        Some(run)
    }

    fn record_report(&mut self, mut run: Run, r#type: &str) {
        let report = RunReport { message: self.number, r#type: r#type.to_owned() };
        if let Some(before) = run.report.replace(report) {
            run.add_sent(before);
        }
        self.change(Change::Run(Arc::new(run)));
    }

    /// Record for its run that a message cleared the checklist, which is not a report.
    fn record_clearing(&mut self, message: &Message, decided: &mut Decided) {
        decided.run = decided.run.or_else(|| self.find_run(message, decided.is_of_no_cycle));
        let run = decided.run.and_then(|run| self.state.runs.get(&run)).cloned();
        decided.cycle = cycle_of::message(run.as_ref(), message.cycle.as_ref());
        if let Some(mut run) = run {
            run.add_sent(RunReport { message: self.number, r#type: message.r#type.clone() });
            self.change(Change::Run(Arc::new(run)));
        }
    }
}

/// Return a message as one of a cycle.
fn in_cycle<'a>(message: &'a Message, cycle: Option<&Cycle>) -> Cow<'a, Message> {
    if message.cycle.as_ref() == cycle {
        return Cow::Borrowed(message);
    }
    Cow::Owned(Message { cycle: cycle.cloned(), ..message.clone() })
}

/// The most characters of an unknown name in a refusal.
const LONGEST_NAME: usize = 200;

/// Return a name that anybody may have sent, cut if it is too long for a line.
fn shortened(name: &str) -> Cow<'_, str> {
    error_text::cut(name, LONGEST_NAME)
}
