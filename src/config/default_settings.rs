//! Adds the settings that a configuration leaves out, so that all that reads it finds them. It never changes what the file has.

use std::sync::{Arc, LazyLock};

use error_text::closest;
use pyyaml::{Map, Value};

/// The key of a registered worker that is not a message type, in both systems.
pub(super) const CHECKLIST_KEY: &str = "checklist key";

/// The keys that lead to a setting.
pub type SettingPath = Vec<String>;

/// The settings, as a configuration would have them.
pub(super) static SETTINGS: LazyLock<Value> = LazyLock::new(|| {
    // The file is a constant that the tests read.
    #[allow(clippy::expect_used)]
    pyyaml::read(include_str!("default_settings.yaml")).expect("valid YAML")
});

/// Sections whose settings belong together: the default is for the whole one.
pub(super) const WHOLE: [&str; 1] = ["logging"];

/// Add what is missing, and return the paths of what was added. A setting whose name is like that of another key is left out, as that is probably a
/// misspelling.
pub(super) fn add_to(value: &mut Value) -> Vec<SettingPath> {
    let mut added = Vec::new();
    merge(value, &SETTINGS, &mut Vec::new(), &mut added);
    let workers = entry(value, "message registry").and_then(|registry| entry(registry, "workers"));
    if let Some(Value::Map(workers)) = workers {
        for (name, worker) in Arc::make_mut(workers) {
            if let Some(name) = name.as_str() {
                complete_worker(name, worker, &mut added);
            }
        }
    }
    added
}

fn merge(given: &mut Value, defaults: &Value, path: &mut SettingPath, added: &mut Vec<SettingPath>) {
    let (Value::Map(given), Value::Map(defaults)) = (given, defaults) else { return };
    let given = Arc::make_mut(given);
    for (key, default) in defaults.iter() {
        let name = key.as_str().unwrap_or_default();
        path.push(name.to_owned());
        match given.get_mut(key).filter(|value| !value.is_null()) {
            Some(_) if WHOLE.contains(&name) => {}
            Some(value) => merge(value, default, path, added),
            None => {
                let names =
                    given.iter().filter(|(other, _)| *other != key).filter_map(|(other, _)| other.as_str());
                if closest(name, names).is_none() {
                    given.insert(key.clone(), default.clone());
                    added.push(path.clone());
                }
            }
        }
        path.pop();
    }
}

/// Give a worker without a message type those of `NEMO_Nowcast`'s framework, and its name as the checklist key.
fn complete_worker(name: &str, worker: &mut Value, added: &mut Vec<SettingPath>) {
    if worker.is_null() {
        *worker = Map::new().into();
    }
    let Value::Map(entries) = worker else { return };
    if entries.keys().any(|key| key.as_str() != Some(CHECKLIST_KEY)) {
        return;
    }
    let entries = Arc::make_mut(entries);
    let meanings = [
        (CHECKLIST_KEY, name.to_owned()),
        ("success", format!("{name} succeeded")),
        ("failure", format!("{name} failed")),
        ("crash", format!("{name} crashed")),
    ];
    for (key, text) in meanings {
        if let indexmap::map::Entry::Vacant(vacant) = entries.entry(key.into()) {
            vacant.insert(text.into());
            let path = ["message registry", "workers", name, key];
            added.push(path.map(str::to_owned).to_vec());
        }
    }
}

fn entry<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    let Value::Map(entries) = value else { return None };
    Arc::make_mut(entries).get_mut(&Value::from(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str) -> (Value, Vec<String>) {
        let mut value = pyyaml::read(text).unwrap();
        let added = add_to(&mut value);
        (value, added.into_iter().map(|path| path.join(": ")).collect())
    }

    #[test]
    fn what_the_file_has_stays() {
        let (value, added) = completed("zmq: {host: salish, ports: {workers: 1}}\nlogging: {version: 1}");
        let zmq = pyyaml::read("{host: salish, ports: {workers: 1, manager: 4343}}").unwrap();
        assert_eq!(value.get("zmq"), Some(&zmq));
        assert_eq!(value.get("logging"), Some(&pyyaml::read("version: 1").unwrap()));
        assert_eq!(added, ["checklist file", "python", "zmq: ports: manager", "journal", "message registry"]);
    }

    #[test]
    fn a_misspelt_setting_is_not_replaced() {
        let (value, _) = completed("checklist_file: x\nzmq: {portz: {workers: 1}}");
        assert_eq!(value.get("checklist file"), None);
        assert_eq!(value.get("zmq").and_then(|zmq| zmq.get("ports")), None);
    }

    #[test]
    fn a_worker_without_message_types_gets_them() {
        let text = "message registry:\n  workers:\n    get_obs:\n    plot: {checklist key: plots}\n    other: {success: done}";
        let (value, _) = completed(text);
        let workers = value.get("message registry").and_then(|registry| registry.get("workers")).unwrap();
        let expected = "
get_obs: {checklist key: get_obs, success: get_obs succeeded, failure: get_obs failed, crash: get_obs crashed}
plot: {checklist key: plots, success: plot succeeded, failure: plot failed, crash: plot crashed}
other: {success: done}";
        assert_eq!(workers, &pyyaml::read(expected).unwrap());
    }
}
