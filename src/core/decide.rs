//! [`decide`]: from an event to its effects. The order of the peer's manager, step by step.

use jiff::ZonedDateTime;

use super::checklist::Update;
use super::effect::Effect;
use super::event::{Command, Ending, Event, RequestId, RunId, Signal};
use super::joins::Join;
use super::rules::{NextWorker, RuleAnswer, RuleError, Rules};
use super::state::State;
use crate::config::RegisteredWorker;
use crate::logging::Level;
use crate::message::Message;
use crate::yaml::{Value, python};

/// The name under which the manager speaks.
pub const MANAGER: &str = "manager";

/// Decides what an event leads to. The state afterwards is as if the effects had been carried out;
/// one that fails comes back as another event.
pub fn decide(state: &mut State, event: Event, rules: &dyn Rules, now: &ZonedDateTime) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Request { request, body } => {
            handle_request(state, request, &body, rules, now, &mut effects);
        }
        Event::RunEnded { run, ending } => end_run(state, run, &ending, &mut effects),
        Event::LaunchFailed { run, reason } => fail_launch(state, run, &reason, &mut effects),
        Event::Command(Command::Launch(worker)) => launch(state, vec![worker], &mut effects),
        Event::ChecklistNotWritten { reason } => {
            let text =
                format!("the checklist file cannot be written, and is tried again every second: {reason}");
            effects.push(Effect::log(Level::CRITICAL, text));
        }
        Event::ChecklistWritten => {
            effects.push(Effect::log(Level::WARNING, "the checklist file could be written again"));
        }
        Event::Signal(signal) => obey(signal, &mut effects),
        Event::Reloaded { config, checklist } => {
            state.config = config;
            if let Some(entries) = checklist {
                state.checklist = super::checklist::Checklist::new(entries);
            }
        }
    }
    effects
}

/// What follows from a whole batch of events: a manager that is to end when nothing is left to do, ends.
#[must_use]
pub fn end_if_idle(state: &State) -> Vec<Effect> {
    if !(state.exit_when_idle && state.is_idle()) {
        return Vec::new();
    }
    let text = "nothing left to do; shutting down";
    vec![Effect::log(Level::INFO, text), Effect::Stop { status: u8::from(state.trouble) }]
}

/// A worker's message: registered? then to the checklist and the rules. Every request gets a reply.
fn handle_request(
    state: &mut State,
    request: RequestId,
    body: &[u8],
    rules: &dyn Rules,
    now: &ZonedDateTime,
    effects: &mut Vec<Effect>,
) {
    let message = match Message::decode(body) {
        Ok(message) => message,
        Err(error) => {
            effects.push(Effect::log(Level::ERROR, format!("message refused: {error}")));
            let reason = error.to_string().into();
            return effects.push(reply(request, "unregistered message type", reason));
        }
    };
    let config = state.config.clone();
    let Some(worker) = config.registry.workers.get(&message.source) else {
        let text = format!("message received from unregistered worker: {}", message.source);
        effects.push(Effect::log(Level::ERROR, text));
        return effects.push(reply(request, "unregistered worker", Value::Null));
    };
    let Some(words) = worker.messages.get(&message.r#type) else {
        let text =
            format!("unregistered message type received from {} worker: {}", message.source, message.r#type);
        effects.push(Effect::log(Level::ERROR, text));
        return effects.push(reply(request, "unregistered message type", Value::Null));
    };
    let text = format!("received message from {}: ({}) {words}", message.source, message.r#type);
    effects.push(Effect::log(Level::DEBUG, text));
    match message.r#type.as_str() {
        "clear checklist" => clear_checklist(state, request, effects),
        "need" => answer_need(state, request, &message, effects),
        _ => {
            update_checklist(state, worker, &message, effects);
            ask_rules(state, request, &message, rules, now, effects);
        }
    }
}

fn clear_checklist(state: &mut State, request: RequestId, effects: &mut Vec<Effect>) {
    effects.push(Effect::LogChecklist(state.checklist.to_value()));
    state.checklist.clear();
    effects.push(Effect::WriteChecklist);
    effects.push(Effect::log(Level::INFO, "checklist cleared"));
    effects.push(reply(request, "checklist cleared", Value::Null));
}

fn answer_need(state: &State, request: RequestId, message: &Message, effects: &mut Vec<Effect>) {
    let entry = state.checklist.get(&message.payload);
    if entry.is_none() {
        /// More names than this make a line that nobody reads.
        const NAMED: usize = 20;
        let keys: Vec<String> = state.checklist.keys().take(NAMED).map(python::repr_value).collect();
        let text = format!(
            "{} needs {}, which is not in the checklist; it has: {}",
            message.source,
            python::repr_value(&message.payload),
            if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") },
        );
        effects.push(Effect::log(Level::ERROR, text));
    }
    effects.push(reply(request, "ack", entry.cloned().unwrap_or_default()));
}

fn update_checklist(
    state: &mut State,
    worker: &RegisteredWorker,
    message: &Message,
    effects: &mut Vec<Effect>,
) {
    if message.payload.is_null() {
        return;
    }
    let source = &message.source;
    let Some(key) = &worker.checklist_key else {
        let text = format!(
            "checklist key not found for {source} worker; its payload is not in the checklist. Add \
             `checklist key:` to `message registry: workers: {source}:`"
        );
        return effects.push(Effect::log(Level::ERROR, text));
    };
    let shown = key.as_str().map_or_else(|| python::repr_value(key), str::to_owned);
    if state.checklist.update(key, message.payload.clone()) == Update::ReplacedMapping {
        let text = format!("[{shown}] was a mapping; {source} replaced it with {}", message.payload.kind());
        effects.push(Effect::log(Level::WARNING, text));
    }
    let text = format!("checklist updated with [{shown}] items from {source} worker");
    effects.push(Effect::log(Level::INFO, text));
    effects.push(Effect::WriteChecklist);
}

fn ask_rules(
    state: &mut State,
    request: RequestId,
    message: &Message,
    rules: &dyn Rules,
    now: &ZonedDateTime,
    effects: &mut Vec<Effect>,
) {
    state.trouble |= message.r#type == "crash";
    let call = rules.after(message, &state.config.value, &state.checklist.to_value(), now);
    effects.extend(call.log.into_iter().map(Effect::Log));
    let answer = match call.result {
        Ok(answer) => answer,
        Err(error @ RuleError::NoFunction { .. }) => {
            state.trouble = true;
            effects.push(Effect::log(Level::CRITICAL, error.to_string()));
            return effects.push(reply(request, "no after_worker function", Value::Null));
        }
        Err(RuleError::Failed(why)) => {
            state.trouble = true;
            let text = format!(
                "the rule for this message failed, so nothing is launched after it: {}: ({})\n{why}",
                message.source, message.r#type
            );
            effects.push(Effect::log(Level::CRITICAL, text));
            RuleAnswer::default()
        }
    };
    effects.push(reply(request, "ack", Value::Null));
    follow(state, &message.source, answer, effects);
}

/// Launches what a rule returned, or lets it wait in a join.
fn follow(state: &mut State, worker: &str, answer: RuleAnswer, effects: &mut Vec<Effect>) {
    if let Some(must_finish) = answer.must_finish.filter(|names| !names.is_empty()) {
        if let Some(parked) = state.joins.open(worker, must_finish.clone()) {
            state.trouble = true;
            let text = format!(
                "the join of {worker} was opened again before {} had finished; parked, not launched: {}",
                parked.must_finish.join(", "),
                list(&parked.then_launch),
            );
            effects.push(Effect::log(Level::CRITICAL, text));
        }
        let opened = Join { name: worker.to_owned(), must_finish, then_launch: Vec::new() };
        let text = format!("race condition management activated: {}", race_condition(&opened));
        effects.push(Effect::log(Level::DEBUG, text));
    }
    let finished = state.joins.finish(worker, answer.next_workers);
    for join in &finished.counted {
        let text =
            format!("{worker} finished and race condition management updated: {}", race_condition(join));
        effects.push(Effect::log(Level::DEBUG, text));
        if join.must_finish.is_empty() {
            let text = format!(
                "race condition management ended; next workers released: {}",
                list(&join.then_launch)
            );
            effects.push(Effect::log(Level::DEBUG, text));
        }
    }
    launch(state, finished.launch, effects);
}

fn launch(state: &mut State, workers: Vec<NextWorker>, effects: &mut Vec<Effect>) {
    for worker in workers {
        state.last_run += 1;
        let run = RunId(state.last_run);
        if !state.config.registry.workers.contains_key(worker.name()) {
            let text = format!(
                "{} is launched though it is not in the message registry; its messages will be refused",
                worker.name()
            );
            effects.push(Effect::log(Level::WARNING, text));
        }
        state.runs.insert(run, worker.clone());
        effects.push(Effect::Launch { run, worker });
    }
}

fn end_run(state: &mut State, run: RunId, ending: &Ending, effects: &mut Vec<Effect>) {
    let Some(worker) = state.runs.remove(&run) else { return };
    if !ending.is_success() {
        state.trouble = true;
        effects.push(Effect::log(Level::ERROR, format!("{} (run {run}) {ending}", worker.name())));
    }
}

fn fail_launch(state: &mut State, run: RunId, reason: &str, effects: &mut Vec<Effect>) {
    let Some(worker) = state.runs.remove(&run) else { return };
    state.trouble = true;
    effects.push(Effect::log(Level::CRITICAL, format!("could not launch {worker}: {reason}")));
}

fn obey(signal: Signal, effects: &mut Vec<Effect>) {
    effects.push(Effect::log(Level::INFO, signal.log_text()));
    effects.push(match signal {
        Signal::Hangup => Effect::Reload,
        Signal::Interrupt | Signal::Terminate => Effect::Stop { status: 0 },
    });
}

fn reply(request: RequestId, r#type: &str, payload: Value) -> Effect {
    Effect::Reply { request, message: Message::new(MANAGER, r#type, payload) }
}

/// A join as the peer's log shows its race condition.
fn race_condition(join: &Join) -> String {
    let names: Vec<String> = join.must_finish.iter().map(|name| python::repr(name)).collect();
    let must_finish = if names.is_empty() { "set()".to_owned() } else { format!("{{{}}}", names.join(", ")) };
    format!("{{'must finish': {must_finish}, 'then launch': {}}}", list(&join.then_launch))
}

fn list(workers: &[NextWorker]) -> String {
    let shown: Vec<String> = workers.iter().map(NextWorker::to_string).collect();
    format!("[{}]", shown.join(", "))
}
