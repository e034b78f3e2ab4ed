//! [`Scanner`]: the text as a stream of tokens, with `PyYAML`'s rules for indentation and keys.
//!
//! A key is recognised only by the `:` after it, so the scanner records every place that could begin one and inserts
//! the key's token when the `:` comes.

mod properties;
mod scalars;

use std::collections::VecDeque;

use super::ReadError;
use super::error::{Mark, shown};
use super::reader::{Reader, is_blank_or_end};
use super::token::Token;

/// The longest key on one line before its `:`, in characters (YAML 1.1, section 7.5.3).
const MAX_SIMPLE_KEY: usize = 1024;

/// A place where a key may begin.
struct SimpleKey {
    level: usize,
    token_number: usize,
    is_required: bool,
    index: usize,
    line: usize,
    column: usize,
    mark: Mark,
}

/// The scanner of a text.
pub(super) struct Scanner<'a> {
    pub reader: Reader<'a>,
    /// The least column of a line inside the current block: the block's own column plus one; 0 outside of all blocks.
    pub indent: usize,
    pub flow_level: usize,
    pub allow_simple_key: bool,
    indents: Vec<usize>,
    tokens: VecDeque<(Token<'a>, Mark)>,
    tokens_taken: usize,
    /// Whether it is known that the first token is complete: it is looked at several times before it is taken.
    is_peeked: bool,
    is_done: bool,
    /// The possible keys, at most one for each flow level, the outermost first, which is also their order in the text.
    keys: VecDeque<SimpleKey>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Result<Self, ReadError> {
        Ok(Self {
            reader: Reader::new(text)?,
            indent: 0,
            flow_level: 0,
            allow_simple_key: true,
            indents: Vec::with_capacity(4),
            tokens: VecDeque::with_capacity(8),
            tokens_taken: 0,
            is_peeked: false,
            is_done: false,
            keys: VecDeque::with_capacity(4),
        })
    }

    /// Return the next token and its place. At the end of the text it is always [`Token::StreamEnd`].
    pub fn peek(&mut self) -> Result<(&Token<'a>, Mark), ReadError> {
        if !self.is_peeked {
            while self.needs_more()? {
                self.fetch()?;
            }
            self.is_peeked = true;
        }
        let mark = self.reader.mark();
        Ok(self.tokens.front().map_or((&Token::StreamEnd, mark), |(token, mark)| (token, *mark)))
    }

    /// Take the next token.
    pub fn next(&mut self) -> Result<(Token<'a>, Mark), ReadError> {
        let (_, mark) = self.peek()?;
        self.tokens_taken += 1;
        self.is_peeked = false;
        Ok(self.tokens.pop_front().unwrap_or((Token::StreamEnd, mark)))
    }

    fn needs_more(&mut self) -> Result<bool, ReadError> {
        if self.is_done {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        self.drop_stale_keys()?;
        Ok(self.keys.front().is_some_and(|key| key.token_number == self.tokens_taken))
    }

    fn fetch(&mut self) -> Result<(), ReadError> {
        self.skip_to_next_token();
        self.drop_stale_keys()?;
        self.unwind_indent(self.reader.column() + 1);
        let character = self.reader.peek();
        let in_block = self.flow_level == 0;
        match character {
            '\0' => self.fetch_stream_end(),
            '%' if self.reader.column() == 0 => self.fetch_directive(),
            '-' if self.reader.at_document_marker("---") => self.fetch_document_marker(Token::DocumentStart),
            '.' if self.reader.at_document_marker("...") => self.fetch_document_marker(Token::DocumentEnd),
            '[' => self.fetch_flow_start(Token::FlowSequenceStart),
            '{' => self.fetch_flow_start(Token::FlowMappingStart),
            ']' => self.fetch_flow_end(Token::FlowSequenceEnd),
            '}' => self.fetch_flow_end(Token::FlowMappingEnd),
            ',' => self.fetch_flow_entry(),
            '-' if self.is_indicator() => self.fetch_block_entry(),
            '?' if !in_block || self.is_indicator() => self.fetch_key(),
            ':' if !in_block || self.is_indicator() => self.fetch_value(),
            '*' | '&' => self.fetch_named(properties::anchor_or_alias),
            '!' => self.fetch_named(properties::tag),
            '|' | '>' if in_block => self.fetch_block_scalar(),
            '\'' | '"' => self.fetch_named(scalars::quoted),
            _ if self.is_plain_start(character) => self.fetch_named(|scanner| Ok(scalars::plain(scanner))),
            _ => Err(self.error(format!("{} cannot begin a value here", shown(character)))),
        }
    }

    pub fn error(&self, what: impl Into<String>) -> ReadError {
        ReadError::new(self.reader.mark(), what)
    }

    fn is_indicator(&self) -> bool {
        is_blank_or_end(self.reader.peek_at(1))
    }

    fn is_plain_start(&self, character: char) -> bool {
        match character {
            '-' => !self.is_indicator(),
            '?' | ':' => self.flow_level == 0 && !self.is_indicator(),
            ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => false,
            _ => !is_blank_or_end(character),
        }
    }

    fn skip_to_next_token(&mut self) {
        if self.reader.index() == 0 && self.reader.peek() == '\u{FEFF}' {
            self.reader.advance();
        }
        loop {
            self.reader.skip_spaces();
            if self.reader.peek() == '#' {
                self.reader.take_until(|_| false);
            }
            if self.reader.line_break().is_none() {
                return;
            }
            if self.flow_level == 0 {
                self.allow_simple_key = true;
            }
        }
    }

    fn push(&mut self, token: Token<'a>) {
        self.tokens.push_back((token, self.reader.mark()));
    }

    fn drop_stale_keys(&mut self) -> Result<(), ReadError> {
        while let Some(key) = self.keys.front() {
            if key.line == self.reader.line() && self.reader.index() - key.index <= MAX_SIMPLE_KEY {
                return Ok(());
            }
            if key.is_required {
                return Err(missing_colon(key));
            }
            self.keys.pop_front();
        }
        Ok(())
    }

    fn save_key(&mut self) -> Result<(), ReadError> {
        if !self.allow_simple_key {
            return Ok(());
        }
        self.remove_key()?;
        let column = self.reader.column();
        self.keys.push_back(SimpleKey {
            level: self.flow_level,
            token_number: self.tokens_taken + self.tokens.len(),
            is_required: self.flow_level == 0 && self.indent == column + 1,
            index: self.reader.index(),
            line: self.reader.line(),
            column,
            mark: self.reader.mark(),
        });
        Ok(())
    }

    fn take_key(&mut self) -> Option<SimpleKey> {
        if self.keys.back().is_some_and(|key| key.level == self.flow_level) {
            self.keys.pop_back()
        } else {
            None
        }
    }

    fn remove_key(&mut self) -> Result<(), ReadError> {
        match self.take_key() {
            Some(key) if key.is_required => Err(missing_colon(&key)),
            _ => Ok(()),
        }
    }

    /// End every block whose lines need a deeper indentation.
    fn unwind_indent(&mut self, indent: usize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > indent {
            self.indent = self.indents.pop().unwrap_or(0);
            self.push(Token::BlockEnd);
        }
    }

    /// Start a new block if this column is deeper than the current one. Return whether it is.
    fn add_indent(&mut self, column: usize) -> bool {
        let is_deeper = self.indent < column + 1;
        if is_deeper {
            self.indents.push(self.indent);
            self.indent = column + 1;
        }
        is_deeper
    }

    fn fetch_stream_end(&mut self) -> Result<(), ReadError> {
        self.unwind_indent(0);
        self.remove_key()?;
        self.allow_simple_key = false;
        self.keys.clear();
        self.push(Token::StreamEnd);
        self.is_done = true;
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), ReadError> {
        self.unwind_indent(0);
        self.remove_key()?;
        self.allow_simple_key = false;
        let mark = self.reader.mark();
        let directive = properties::directive(self)?;
        self.tokens.push_back((Token::Directive(directive), mark));
        Ok(())
    }

    fn fetch_document_marker(&mut self, token: Token<'a>) -> Result<(), ReadError> {
        self.unwind_indent(0);
        self.remove_key()?;
        self.allow_simple_key = false;
        self.push(token);
        self.reader.take(3);
        Ok(())
    }

    fn fetch_flow_start(&mut self, token: Token<'a>) -> Result<(), ReadError> {
        self.save_key()?;
        self.flow_level += 1;
        self.allow_simple_key = true;
        self.push(token);
        self.reader.advance();
        Ok(())
    }

    fn fetch_flow_end(&mut self, token: Token<'a>) -> Result<(), ReadError> {
        self.remove_key()?;
        // With one bracket too many, the composer refuses the token.
        self.flow_level = self.flow_level.saturating_sub(1);
        self.allow_simple_key = false;
        self.push(token);
        self.reader.advance();
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), ReadError> {
        self.allow_simple_key = true;
        self.remove_key()?;
        self.push(Token::FlowEntry);
        self.reader.advance();
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), ReadError> {
        // Inside brackets the composer refuses the token.
        if self.flow_level == 0 {
            self.begin_block(Token::BlockSequenceStart, "a list item")?;
        }
        self.allow_simple_key = true;
        self.remove_key()?;
        self.push(Token::BlockEntry);
        self.reader.advance();
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), ReadError> {
        if self.flow_level == 0 {
            self.begin_block(Token::BlockMappingStart, "a key")?;
        }
        self.allow_simple_key = self.flow_level == 0;
        self.remove_key()?;
        self.push(Token::Key);
        self.reader.advance();
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), ReadError> {
        if let Some(key) = self.take_key() {
            // Tokens after a possible key are not taken before it is decided, so its place is still in the queue.
            let place = key.token_number.saturating_sub(self.tokens_taken);
            self.tokens.insert(place, (Token::Key, key.mark));
            if self.flow_level == 0 && self.add_indent(key.column) {
                self.tokens.insert(place, (Token::BlockMappingStart, key.mark));
            }
            self.allow_simple_key = false;
        } else {
            if self.flow_level == 0 {
                self.begin_block(Token::BlockMappingStart, "a mapping value")?;
            }
            self.allow_simple_key = self.flow_level == 0;
            self.remove_key()?;
        }
        self.push(Token::Value);
        self.reader.advance();
        Ok(())
    }

    fn begin_block(&mut self, start: Token<'a>, what: &str) -> Result<(), ReadError> {
        if !self.allow_simple_key {
            return Err(self
                .error(format!("{what} is not allowed here"))
                .because("check the indentation, and quote text that contains ': ' or begins with '- '"));
        }
        if self.add_indent(self.reader.column()) {
            self.push(start);
        }
        Ok(())
    }

    /// Fetch a token that may begin a key. `scan` reads it.
    fn fetch_named(
        &mut self,
        scan: fn(&mut Scanner<'a>) -> Result<Token<'a>, ReadError>,
    ) -> Result<(), ReadError> {
        self.save_key()?;
        self.allow_simple_key = false;
        let mark = self.reader.mark();
        let token = scan(self)?;
        self.tokens.push_back((token, mark));
        Ok(())
    }

    fn fetch_block_scalar(&mut self) -> Result<(), ReadError> {
        self.allow_simple_key = true;
        self.remove_key()?;
        let mark = self.reader.mark();
        let token = scalars::block(self)?;
        self.tokens.push_back((token, mark));
        Ok(())
    }
}

fn missing_colon(key: &SimpleKey) -> ReadError {
    ReadError::new(key.mark, "expected ': ' after this key")
        .because("a key and its ':' stand on one line, at most 1024 characters apart")
}
