//! How costs grow with size, as a page with charts: `cargo bench --bench growth` writes `docs/growth.md`.
//!
//! It measures real daemons from the outside. `cargo bench --bench growth -- joins rules` measures only these curves, and
//! `NOWCAST_GROWTH=quick` only the two smallest sizes of each, for moments. Both write below `target/tmp` instead.

#[path = "growth/mod.rs"]
mod growth;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use growth::settings::Settings;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_quick = std::env::var("NOWCAST_GROWTH").is_ok_and(|value| value == "quick");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth");
    let folder = if is_quick || !names.is_empty() { elsewhere } else { docs };
    let settings = Settings::new(is_quick);
    growth::write(&settings, &names, &folder);
    let page = folder.join("growth.md");
    println!("{}\nwritten to {}", fs::read_to_string(&page).unwrap_or_default(), page.display());
}
