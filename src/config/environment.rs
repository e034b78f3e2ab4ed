//! `$(NOWCAST.ENV.NAME)`: replaces environment variables in the configuration.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use pyyaml::Value;

/// NEMO_Nowcast's pattern. It also consumes the word characters after the parenthesis: `$(NOWCAST.ENV.HOME)x/y` is
/// `$HOME/y` in both systems.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern is a constant that the tests compile.
    #[allow(clippy::expect_used)]
    Regex::new(r"\$\(NOWCAST\.ENV\.(\w*)\)\w*").expect("a valid pattern")
});

/// A function that returns an environment variable; tests pass their own.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replace every variable in a text, or return the name of the first one that is not set.
pub fn replace(text: &str, lookup: Lookup) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for found in VARIABLE.captures_iter(text) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
        let value = lookup(name.as_str()).ok_or_else(|| name.as_str().to_owned())?;
        result.push_str(&text[end..whole.start()]);
        result.push_str(&value);
        end = whole.end();
    }
    result.push_str(&text[end..]);
    Ok(result)
}

/// Add the names of all variables in a value.
pub fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Str(text) => names.extend(VARIABLE.captures_iter(text).map(|found| found[1].to_owned())),
        Value::List(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| collect_names(value, names)),
        _ => {}
    }
}

/// Return the `logging` section with variables replaced in the `filename` of each handler only. A name with an unset
/// variable is kept as written, as with NEMO_Nowcast.
pub fn replace_in_logging(logging: &Value, lookup: Lookup) -> Value {
    let mut section = logging.clone();
    if logging.get("handlers").is_some() {
        edit(&mut section, "handlers", &mut |handlers| replace_in_handlers(handlers, lookup));
        return section;
    }
    for part in ["aggregator", "publisher"] {
        edit(&mut section, part, &mut |dictionary| {
            edit(dictionary, "handlers", &mut |handlers| replace_in_handlers(handlers, lookup));
        });
    }
    section
}

fn replace_in_handlers(handlers: &mut Value, lookup: Lookup) {
    let Value::Map(map) = handlers else { return };
    for handler in Arc::make_mut(map).values_mut() {
        edit(handler, "filename", &mut |filename| {
            if let Some(Ok(replaced)) = filename.as_str().map(|text| replace(text, lookup)) {
                *filename = replaced.into();
            }
        });
    }
}

/// Change the value of a key if the mapping has it.
fn edit(mapping: &mut Value, key: &str, change: &mut dyn FnMut(&mut Value)) {
    if let Value::Map(map) = mapping
        && let Some(value) = Arc::make_mut(map).get_mut(&Value::from(key))
    {
        change(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "LOGS").then(|| "/var/log".to_owned())
    }

    #[test]
    fn every_variable_is_replaced_and_swallows_the_word_behind_it() {
        assert_eq!(
            replace("$(NOWCAST.ENV.LOGS)x/a:$(NOWCAST.ENV.LOGS)", &lookup),
            Ok("/var/log/a:/var/log".into())
        );
        assert_eq!(replace("$HOME/$(OTHER.ENV.LOGS)", &lookup), Ok("$HOME/$(OTHER.ENV.LOGS)".into()));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(replace("$(NOWCAST.ENV.LOGS)/$(NOWCAST.ENV.NOPE)", &lookup), Err("NOPE".into()));
    }
}
