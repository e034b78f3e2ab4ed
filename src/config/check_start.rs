//! Checks how a worker's process starts: `folder`, `environment`, `umask`, `nice` and `memory limit` of `workers: NAME:`.

use super::check::{ConfigCheck, unset_variable};
use super::checked::{StartSettings, WorkerVariables};
use super::problem::Severity;
use super::raw::RawWorker;
use super::size;

/// The lowest memory limit, in bytes: a runner takes a part of it to start the worker.
const LEAST_MEMORY: u64 = 128 << 20;

impl ConfigCheck<'_> {
    /// Check how a worker is started; return it with the additional environment variables.
    pub(super) fn start_settings(
        &mut self,
        worker: &str,
        raw: &RawWorker,
    ) -> (StartSettings, WorkerVariables) {
        let folder = raw.folder.as_ref().and_then(|text| {
            if text.is_empty() {
                self.refuse_setting(worker, &["folder"], "must name a folder".to_owned());
            }
            self.replaced_setting(worker, &["folder"], text)
        });
        let umask = raw.umask.as_ref().and_then(|umask| self.umask(worker, umask));
        if raw.nice.is_some_and(|nice| !(-20..=19).contains(&nice)) {
            let text = "must be from -20, the highest priority, to 19".to_owned();
            self.refuse_setting(worker, &["nice"], text);
        }
        let memory_limit = raw.memory_limit.as_ref().map(|limit| limit.0);
        if memory_limit.is_some_and(|limit| limit < LEAST_MEMORY) {
            let text = format!("must be at least {}", size::text(LEAST_MEMORY));
            self.refuse_setting(worker, &["memory limit"], text);
        }
        let variables = raw.environment.iter().flatten();
        let variables = variables.filter_map(|(name, value)| self.variable(worker, name, value)).collect();
        (StartSettings { folder, umask, nice: raw.nice, memory_limit }, variables)
    }

    /// Return a umask. To YAML 1.1, `022` is the number 18, so it is a text.
    fn umask(&mut self, worker: &str, value: &serde_yaml::Value) -> Option<u32> {
        let octal = value.as_str().and_then(|text| text.strip_prefix('0'));
        let digits =
            octal.map(|octal| octal.strip_prefix('o').unwrap_or(octal)).map(|digits| format!("0{digits}"));
        let umask =
            digits.and_then(|digits| u32::from_str_radix(&digits, 8).ok()).filter(|umask| *umask <= 0o777);
        if umask.is_none() {
            let text = "must be octal digits with a zero in front, in quotes: '022' keeps group and others from writing";
            self.refuse_setting(worker, &["umask"], text.to_owned());
        }
        umask
    }

    fn variable(&mut self, worker: &str, name: &str, value: &serde_yaml::Value) -> Option<(String, String)> {
        let place = ["environment", name];
        if name.is_empty() || name.contains(['=', '\0']) {
            let text = "the name of a variable is not empty and has neither = nor a zero byte".to_owned();
            self.refuse_setting(worker, &place, text);
            return None;
        }
        let value = match value {
            serde_yaml::Value::String(text) if !text.contains('\0') => text.clone(),
            // To YAML 1.1, `012` is 10 and `12:30` is 750.
            serde_yaml::Value::Number(number)
                if self
                    .scalar(&["workers", worker, "environment", name])
                    .is_some_and(|written| written == number.to_string()) =>
            {
                number.to_string()
            }
            _ => {
                let text = "must be text or a whole number; put it in quotes".to_owned();
                self.refuse_setting(worker, &place, text);
                return None;
            }
        };
        Some((name.to_owned(), self.replaced_setting(worker, &place, &value)?))
    }

    /// Return the value of a worker's setting with every variable replaced.
    fn replaced_setting(&mut self, worker: &str, key: &[&str], text: &str) -> Option<String> {
        self.replace(text).map_err(|name| self.refuse_setting(worker, key, unset_variable(&name))).ok()
    }

    fn refuse_setting(&mut self, worker: &str, key: &[&str], text: String) {
        self.report(Severity::Error, &[&["workers", worker], key].concat(), text);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{WorkerSettings, parse};

    fn worker(settings: &str) -> Result<WorkerSettings, String> {
        let text = format!(
            "message registry: {{workers: {{run_model: }}}}\nworkers:\n  run_model:\n    {settings}\n"
        );
        let lookup = |name: &str| (name != "NOPE").then(|| format!("/{name}"));
        parse(Path::new("nowcast.yaml"), text.as_bytes(), &lookup)
            .map(|(config, _)| config.workers["run_model"].clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_settings_of_a_process_are_read() {
        let settings = "folder: $(NOWCAST.ENV.DATA)/run\n    umask: '027'\n    nice: 5\n    memory limit: 4 GB\n    \
                        environment: {OMP_NUM_THREADS: 4, 'TZ': UTC, DATA: '$(NOWCAST.ENV.DATA)', EMPTY: ''}";
        let WorkerSettings { start, environment, .. } = worker(settings).unwrap();
        assert_eq!(start.folder.as_deref(), Some("/DATA/run"));
        assert_eq!((start.umask, start.nice, start.memory_limit), (Some(0o027), Some(5), Some(4 << 30)));
        let expected = [("OMP_NUM_THREADS", "4"), ("TZ", "UTC"), ("DATA", "/DATA"), ("EMPTY", "")];
        assert_eq!(environment, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_umask_is_octal_however_it_is_written() {
        for (written, expected) in
            [("'022'", 0o022), ("0o077", 0o077), ("'0002'  # group", 0o002), ("'0'", 0), ("'0777'", 0o777)]
        {
            assert_eq!(
                worker(&format!("umask: {written}")).unwrap().start.umask,
                Some(expected),
                "{written}"
            );
        }
        for wrong in ["'22'", "'0x12'", "'01000'", "'089'", "none", "022", "18", "[022]", "true"] {
            let error = worker(&format!("umask: {wrong}")).unwrap_err();
            assert!(
                error.contains("nowcast.yaml, line 4, workers: run_model: umask: must be octal"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn a_value_that_yaml_would_change_is_refused_with_a_remedy() {
        for wrong in ["on", "012", "12:30", "1_000", "1.50", "~", "[a]"] {
            let error = worker(&format!("environment: {{A: 1, B: {wrong}}}")).unwrap_err();
            assert!(
                error.contains("environment: B: must be text or a whole number; put it in quotes"),
                "{wrong}: {error}"
            );
        }
        for (wrong, expected) in [
            ("environment: {A=B: c}", "has neither = nor a zero byte"),
            (
                "environment: {A: $(NOWCAST.ENV.NOPE)}",
                "environment: A: the environment variable NOPE is not set",
            ),
            ("folder: $(NOWCAST.ENV.NOPE)", "folder: the environment variable NOPE is not set"),
            ("folder: ''", "folder: must name a folder"),
            ("nice: 20", "nice: must be from -20"),
            ("nice: high", "nice: wrong type"),
            ("memory limit: 4", "memory limit: wrong type"),
            ("memory limit: lots", "write it as 512 MB or 4 GB"),
            ("memory limit: 100 MB", "memory limit: must be at least 128 MB"),
        ] {
            let error = worker(wrong).unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
