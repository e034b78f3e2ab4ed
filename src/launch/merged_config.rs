//! The configuration as one file beside the journal, if it has `include:`: workers of `NEMO_Nowcast` do not know that setting. It is written
//! when the configuration is read, and never read here.

use std::io::{self, Write};
use std::path::{self, PathBuf};

use tempfile::NamedTempFile;

use crate::config::{Config, MERGED_FROM};
use pyyaml::{Keys, Value};

/// The file's name in the journal's folder.
const FILE: &str = "nowcast.yaml";

/// Return the configuration file for a worker that may not know `include:`.
pub(super) fn path(config: &Config) -> PathBuf {
    if config.places.has_includes() { config.journal.folder.join(FILE) } else { config.file.clone() }
}

/// Write the file, if the configuration has `include:`. A worker that starts meanwhile reads the whole previous or the whole new one.
///
/// # Errors
/// The file cannot be written.
pub fn write(config: &Config) -> io::Result<()> {
    if !config.places.has_includes() {
        return Ok(());
    }
    let explain = |error: io::Error| {
        let place = path(config);
        io::Error::new(error.kind(), format!("{}: {error}", place.display()))
    };
    let origin = path::absolute(&config.file)?;
    let origin: Value = [(MERGED_FROM, origin.to_string_lossy().as_ref())].into_iter().collect();
    let mut file = NamedTempFile::new_in(&config.journal.folder).map_err(explain)?;
    file.write_all(pyyaml::write(&origin, Keys::AsGiven).as_bytes()).map_err(explain)?;
    file.write_all(config.text.as_bytes()).map_err(explain)?;
    file.persist(path(config)).map_err(|error| explain(error.error))?;
    Ok(())
}
