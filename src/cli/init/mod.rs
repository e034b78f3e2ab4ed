//! `nowcast init`: writes a small working system, or adds a worker to one. It never overwrites a file.

mod add_worker;
mod edit;
mod template;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::{generate, print};
use crate::config;
use crate::shell_words;
use add_worker::Language;
use template::{SystemTemplate, Values};

/// The first port that a new system may get: that of `NEMO_Nowcast`'s manager.
const FIRST_PORT: u16 = 4343;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the system
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// What the system begins with: a worker in shell, one in Python and a built-in one; scripts that a crontab would start, with a join
    /// by day; or a coastal forecast system of 12 workers
    #[arg(long, value_enum, default_value = "minimal", conflicts_with = "worker")]
    template: SystemTemplate,
    /// Add a worker to the system in the folder: to the configuration, its rule, a test and a script
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// Write the new worker in Python
    #[arg(long, requires = "worker", conflicts_with = "shell")]
    python: bool,
    /// Write the new worker in shell, which is the default
    #[arg(long, requires = "worker")]
    shell: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let written = match &args.worker {
        None => make_system(&args.folder, args.template),
        Some(worker) => {
            let language = if args.python { Language::Python } else { Language::Shell };
            add_worker::add(&args.folder, worker, language)
        }
    };
    match written {
        Ok(text) => print::text(&text),
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// A file to be written.
struct NewFile {
    path: PathBuf,
    text: String,
    is_program: bool,
}

impl NewFile {
    /// `name` is its path in the folder. Scripts of workers are programs.
    fn new(folder: &Path, name: &str, text: String) -> Self {
        Self { path: below(folder, name), text, is_program: name.starts_with("workers/") }
    }
}

/// Return a path below a folder, without a `./` before it.
fn below(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { name.into() } else { folder.join(name) }
}

fn make_system(folder: &Path, template: SystemTemplate) -> anyhow::Result<String> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let absolute = path::absolute(folder)?;
    let values = Values {
        ports: free_ports()?,
        folder: absolute.display().to_string(),
        nowcast: std::env::current_exe()?.display().to_string(),
    };
    let files: Vec<NewFile> = template
        .files()
        .map(|(name, text)| NewFile::new(folder, name, template::filled(name, text, &values)))
        .chain([NewFile::new(folder, template::SCHEMA, generate::schema())])
        .collect();
    let lines = write_all(&files)?;
    let (config, _) = config::load(&below(folder, "nowcast.yaml"))?;
    let types = generate::types(&below(folder, "rules"), &config)?.to_text();
    let enter = ["cd".to_owned(), folder.display().to_string()];
    let change =
        if folder == Path::new(".") { String::new() } else { format!("{}; ", shell_words::joined(&enter)) };
    Ok(format!(
        "{}\n{types}\nTry it:\n  {change}nowcast rules test\n  {change}{}\nAdd a worker:\n  {change}nowcast init --worker NAME\n",
        lines.join("\n"),
        template.first_launch()
    ))
}

/// Write new files, and return a line for each. One that is there is kept if it has the same text, as after a command that was killed, and so is
/// a `.gitignore`; any other one is an error, and nothing is written.
fn write_all(files: &[NewFile]) -> anyhow::Result<Vec<String>> {
    let is_there = |file: &NewFile| file.path.symlink_metadata().is_ok();
    let is_kept = |file: &NewFile| {
        is_there(file)
            && (file.path.ends_with(".gitignore")
                || fs::read_to_string(&file.path).is_ok_and(|text| text == file.text))
    };
    if let Some(there) = files.iter().find(|file| is_there(file) && !is_kept(file)) {
        anyhow::bail!("{} exists, and is not overwritten; nothing was written", there.path.display());
    }
    let write = |file: &NewFile| {
        let path = file.path.display();
        if is_there(file) {
            return Ok(format!("{path} is unchanged"));
        }
        write_new(file).with_context(|| format!("cannot write {path}"))?;
        Ok(format!("{path} written"))
    };
    files.iter().map(write).collect()
}

fn write_new(file: &NewFile) -> std::io::Result<()> {
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if file.is_program { 0o777 } else { 0o666 };
    let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&file.path)?;
    new.write_all(file.text.as_bytes())
}

/// Return two ports that follow each other and are free on this machine now.
fn free_ports() -> anyhow::Result<(u16, u16)> {
    let is_free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
    let mut ports = (FIRST_PORT..u16::MAX).step_by(2);
    ports
        .find(|port| is_free(*port) && is_free(port + 1))
        .map(|port| (port, port + 1))
        .context("no two ports are free on this machine; stop a program that uses many")
}
