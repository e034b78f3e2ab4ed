//! Formatters of the package python-json-logger.

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use regex::Regex;

use crate::error::{SetupError, Warning};
use crate::format::{Format, JsonOptions};
use crate::section::Section;
use pyyaml::Value;

/// The formatter's names, before and since version 3.1.
const NAMES: [&str; 2] = ["pythonjsonlogger.jsonlogger.JsonFormatter", "pythonjsonlogger.json.JsonFormatter"];

/// The keys that both ways to name the formatter have.
const KEYS: [&str; 7] = ["format", "fmt", "datefmt", "style", "validate", "class", "()"];

/// The keys of the formatter's own, which Python only passes on with `()`.
const OWN_KEYS: [&str; 6] =
    ["prefix", "rename_fields", "static_fields", "defaults", "timestamp", "json_ensure_ascii"];

/// The fields of a format of each style, by the package's patterns.
static FIELDS: LazyLock<[(&str, Regex); 4]> = LazyLock::new(|| {
    // The patterns are constants that the tests compile.
    #[allow(clippy::expect_used)]
    let pattern = |text| Regex::new(text).expect("a valid pattern");
    [
        ("%", pattern(r"%\((?P<a>.+?)\)")),
        ("{", pattern(r"\{(?P<a>.+?)\}")),
        ("$", pattern(r"\$(?:\$|\{(?P<a>.+?)\}|(?P<b>[_a-zA-Z][_a-zA-Z0-9]*))")),
        (",", pattern(r"\s*(?P<a>[^,\s][^,]*?)\s*(?:,|$)")),
    ]
});

/// Return whether a formatter is that of the package.
pub(super) fn is_chosen(section: &Section<'_>) -> bool {
    ["()", "class"]
        .iter()
        .any(|key| section.get(key).and_then(Value::as_str).is_some_and(|name| NAMES.contains(&name)))
}

pub(super) fn read(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<Arc<Format>, SetupError> {
    let has_own = section.get("()").is_some();
    let keys: Vec<&str> = KEYS.into_iter().chain(OWN_KEYS.into_iter().filter(|_| has_own)).collect();
    section.warn_of_others(&keys, warnings);
    let key = if section.get("format").is_some() { "format" } else { "fmt" };
    let mut options = JsonOptions { fields: fields(section, key)?, ..JsonOptions::default() };
    if has_own {
        section.text("prefix")?.unwrap_or_default().clone_into(&mut options.prefix);
        options.keeps_unicode = !section.flag("json_ensure_ascii", true)?;
        options.defaults = values(section, "defaults")?;
        options.fixed = values(section, "static_fields")?;
        options.timestamp = match section.get("timestamp") {
            Some(Value::Str(name)) => Some(name.to_string()).filter(|name| !name.is_empty()),
            _ => section.flag("timestamp", false)?.then(|| "timestamp".to_owned()),
        };
        for (name, value) in values(section, "rename_fields")? {
            let Some(renamed) = value.as_str() else {
                let place = format!("{}: {name}", section.place_of("rename_fields"));
                return Err(SetupError::new(
                    &place,
                    format!("this is {}, not text", value.kind()),
                    "put it in quotes",
                ));
            };
            options.rename.insert(name, renamed.to_owned());
        }
    }
    let format = Format::json(options, section.text("datefmt")?).map_err(|error| {
        SetupError::new(section.place(), "the format is not valid", error.remedy).because(error.why)
    })?;
    Ok(Arc::new(format))
}

/// Return the fields that the format names.
fn fields(section: &Section<'_>, key: &str) -> Result<Vec<String>, SetupError> {
    if section.get(key).is_some_and(|value| value.as_list().is_some()) {
        return Ok(section.names(key)?.into_iter().map(str::to_owned).collect());
    }
    let style = section.text("style")?.unwrap_or("%");
    let Some((_, pattern)) = FIELDS.iter().find(|(known, _)| *known == style) else {
        let what = format!("the formatter style {style:?} is unknown");
        return Err(SetupError::new(&section.place_of("style"), what, "write '%', '{', '$' or ','"));
    };
    let text = section.text(key)?.filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(vec!["message".to_owned()]) };
    let named = pattern.captures_iter(text).filter_map(|found| found.name("a").or_else(|| found.name("b")));
    let fields: Vec<String> = named.map(|name| name.as_str().to_owned()).collect();
    if fields.is_empty() && section.flag("validate", true)? {
        let what = format!("the format {text:?} names no field of the line");
        return Err(SetupError::new(&section.place_of(key), what, "write %(message)s in it"));
    }
    Ok(fields)
}

fn values(section: &Section<'_>, key: &str) -> Result<IndexMap<String, Value>, SetupError> {
    let Some(value) = section.get(key) else { return Ok(IndexMap::new()) };
    let Some(entries) = value.as_map() else {
        let what = format!("this is {}, not a mapping", value.kind());
        return Err(SetupError::new(&section.place_of(key), what, "write its keys below it, indented"));
    };
    let named = entries.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone())));
    Ok(named.collect())
}
