//! The files of a new system. This module never writes one.

/// The configuration, in each template.
const CONFIG: &str = "nowcast.yaml";

/// The schema of the configuration, beside it.
pub(super) const SCHEMA: &str = "nowcast.schema.json";

/// The kinds of systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SystemTemplate {
    Minimal,
    Scripts,
    Forecast,
}

/// A file with its path in the system's folder.
pub(super) type TemplateFile = (&'static str, &'static str);

/// The files that every system has.
pub(super) const COMMON: [TemplateFile; 7] = [
    (".gitignore", "/results/\n"),
    // Git keeps the folder, which Supervisor needs, and nothing in it.
    ("logs/.gitignore", "*\n!.gitignore\n"),
    ("supervisord.ini", include_str!("common/supervisord.ini")),
    ("systemd/nowcast.target", include_str!("common/nowcast.target")),
    ("systemd/nowcast-broker.service", include_str!("common/nowcast-broker.service")),
    ("systemd/nowcast-manager.service", include_str!("common/nowcast-manager.service")),
    ("systemd/nowcast-scheduler.service", include_str!("common/nowcast-scheduler.service")),
];

/// Name a file of this folder by its path in the system.
macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!($folder, $path)))),+]
    };
}

const MINIMAL: &[TemplateFile] = files!("minimal/":
    "nowcast.yaml",
    "rules/next_workers.lua",
    "rules/tests/chain.lua",
    "workers/get_obs.sh",
    "workers/make_plots.py",
);

const SCRIPTS: &[TemplateFile] = files!("scripts/":
    "nowcast.yaml",
    "rules/next_workers.lua",
    "rules/tests/chain.lua",
    "workers/download.sh",
    "workers/process.sh",
    "workers/publish.sh",
);

const FORECAST: &[TemplateFile] = files!("../../../examples/forecast/":
    "nowcast.yaml",
    "rules/day.lua",
    "rules/next_workers.lua",
    "rules/tests/chain.lua",
    "rules/tests/whole_day.lua",
    "workers/archive.sh",
    "workers/collect_river_data.sh",
    "workers/common.sh",
    "workers/download_boundary.sh",
    "workers/download_weather.sh",
    "workers/grid_weather.sh",
    "workers/make_forcing.sh",
    "workers/make_plots.sh",
    "workers/publish_pages.sh",
    "workers/run_model.sh",
    "workers/upload_forcing.sh",
);

/// The ports in the example that is a template.
const FORECAST_PORTS: &str = "ports: {manager: 4353, workers: 4354}";

/// What a template has to be filled with.
pub(super) struct Values {
    /// The broker's ports, for the manager and for workers.
    pub(super) ports: (u16, u16),
    /// The system's folder.
    pub(super) folder: String,
    /// The program `nowcast`.
    pub(super) nowcast: String,
}

impl SystemTemplate {
    /// Return its files.
    pub(super) fn files(self) -> impl Iterator<Item = &'static TemplateFile> {
        let own = match self {
            Self::Minimal => MINIMAL,
            Self::Scripts => SCRIPTS,
            Self::Forecast => FORECAST,
        };
        own.iter().chain(&COMMON)
    }

    /// Return the worker with which the system is tried.
    pub(super) fn first_launch(self) -> &'static str {
        match self {
            Self::Minimal => "nowcast up --launch get_obs --exit-when-idle",
            Self::Scripts => "nowcast up",
            Self::Forecast => "nowcast up --launch 'download_weather 00' --cycle 2026-03-14 --exit-when-idle",
        }
    }
}

/// Return a path as units of systemd and Supervisor's file have it in quotes: `%` begins a variable there.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

/// Replace the placeholders of a file's text. The configuration gets the line by which editors find its schema.
pub(super) fn filled(name: &str, text: &str, values: &Values) -> String {
    let (manager, workers) = values.ports;
    let schema =
        if name == CONFIG { format!("# yaml-language-server: $schema={SCHEMA}\n") } else { String::new() };
    schema
        + &text
            .replace(FORECAST_PORTS, "ports: {manager: @MANAGER_PORT@, workers: @WORKERS_PORT@}")
            .replace("@MANAGER_PORT@", &manager.to_string())
            .replace("@WORKERS_PORT@", &workers.to_string())
            .replace("@FOLDER@", &escaped(&values.folder))
            .replace("@NOWCAST@", &escaped(&values.nowcast))
}
