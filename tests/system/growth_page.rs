//! The page on growth: the program that writes it works, and the documentation has what it writes.

#[path = "../../benches/growth/mod.rs"]
mod growth;

use std::fs;
use std::path::Path;

use growth::settings::Settings;

/// A section of the page.
#[derive(Debug, PartialEq)]
struct Section {
    title: String,
    /// The head of the first column of its table.
    first_column: String,
    chart: String,
}

/// Return the sections of a page, and check that each has figures and a chart.
fn sections(folder: &Path) -> Vec<Section> {
    let page = fs::read_to_string(folder.join("growth.md")).expect("the page");
    page.split("\n## ").skip(1).map(|text| section(text, folder)).collect()
}

fn section(text: &str, folder: &Path) -> Section {
    let title = text.lines().next().unwrap_or_default().to_owned();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect();
    assert!(rows.len() > 2, "{text}");
    for row in &rows[1..] {
        assert_eq!(row.len(), rows[0].len(), "{text}");
        let is_figure = |cell: &&str| cell.starts_with(|letter: char| letter.is_ascii_digit());
        assert!(row[1..].iter().all(is_figure), "{row:?}");
    }
    let (_, link) = text.split_once("](").expect("a chart");
    let chart = link.split(')').next().unwrap_or_default();
    let drawing = fs::read_to_string(folder.join(chart)).expect("the chart");
    assert!(drawing.starts_with("<svg") && drawing.contains("<circle"), "{drawing}");
    assert!(drawing.contains("prefers-color-scheme: dark"), "{drawing}");
    Section { title, first_column: rows[0][0].to_owned(), chart: chart.to_owned() }
}

#[test]
fn the_page_on_growth_is_what_its_program_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    growth::write(&Settings::new(true), &[], folder.path());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    assert_eq!(sections(folder.path()), sections(&docs));
}
