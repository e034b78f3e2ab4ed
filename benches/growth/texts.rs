//! Figures and tables as text.

use std::time::Duration;

/// A time with its unit.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{} {unit}", significant(value))
}

/// A ratio.
pub fn factor(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { significant(ratio) }
}

/// A rate.
pub fn per_second(rate: f64) -> String {
    format!("{}/s", significant(rate))
}

/// A number with three significant digits.
fn significant(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        ..1000.0 => format!("{value:.0}"),
        _ => {
            let unit = 10_f64.powf(value.log10().floor() - 2.0);
            let digits = format!("{:.0}", (value / unit).round() * unit);
            thousands(&digits)
        }
    }
}

/// A count, with commas.
pub fn count(count: u64) -> String {
    thousands(&count.to_string())
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table in Markdown: the first column is text, the others are figures.
pub fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = format!("|---|{}\n", "--:|".repeat(head.len() - 1));
    let rows: String = rows.map(|cells| row(&cells)).collect();
    row(&head) + &rule + &rows
}
