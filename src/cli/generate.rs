//! `nowcast generate`: files for other programs.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::{ConfigFile, USAGE, operate, print};
use crate::rules::{RuleSet, library};

/// Where the declarations go, inside the rules' folder: of what rules have, and of what their tests have beside.
const TYPES_FILES: [(&str, &str); 2] =
    [(".types/nowcast.lua", library::TYPES), (".types/nowcast_tests.lua", library::TEST_TYPES)];

/// The settings of the Lua language server, inside the rules' folder.
const SERVER_FILE: &str = ".luarc.json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Declarations of all that rules and their tests can call, for editors with a Lua language server
    Types {
        #[command(flatten)]
        config: ConfigFile,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    let What::Types { config } = &args.what;
    let config = match operate::load(&config.file) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let written = RuleSet::of(&config).place().map_err(anyhow::Error::from).and_then(|place| {
        let folder = place.parent().unwrap_or(Path::new(""));
        types(folder).map(|text| print::text(&text))
    });
    written.unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::from(USAGE)
    })
}

/// Writes the declarations, and the settings unless there are others already.
fn types(folder: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    for (name, declarations) in TYPES_FILES {
        let file = folder.join(name);
        write(&file, declarations)?;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} written", file.display());
    }
    let settings = folder.join(SERVER_FILE);
    match fs::read_to_string(&settings) {
        Ok(there) if there == library::SERVER => {}
        Ok(_) => {
            let _ = writeln!(
                text,
                "{} is left as it is; it needs \"workspace.library\": [\".types\"]",
                settings.display()
            );
            return Ok(text);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(&settings, library::SERVER)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", settings.display())),
    }
    let _ = writeln!(text, "{} written", settings.display());
    Ok(text)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}
