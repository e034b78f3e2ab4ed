//! Finds the file of the rules. It never reads it.

use std::path::{Path, PathBuf};

use nowcast_core::next_worker::last_part;

/// The configuration names rules that do not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot find the rules {module:?} (message registry: next workers module); looked for {}",
    looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
)]
pub struct LocateError {
    /// The name in the configuration.
    pub module: String,
    /// The files that were looked for.
    pub looked: Vec<PathBuf>,
}

/// Find the rules file that `next workers module: MODULE` in a configuration file means. A path (it has a `/` or ends
/// with `.lua`) is relative to the configuration's folder. Of a dotted name as in NEMO_Nowcast, the last part names a
/// file in `rules/` beside the configuration, or beside the configuration itself.
///
/// # Errors
/// There is no such file; the error lists the paths that were tried.
pub fn locate(config_file: &Path, module: &str) -> Result<PathBuf, LocateError> {
    let folder = config_file.parent().unwrap_or(Path::new(""));
    let is_path = module.contains('/') || Path::new(module).extension().is_some_and(|end| end == "lua");
    let looked = if is_path {
        vec![folder.join(module)]
    } else {
        let file = format!("{}.lua", last_part(module));
        vec![folder.join("rules").join(&file), folder.join(file)]
    };
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(LocateError { module: module.to_owned(), looked }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_name_is_searched_in_rules_and_then_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("nowcast.yaml");
        let error = locate(&config, "nowcast.next_workers").unwrap_err().to_string();
        let place = folder.path().display();
        assert_eq!(
            error,
            format!(
                "cannot find the rules \"nowcast.next_workers\" (message registry: next workers module); looked for \
                 {place}/rules/next_workers.lua and {place}/next_workers.lua"
            )
        );

        let beside = folder.path().join("next_workers.lua");
        std::fs::write(&beside, "").unwrap();
        assert_eq!(locate(&config, "nowcast.next_workers").unwrap(), beside);

        let inside = folder.path().join("rules/next_workers.lua");
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(&inside, "").unwrap();
        assert_eq!(locate(&config, "next_workers").unwrap(), inside);
    }

    #[test]
    fn a_path_is_taken_from_the_configuration_s_folder() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("nowcast.yaml");
        let path = folder.path().join("mine.lua");
        std::fs::write(&path, "").unwrap();
        assert_eq!(locate(&config, "mine.lua").unwrap(), path);
        assert_eq!(locate(&config, "./mine.lua").unwrap(), folder.path().join("./mine.lua"));
        assert_eq!(locate(&config, path.to_str().unwrap()).unwrap(), path);
        assert_eq!(
            locate(&config, "other/mine.lua").unwrap_err().looked,
            [folder.path().join("other/mine.lua")]
        );
    }
}
