//! Lua's patterns, with every step counted.
//!
//! The C library matches without a hook, and a pattern such as `a*a*a*a*b` takes hours on a text of a few kilobytes.
//! This matcher follows the reference manual of Lua 5.4 (section 6.4.1) and calls back every few thousand steps, so
//! that the caller can stop it. It knows nothing of Lua's values.

/// The most captures that Lua allows (`LUA_MAXCAPTURES`).
const MOST_CAPTURES: usize = 32;
/// The depth of recursion at which Lua calls a pattern too complex (`MAXCCALLS` in lstrlib.c).
const DEEPEST: usize = 200;
/// Steps between two calls of the caller's `tick`.
const STEPS_PER_TICK: u64 = 10_000;

/// The reason why a match was abandoned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternError<E> {
    /// The pattern is malformed.
    Malformed(String),
    /// The caller stopped the match.
    Stopped(E),
}

/// The capture of a pair of parentheses, in bytes from the start of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// The text from the first position up to the second.
    Text(usize, usize),
    /// `()`: the position, counted from 1.
    Position(usize),
}

/// A match: its start, its end (exclusive) and its captures; the whole match if the pattern has no parentheses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) captures: Vec<Capture>,
    /// Whether the captures come from parentheses.
    pub(super) has_parentheses: bool,
}

#[derive(Clone, Copy)]
struct OpenCapture {
    start: usize,
    state: MatchState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MatchState {
    Unfinished,
    Position,
    Closed(usize),
}

/// A pattern that is being matched against a text.
pub(super) struct Matcher<'a, E> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<OpenCapture>,
    depth: usize,
    steps: u64,
    tick: &'a dyn Fn(u64) -> Result<(), E>,
}

type MatchEnd<E> = Result<Option<usize>, PatternError<E>>;

impl<'a, E> Matcher<'a, E> {
    /// Create a matcher. `tick` is called with the number of steps since its last call; its error ends the match.
    pub(super) fn new(text: &'a [u8], pattern: &'a [u8], tick: &'a dyn Fn(u64) -> Result<(), E>) -> Self {
        Self { text, pattern, captures: Vec::new(), depth: 0, steps: 0, tick }
    }

    /// Return the first match that starts at byte `from` or later and does not end at `not_at`. If `anchored`, it must
    /// start at `from`.
    pub(super) fn find(
        &mut self,
        from: usize,
        not_at: Option<usize>,
        anchored: bool,
    ) -> Result<Option<Match>, PatternError<E>> {
        for start in from..=self.text.len() {
            self.captures.clear();
            self.depth = 0;
            self.count(1)?;
            if let Some(end) = self.step(start, 0)?
                && Some(end) != not_at
            {
                let captures = self.caught(start, end)?;
                self.flush()?;
                let has_parentheses = !self.captures.is_empty();
                return Ok(Some(Match { start, end, captures, has_parentheses }));
            }
            if anchored {
                break;
            }
        }
        self.flush()?;
        Ok(None)
    }

    fn flush(&mut self) -> Result<(), PatternError<E>> {
        let steps = std::mem::take(&mut self.steps);
        (self.tick)(steps).map_err(PatternError::Stopped)
    }

    fn count(&mut self, steps: usize) -> Result<(), PatternError<E>> {
        self.steps += steps as u64;
        if self.steps >= STEPS_PER_TICK { self.flush() } else { Ok(()) }
    }

    fn caught(&self, start: usize, end: usize) -> Result<Vec<Capture>, PatternError<E>> {
        if self.captures.is_empty() {
            return Ok(vec![Capture::Text(start, end)]);
        }
        self.captures
            .iter()
            .map(|open| match open.state {
                MatchState::Closed(length) => Ok(Capture::Text(open.start, open.start + length)),
                MatchState::Position => Ok(Capture::Position(open.start + 1)),
                MatchState::Unfinished => malformed("unfinished capture"),
            })
            .collect()
    }

    /// Return the byte of the pattern at `place`. Beyond its end it is 0, as in C.
    fn at(&self, place: usize) -> u8 {
        self.pattern.get(place).copied().unwrap_or(0)
    }

    /// Match the pattern from `p` against the text from `s`. Return the end of the match.
    fn step(&mut self, s: usize, p: usize) -> MatchEnd<E> {
        if self.depth >= DEEPEST {
            return malformed("pattern too complex");
        }
        self.depth += 1;
        let found = self.step_inner(s, p);
        self.depth -= 1;
        found
    }

    fn step_inner(&mut self, mut s: usize, mut p: usize) -> MatchEnd<E> {
        loop {
            self.count(1)?;
            if p >= self.pattern.len() {
                return Ok(Some(s));
            }
            match (self.at(p), self.at(p + 1)) {
                (b'(', b')') => return self.open(s, p + 2, MatchState::Position),
                (b'(', _) => return self.open(s, p + 1, MatchState::Unfinished),
                (b')', _) => return self.close(s, p + 1),
                (b'$', _) if p + 1 == self.pattern.len() => {
                    return Ok((s == self.text.len()).then_some(s));
                }
                (b'%', b'b') => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', b'f') => match self.frontier(s, p + 2)? {
                    Some(next) => p = next,
                    None => return Ok(None),
                },
                (b'%', digit @ b'0'..=b'9') => match self.again(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    let fits = self.single(s, p, end)?;
                    match (self.at(end), fits) {
                        (b'*' | b'?' | b'-', false) => p = end + 1,
                        (_, false) => return Ok(None),
                        (b'?', true) => match self.step(s + 1, end + 1)? {
                            Some(found) => return Ok(Some(found)),
                            None => p = end + 1,
                        },
                        (b'+', true) => return self.longest(s + 1, p, end),
                        (b'*', true) => return self.longest(s, p, end),
                        (b'-', true) => return self.shortest(s, p, end),
                        (_, true) => (s, p) = (s + 1, end),
                    }
                }
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, state: MatchState) -> MatchEnd<E> {
        if self.captures.len() >= MOST_CAPTURES {
            return malformed("too many captures");
        }
        self.captures.push(OpenCapture { start: s, state });
        let level = self.captures.len() - 1;
        let found = self.step(s, p)?;
        if found.is_none() {
            self.captures.truncate(level);
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> MatchEnd<E> {
        let Some(level) = self.captures.iter().rposition(|open| open.state == MatchState::Unfinished) else {
            return malformed("invalid pattern capture");
        };
        let start = self.captures[level].start;
        self.captures[level].state = MatchState::Closed(s - start);
        let found = self.step(s, p)?;
        if found.is_none() {
            self.captures[level].state = MatchState::Unfinished;
        }
        Ok(found)
    }

    /// Match `%b()`: from the opening to the corresponding closing byte.
    fn balance(&mut self, s: usize, p: usize) -> MatchEnd<E> {
        if p + 1 >= self.pattern.len() {
            return malformed("malformed pattern (missing arguments to '%b')");
        }
        let (opening, closing) = (self.at(p), self.at(p + 1));
        if self.text.get(s) != Some(&opening) {
            return Ok(None);
        }
        let mut open = 1_usize;
        for place in s + 1..self.text.len() {
            self.count(1)?;
            if self.text[place] == closing {
                open -= 1;
                if open == 0 {
                    return Ok(Some(place + 1));
                }
            } else if self.text[place] == opening {
                open += 1;
            }
        }
        Ok(None)
    }

    /// Match `%f[set]`: the previous byte is not in the set and this one is. Return the end of the set.
    fn frontier(&mut self, s: usize, p: usize) -> MatchEnd<E> {
        if self.at(p) != b'[' {
            return malformed("missing '[' after '%f' in pattern");
        }
        let end = self.class_end(p)?;
        let before = if s == 0 { 0 } else { self.text[s - 1] };
        let here = self.text.get(s).copied().unwrap_or(0);
        let fits = !self.in_set(before, p, end - 1)? && self.in_set(here, p, end - 1)?;
        Ok(fits.then_some(end))
    }

    /// Match `%1`: the text of an earlier capture.
    fn again(&mut self, s: usize, digit: u8) -> MatchEnd<E> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let (start, length) = match self.captures.get(index).map(|open| (open.start, open.state)) {
            Some((start, MatchState::Closed(length))) => (start, length),
            Some((_, MatchState::Position)) => return Ok(None),
            _ => return malformed(&format!("invalid capture index %{}", char::from(digit))),
        };
        self.count(length)?;
        let text = self.text;
        Ok(text[s..].starts_with(&text[start..start + length]).then_some(s + length))
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> MatchEnd<E> {
        let mut count = 0;
        while self.single(s + count, p, end)? {
            count += 1;
        }
        loop {
            if let Some(found) = self.step(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> MatchEnd<E> {
        loop {
            if let Some(found) = self.step(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.single(s, p, end)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    /// Return the end of the single-character class that starts at `p`.
    fn class_end(&mut self, mut p: usize) -> Result<usize, PatternError<E>> {
        let start = p;
        p += 1;
        match self.at(start) {
            b'%' => {
                if p >= self.pattern.len() {
                    return malformed("malformed pattern (ends with '%')");
                }
                Ok(p + 1)
            }
            b'[' => {
                if self.at(p) == b'^' {
                    p += 1;
                }
                loop {
                    if p >= self.pattern.len() {
                        return malformed("malformed pattern (missing ']')");
                    }
                    p += if self.at(p) == b'%' && p + 1 < self.pattern.len() { 2 } else { 1 };
                    if self.at(p) == b']' {
                        self.count(p - start)?;
                        return Ok(p + 1);
                    }
                }
            }
            _ => Ok(p),
        }
    }

    /// Return whether the byte of the text at `s` matches the class from `p` to `end`.
    fn single(&mut self, s: usize, p: usize, end: usize) -> Result<bool, PatternError<E>> {
        self.count(1)?;
        let Some(&byte) = self.text.get(s) else { return Ok(false) };
        match self.at(p) {
            b'.' => Ok(true),
            b'%' => Ok(in_class(byte, self.at(p + 1))),
            b'[' => self.in_set(byte, p, end - 1),
            other => Ok(other == byte),
        }
    }

    /// Return whether the byte is in the set whose brackets are at `p` and `end`.
    fn in_set(&mut self, byte: u8, mut p: usize, end: usize) -> Result<bool, PatternError<E>> {
        self.count(end - p)?;
        let if_found = self.at(p + 1) != b'^';
        if !if_found {
            p += 1;
        }
        p += 1;
        while p < end {
            if self.at(p) == b'%' {
                p += 1;
                if in_class(byte, self.at(p)) {
                    return Ok(if_found);
                }
            } else if self.at(p + 1) == b'-' && p + 2 < end {
                if (self.at(p)..=self.at(p + 2)).contains(&byte) {
                    return Ok(if_found);
                }
                p += 2;
            } else if self.at(p) == byte {
                return Ok(if_found);
            }
            p += 1;
        }
        Ok(!if_found)
    }
}

/// Return whether a byte is in the class that a letter after `%` names. Any other byte after `%` means itself.
fn in_class(byte: u8, class: u8) -> bool {
    let member = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | 9..=13),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        // No longer in the manual, but still in Lua.
        b'z' => byte == 0,
        _ => return class == byte,
    };
    member != class.is_ascii_uppercase()
}

fn malformed<T, E>(why: &str) -> Result<T, PatternError<E>> {
    Err(PatternError::Malformed(why.to_owned()))
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
