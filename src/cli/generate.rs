//! `nowcast generate`: files for editors, shells and `man`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use clap_complete::env::Shells;
use serde::Serialize;

use super::operate::CommonOptions;
use super::{USAGE, complete, print};
use crate::config::{self, Config};
use crate::rules::{RuleSet, library, system_names};
use crate::store::History;

/// The files with declarations, inside the rules' folder: for rules, and for their tests.
const TYPES_FILES: [(&str, &str); 2] =
    [(".types/nowcast.lua", library::TYPES), (".types/nowcast_tests.lua", library::TEST_TYPES)];

/// The file with the names of the system, beside them.
const NAMES_FILE: &str = ".types/system.lua";

/// The settings file of the Lua language server, inside the rules' folder.
const SERVER_FILE: &str = ".luarc.json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: GenerateCommand,
}

#[derive(Debug, Subcommand)]
enum GenerateCommand {
    /// Write declarations of all functions for rules and their tests, and of the system's names, for editors with a Lua language server
    Types {
        #[command(flatten)]
        common: CommonOptions,
    },
    /// Print the JSON Schema of nowcast.yaml, for editors with a YAML language server
    Schema,
    /// Print the script by which a shell completes nowcast's commands, options, and the names and numbers of the system in the folder
    ///
    /// For bash: add "source <(nowcast generate completions bash)" to ~/.bashrc.
    Completions {
        #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
        shell: String,
    },
    /// Write manual pages
    Man {
        /// Folder for the pages, such as ~/.local/share/man/man1
        folder: PathBuf,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    let common = match &args.what {
        GenerateCommand::Types { common } => common,
        GenerateCommand::Schema => return print::text(&schema()),
        GenerateCommand::Completions { shell } => return completions(shell),
        GenerateCommand::Man { folder } => return manual_pages(folder),
    };
    let config = match common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let written = RuleSet::of(&config).place().map_err(anyhow::Error::from).and_then(|place| {
        let files = types(place.parent().unwrap_or(Path::new("")), &config)?;
        Ok(if common.json { print::json(&files) } else { print::text(&files.to_text()) })
    });
    written.unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::from(USAGE)
    })
}

/// Return the schema of the configuration as the text of a file.
pub(super) fn schema() -> String {
    format!("{:#}\n", config::schema())
}

fn completions(shell: &str) -> ExitCode {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    // clap has checked the name.
    let Some(completer) = shells.completer(shell) else { return ExitCode::from(USAGE) };
    match completer.write_registration(complete::VARIABLE, "nowcast", "nowcast", "nowcast", &mut script) {
        Ok(()) => print::text(&String::from_utf8_lossy(&script)),
        Err(error) => {
            print::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn manual_pages(folder: &Path) -> ExitCode {
    let written = fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(super::definition(), folder))
        .with_context(|| format!("cannot write to {}", folder.display()));
    match written {
        Ok(()) => print::text(&format!("manual pages written to {}\n", folder.display())),
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// The files that were written. Its keys are those of the JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Files {
    written: Vec<PathBuf>,
    /// The user's own settings file, left unchanged.
    kept: Vec<PathBuf>,
}

impl Files {
    pub(super) fn to_text(&self) -> String {
        let written = self.written.iter().map(|file| format!("{} written\n", file.display()));
        let kept = self.kept.iter().map(|file| {
            format!("{} is unchanged; it needs \"workspace.library\": [\".types\"]\n", file.display())
        });
        written.chain(kept).collect()
    }
}

/// Write the declarations again if they are there, and return those files.
pub(super) fn types_again(folder: &Path, config: &Config) -> anyhow::Result<Vec<PathBuf>> {
    if folder.join(NAMES_FILE).exists() {
        types(folder, config).map(|files| files.written)
    } else {
        Ok(Vec::new())
    }
}

/// Write the declarations, and the settings file unless the user has one.
pub(super) fn types(folder: &Path, config: &Config) -> anyhow::Result<Files> {
    let mut files = Files::default();
    // A new system has no journal.
    let checklist =
        History::open(&config.journal.folder).ok().and_then(|history| history.checklist_now().ok());
    let names = system_names::declarations(config, checklist.as_ref());
    for (name, declarations) in TYPES_FILES.into_iter().chain([(NAMES_FILE, names.as_str())]) {
        let file = folder.join(name);
        write(&file, declarations)?;
        files.written.push(file);
    }
    let settings = folder.join(SERVER_FILE);
    match fs::read_to_string(&settings) {
        Ok(there) if there == library::SERVER => {}
        Ok(_) => {
            files.kept.push(settings);
            return Ok(files);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(&settings, library::SERVER)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", settings.display())),
    }
    files.written.push(settings);
    Ok(files)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}
