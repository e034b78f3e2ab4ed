//! An order: a random message that names the launches that follow it.

use serde_json::{Map, Value, json};

use crate::ledger::NO_LAUNCHES;
use crate::support::random::Random;

/// The kinds of messages, in hundredths of all: most launch a `tick`.
const KINDS: u64 = 100;

/// One of each kind of launched worker, a delay, and a join.
const FIRST_KINDS: [u64; 8] = [64, 70, 73, 77, 81, 84, 87, 92];

/// A launch with its options, as the rules read it.
struct OrderedLaunch {
    worker: &'static str,
    token: String,
    options: Map<String, Value>,
}

impl OrderedLaunch {
    fn new(worker: &'static str, token: String, options: &Value) -> Self {
        Self { worker, token, options: options.as_object().cloned().unwrap_or_default() }
    }

    fn to_json(&self) -> Value {
        let mut object = self.options.clone();
        object.insert("worker".to_owned(), self.worker.into());
        object.insert("token".to_owned(), self.token.clone().into());
        Value::Object(object)
    }
}

/// A join that a message opens.
struct OrderedJoin {
    name: String,
    wait_for: Value,
    timeout: Option<&'static str>,
    launch: OrderedLaunch,
}

/// A message that is not sent yet.
pub struct Order {
    pub id: String,
    launch: Option<OrderedLaunch>,
    join: Option<OrderedJoin>,
}

impl Order {
    /// Return a message without a launch, so that many can be sent in a short time.
    pub fn light(id: String) -> Self {
        Self { id, launch: None, join: None }
    }

    /// Draw a message with a launch.
    pub fn draw(id: String, random: &mut Random) -> Self {
        let kind = random.below(KINDS);
        Self::of_kind(kind, id, random)
    }

    /// Return one of those with which each client begins, so that even a slow machine has all kinds.
    pub fn first(client: usize, id: String, random: &mut Random) -> Self {
        Self::of_kind(FIRST_KINDS[client % FIRST_KINDS.len()], id, random)
    }

    fn of_kind(kind: u64, id: String, random: &mut Random) -> Self {
        let token = format!("{id}.a");
        let launch = |worker, options: Value| OrderedLaunch::new(worker, token.clone(), &options);
        let delay = format!("{}s", 1 + random.below(4));
        let (launch, join) = match kind {
            0..64 => (launch("tick", Value::Null), None),
            64..70 => (launch("shell", Value::Null), None),
            70..73 => (launch("plain", Value::Null), None),
            73..77 => (launch("teller", Value::Null), None),
            77..81 => (launch("sleep", Value::Null), None),
            81..84 => (launch("flaky", json!({"retries": 20, "retry_delay": "1s"})), None),
            84..87 => (launch("stuck", json!({"timeout": "2s"})), None),
            87..92 => (launch("tick", json!({"delay": delay})), None),
            92..96 => {
                let join = OrderedJoin::new(&id, id.clone(), json!({"client": 2, "feeder": 1}), None);
                (launch("tick", Value::Null), Some(join))
            }
            96..98 => {
                let join = OrderedJoin::new(&id, id.clone(), json!({"never": 1, "client": 1}), Some("3s"));
                (launch("tick", Value::Null), Some(join))
            }
            // Opened again and again under one name.
            _ => {
                let join = OrderedJoin::new(&id, "again".to_owned(), json!({"client": 2, "told": 2}), None);
                (launch("tick", Value::Null), Some(join))
            }
        };
        Self { id, launch: Some(launch), join }
    }

    /// A message that only completes joins.
    pub fn tick(id: String) -> Self {
        let launch = OrderedLaunch::new("tick", format!("{id}.a"), &Value::Null);
        Self { id, launch: Some(launch), join: None }
    }

    /// Return the payload. The slot is the sender's own key in the checklist.
    pub fn payload(&self, slot: &str) -> String {
        let launches: Vec<Value> = self.launch.iter().map(OrderedLaunch::to_json).collect();
        let mut payload = json!({"id": self.id, slot: self.id, "launch": launches});
        if let Some(join) = &self.join {
            payload["join"] = json!({
                "name": join.name, "wait_for": join.wait_for, "timeout": join.timeout,
                "launch": [join.launch.to_json()],
            });
        }
        payload.to_string()
    }

    /// Return the line for the ledger.
    pub fn sent(&self, source: &str, slot: &str) -> String {
        let launches = self.launch.iter().chain(self.join.as_ref().map(|join| &join.launch));
        let launches: Vec<String> =
            launches.map(|launch| format!("{}/{}", launch.worker, launch.token)).collect();
        let launches = if launches.is_empty() { NO_LAUNCHES.to_owned() } else { launches.join(",") };
        format!("sent {} {source} {slot} {launches}", self.id)
    }
}

impl OrderedJoin {
    fn new(id: &str, name: String, wait_for: Value, timeout: Option<&'static str>) -> Self {
        let launch = OrderedLaunch::new("tick", format!("{id}.j"), &Value::Null);
        Self { name, wait_for, timeout, launch }
    }
}
