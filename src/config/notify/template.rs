//! [`Template`]: a text with `{placeholders}`.
//!
//! Only a lower-case word in braces is a placeholder, so the braces of JSON are kept.

use std::sync::LazyLock;

use regex::Regex;

/// The pattern of a placeholder.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern is a constant that the tests compile.
    #[allow(clippy::expect_used)]
    Regex::new(r"\{([a-z_]+)\}").expect("a valid pattern")
});

/// The value that a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateField {
    /// `{worker}`: the worker; empty if the notice is about none.
    Worker,
    /// `{type}`: the message type; empty if the notice is not about a message.
    Type,
    /// `{payload}`: the message's payload, as Python shows it.
    Payload,
    /// `{alarm}`: the kind of alarm; empty for a message that is not an alarm.
    Alarm,
    /// `{time}`: the time, with the offset from UTC.
    Time,
    /// `{number}`: the number for `nowcast why`.
    Number,
    /// `{text}`: a description of what happened.
    Text,
    /// `{why}`: the command that tells more; empty if there is none.
    Why,
}

impl TemplateField {
    /// All fields with their names.
    pub const ALL: [(TemplateField, &str); 8] = [
        (TemplateField::Worker, "worker"),
        (TemplateField::Type, "type"),
        (TemplateField::Payload, "payload"),
        (TemplateField::Alarm, "alarm"),
        (TemplateField::Time, "time"),
        (TemplateField::Number, "number"),
        (TemplateField::Text, "text"),
        (TemplateField::Why, "why"),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePiece {
    Text(String),
    TemplateField(TemplateField),
}

/// A text with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<TemplatePiece>,
}

impl Template {
    /// Parse a template.
    ///
    /// # Errors
    /// When a placeholder is unknown. The error is the name of the first one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for found in PLACEHOLDER.captures_iter(text) {
            let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
            let field = TemplateField::ALL.into_iter().find(|(_, known)| *known == name.as_str());
            let (field, _) = field.ok_or_else(|| name.as_str().to_owned())?;
            pieces.push(TemplatePiece::Text(text[end..whole.start()].to_owned()));
            pieces.push(TemplatePiece::TemplateField(field));
            end = whole.end();
        }
        pieces.push(TemplatePiece::Text(text[end..].to_owned()));
        Ok(Self { pieces })
    }

    /// Return the text with each placeholder replaced by the result of `fill`.
    #[must_use]
    pub fn render(&self, fill: impl Fn(TemplateField) -> String) -> String {
        let text = |piece: &TemplatePiece| match piece {
            TemplatePiece::Text(text) => text.clone(),
            TemplatePiece::TemplateField(field) => fill(*field),
        };
        self.pieces.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(field: TemplateField) -> String {
        let (_, name) = TemplateField::ALL.into_iter().find(|(known, _)| *known == field).unwrap();
        name.to_uppercase()
    }

    #[test]
    fn placeholders_are_replaced_and_other_braces_stay() {
        for (template, expected) in [
            ("", ""),
            ("{worker}: {type}", "WORKER: TYPE"),
            (r#"{"text": "{text}", "n": {number}, "o": {}}"#, r#"{"text": "TEXT", "n": NUMBER, "o": {}}"#),
            ("{{worker}} { worker } {Worker}", "{WORKER} { worker } {Worker}"),
            ("{payload}{alarm}{time}", "PAYLOADALARMTIME"),
        ] {
            assert_eq!(Template::parse(template).unwrap().render(name), expected);
        }
    }

    #[test]
    fn one_that_is_not_known_is_named() {
        assert_eq!(Template::parse("{worker} {tpye}"), Err("tpye".to_owned()));
    }
}
