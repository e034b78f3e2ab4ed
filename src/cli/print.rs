//! Writes to standard output: text for people, JSON for programs. A closed pipe is not an error.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::table::Table;
use super::terminal::Terminal;
use error_text::with_causes;
use pylogging::{escape, is_obeyed};
use pyyaml::{Keys, Value};

/// Bytes that are written at once.
pub(super) const OUTPUT_BUFFER: usize = 1 << 16;

/// Write text for people.
pub(super) fn text(text: &str) -> ExitCode {
    status(write(escape(text).as_bytes()))
}

/// Write lines that are laid out already, with colours.
pub(super) fn lines(lines: &[String]) -> ExitCode {
    status(write(lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().as_bytes()))
}

/// Write a table, fitted to standard output.
pub(super) fn table(table: &Table) -> ExitCode {
    lines(&table.lines(&Terminal::of_stdout()))
}

/// Write text for people, wrapped to the terminal's width.
pub(super) fn page(text: &str) -> ExitCode {
    status(write(Terminal::of_stdout().wrap_page(text).as_bytes()))
}

/// Write one JSON document.
pub(super) fn json(document: &impl Serialize) -> ExitCode {
    let mut text = Vec::new();
    match document.serialize(&mut Serializer::with_formatter(&mut text, JsonText::default())) {
        Ok(()) => {
            text.push(b'\n');
            status(write(&text))
        }
        Err(error) => {
            complain(&format!("cannot write JSON: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Indented JSON in which no text has a character that a terminal would obey.
#[derive(Default)]
struct JsonText(PrettyFormatter<'static>);

impl Formatter for JsonText {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        for letter in text.chars() {
            if is_obeyed(letter) {
                write!(out, "\\u{:04x}", u32::from(letter))?;
            } else {
                write!(out, "{letter}")?;
            }
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

/// Write a JSON list item by item, as [`json`] writes a whole one: it may be longer than the memory.
///
/// # Errors
/// Those of the items. What came before the first one is written.
pub(super) fn json_list<T: Serialize>(
    items: impl Iterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock());
    let written = write_list(&mut out, items)?;
    Ok(status(written.and_then(|()| out.flush())))
}

/// Write a JSON list. The outer result is about the items, the inner one about the output.
fn write_list<T: Serialize>(
    out: &mut impl Write,
    items: impl Iterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<io::Result<()>> {
    let mut serializer = Serializer::with_formatter(&mut *out, JsonText::default());
    let mut list = match serde::Serializer::serialize_seq(&mut serializer, None) {
        Ok(list) => list,
        Err(error) => return Ok(Err(error.into())),
    };
    for item in items {
        if let Err(error) = list.serialize_element(&item?) {
            return Ok(Err(error.into()));
        }
    }
    Ok(SerializeSeq::end(list).map_err(io::Error::from).and_then(|()| out.write_all(b"\n")))
}

/// Write an error to standard error. If that fails, there is no other place to report it.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escape(text));
}

/// Write an error and its causes to standard error.
pub(super) fn error(error: &dyn std::error::Error) {
    complain(&with_causes(error));
}

/// Write bytes unchanged.
///
/// # Errors
/// If they cannot be written, also because of a closed pipe.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Return the exit status after writing. A closed pipe is a success: `| head` has read enough.
pub(super) fn status(written: io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// A YAML value as JSON. Dates become text in the ISO format, sets become lists. Other values and keys that JSON lacks
/// become YAML text.
pub(super) struct Json<'a>(pub &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Str(text) => serializer.serialize_str(text),
            Value::List(items) => sequence(items.iter(), serializer),
            Value::Set(members) => sequence(members.iter(), serializer),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(&plain(key), &Json(value))?;
                }
                map.end()
            }
            other => serializer.serialize_str(&plain(other)),
        }
    }
}

fn sequence<'a, S: serde::Serializer>(
    items: impl ExactSizeIterator<Item = &'a Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(items.len()))?;
    for item in items {
        sequence.serialize_element(&Json(item))?;
    }
    sequence.end()
}

/// Return a value as text: strings without quotes, other values as YAML.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::DateTime(_) | Value::Date(_) => yaml_text(value).replacen(' ', "T", 1),
        _ => yaml_text(value),
    }
}

/// Return a value as YAML, without the mark that ends a document of one bare value.
pub(super) fn yaml_text(value: &Value) -> String {
    let text = pyyaml::write(value, Keys::AsGiven);
    text.strip_suffix("...\n").unwrap_or(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_json_lacks_become_text_in_order() {
        let value = pyyaml::read(
            "{z: 2026-03-14, a: .nan, 1: 2026-03-14 04:40:12, s: !!set {b}, t: \"2026\", b: !!binary aGk=}",
        );
        let text = serde_json::to_string(&Json(&value.unwrap())).unwrap();
        let expected = "{\"z\":\"2026-03-14\",\"a\":\".nan\",\"1\":\"2026-03-14T04:40:12\",\"s\":[\"b\"],\"t\":\"2026\",\
                        \"b\":\"!!binary |\\n  aGk=\"}";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_text_in_json_controls_a_terminal_and_it_is_read_as_it_was() {
        let texts = ["a\u{9b}31m\u{202e}b\u{2028}c\x1b\u{7f}", "Gezeiten 🌊\n"];
        let mut out = Vec::new();
        write_list(&mut out, texts.iter().map(Ok)).unwrap().unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains(r"a\u009b31m\u202eb\u2028c\u001b\u007f") && out.contains(r"Gezeiten 🌊\n"),
            "{out}"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&out).unwrap(), texts);
    }

    #[test]
    fn a_list_is_written_as_one_document() {
        for list in [vec![], vec![5], vec![1, 2, 3]] {
            let values: Vec<Value> = list.into_iter().map(Value::Int).collect();
            let whole: Vec<_> = values.iter().map(Json).collect();
            let mut out = Vec::new();
            write_list(&mut out, values.iter().map(|value| Ok(Json(value)))).unwrap().unwrap();
            let expected = format!("{}\n", serde_json::to_string_pretty(&whole).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn an_error_of_an_item_differs_from_one_of_the_output() {
        let items = || [Ok(1), Err(anyhow::anyhow!("damaged"))].into_iter();
        assert_eq!(write_list(&mut Vec::new(), items()).unwrap_err().to_string(), "damaged");
        let mut full = io::Cursor::new([0; 2]);
        let error = write_list(&mut full, items()).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
}
