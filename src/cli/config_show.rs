//! `nowcast config show`: the configuration as all programs of nowcast read it, with defaults. It never checks more than they do.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::config_file::ConfigFile;
use super::print::{self, Json, plain};
use super::table::Table;
use super::{USAGE, keys};
use crate::config::{self, Config, KeyPlace};
use pyyaml::Value;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Print where each value comes from: its line, or `default`
    #[arg(long)]
    origin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only a part: keys from the top down; for a list, an index from 0
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
}

/// A value with its origin. Its keys are those of the JSON.
#[derive(Serialize)]
struct Setting<'v> {
    /// The keys that lead to it.
    setting: Vec<String>,
    value: Json<'v>,
    /// The file that has it; `None` for a default.
    file: Option<&'v Path>,
    /// Its line there.
    line: Option<usize>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match show(args) {
        Ok(printed) => printed,
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        }
    }
}

fn show(args: &Args) -> anyhow::Result<ExitCode> {
    let (config, _) = config::load(&args.config.path())?;
    let value = keys::pick(&config.value, &config.file.display().to_string(), &args.keys)?;
    if !args.origin {
        return Ok(keys::show(&value, args.json));
    }
    let mut settings = Vec::new();
    collect(&value, &args.keys, &mut |setting, value| {
        let place = place(&config, &setting);
        let (file, line) = (place.map(|place| place.file), place.map(|place| place.line));
        settings.push(Setting { setting, value: Json(value), file, line });
    });
    if args.json {
        return Ok(print::json(&settings));
    }
    let mut table = Table::new(&["SETTING", "VALUE", "ORIGIN"]);
    for Setting { setting, value, .. } in &settings {
        let origin = place(&config, setting).map_or_else(|| "default".to_owned(), |place| place.to_string());
        table.row([setting.join(": "), plain(value.0), origin]);
    }
    Ok(print::table(&table))
}

/// Call a function with each value that has no others in it, and with its keys.
fn collect<'v>(value: &'v Value, keys: &[String], found: &mut dyn FnMut(Vec<String>, &'v Value)) {
    let below = |key: String| [keys, &[key]].concat();
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            entries.iter().for_each(|(key, value)| collect(value, &below(plain(key)), found));
        }
        Value::List(items) if !items.is_empty() => {
            (0..).zip(items.iter()).for_each(|(index, value): (usize, _)| {
                collect(value, &below(index.to_string()), found);
            });
        }
        _ => found(keys.to_vec(), value),
    }
}

/// Return the place of a setting, or of the nearest one around it; `None` for a default.
fn place<'c>(config: &'c Config, setting: &[String]) -> Option<KeyPlace<'c>> {
    if config.defaulted.iter().any(|path| setting.starts_with(path)) {
        return None;
    }
    let setting: Vec<&str> = setting.iter().map(String::as_str).collect();
    config.places.nearest(&setting)
}
