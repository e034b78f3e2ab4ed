//! Writes lists as CSV (RFC 4180), for spreadsheets. It never holds a list as a whole.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::ensure;
use csv::{Terminator, Writer, WriterBuilder};
use serde::Serialize;
use serde_json::{Map, Value};

use super::print;
use pylogging::escape;

/// What a spreadsheet takes for the beginning of a formula, <https://owasp.org/www-community/attacks/CSV_Injection>.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Write a row for each item as it comes: the values of these keys of its JSON, which are all that it has.
///
/// # Errors
/// Those of the items. What came before the first one is written.
pub(super) fn list<T: Serialize>(
    columns: &[&str],
    items: impl Iterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<ExitCode> {
    let mut out = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(BufWriter::with_capacity(print::OUTPUT_BUFFER, io::stdout().lock()));
    let written = write(&mut out, columns, items)?;
    Ok(print::status(written.and_then(|()| out.flush())))
}

/// Write the rows. The outer result is about the items, the inner one about the output.
fn write<T: Serialize>(
    out: &mut Writer<impl Write>,
    columns: &[&str],
    items: impl Iterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<io::Result<()>> {
    if let Err(error) = out.write_record(columns) {
        return Ok(Err(error.into()));
    }
    for item in items {
        let Value::Object(item) = serde_json::to_value(item?)? else { continue };
        ensure!(item.len() == columns.len(), "the columns of the CSV are not the keys of the JSON");
        let row = columns.iter().map(|column| cell(&item, column));
        if let Err(error) = out.write_record(row) {
            return Ok(Err(error.into()));
        }
    }
    Ok(Ok(()))
}

/// Return the text of a cell: lists and mappings are JSON.
fn cell(item: &Map<String, Value>, column: &str) -> String {
    match item.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.trim_start_matches('\n').starts_with(FORMULA) => {
            format!("'{}", escape(text))
        }
        Some(Value::String(text)) => escape(text).into_owned(),
        Some(value) => escape(&value.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(columns: &[&str], items: &[Value]) -> String {
        let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        write(&mut out, columns, items.iter().cloned().map(Ok)).unwrap().unwrap();
        String::from_utf8(out.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn rows_are_quoted_as_rfc_4180_says() {
        let item = json!({"number": 7, "args": ["a", "b c"], "host": null, "text": "one, \"two\"\nthree", "seconds": 1.5});
        let text = written(&["number", "args", "host", "text", "seconds"], &[item]);
        let expected = "number,args,host,text,seconds\r\n7,\"[\"\"a\"\",\"\"b c\"\"]\",,\"one, \"\"two\"\"\nthree\",1.5\r\n";
        assert_eq!(text, expected);
        assert_eq!(written(&["number"], &[]), "number\r\n");
    }

    #[test]
    fn no_text_becomes_a_formula_or_controls_a_terminal() {
        for (text, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum(a)", "'@sum(a)"),
            ("\t=1", "'\t=1"),
            ("\n=1", "\"'\n=1\""),
            ("a=1", "a=1"),
            ("a\u{1b}[2J", "a\\x1b[2J"),
        ] {
            assert_eq!(written(&["t"], &[json!({"t": text})]), format!("t\r\n{expected}\r\n"), "{text:?}");
        }
        assert_eq!(written(&["n"], &[json!({"n": -3})]), "n\r\n-3\r\n", "a number is none");
    }
}
