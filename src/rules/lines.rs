//! The lines of a Lua file that are code: those that a line hook can report. It reads the output of Lua's compiler and
//! runs nothing.
//!
//! The format is that of `ldump.c` in Lua 5.4, which is built into this program. The tests fail with another version of
//! Lua.

use std::collections::BTreeSet;

/// The size of everything before the main function, in bytes: signature, version, format, check data, three sizes, an
/// integer, a float, and the number of its upvalues.
const HEADER: usize = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1;

/// The marker for an instruction whose line is too far from the previous one; its line is in a second list.
const ABSOLUTE: i8 = -0x80;

/// Return the lines of a file that are code, from its text and its compiled form, which must not be stripped; `None` if
/// the latter is invalid. A line with nothing but an `end` does not count, though Lua may execute something there.
pub(super) fn of_code(text: &str, dump: &[u8]) -> Option<BTreeSet<usize>> {
    let mut lines = BTreeSet::new();
    let mut reader = LineReader { rest: dump.get(HEADER..)? };
    reader.function(&mut lines)?;
    let bare = (1_usize..).zip(text.lines()).filter(|(_, line)| is_bare(line));
    let bare: BTreeSet<usize> = bare.map(|(number, _)| number).collect();
    Some(&lines - &bare)
}

fn is_bare(line: &str) -> bool {
    let code = line.split("--").next().unwrap_or_default();
    let mut words = code.split(|letter: char| letter.is_whitespace() || "(){},;".contains(letter));
    words.all(|word| word.is_empty() || word == "end")
}

struct LineReader<'a> {
    rest: &'a [u8],
}

impl LineReader<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Read a number: seven bits in each byte, the last byte marked.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        loop {
            let byte = self.byte()?;
            number = number.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
            if byte & 0x80 != 0 {
                return Some(number);
            }
        }
    }

    fn text(&mut self) -> Option<()> {
        match self.number()? {
            0 => Some(()),
            size => self.skip(size - 1),
        }
    }

    fn function(&mut self, lines: &mut BTreeSet<usize>) -> Option<()> {
        self.text()?;
        let first_line = self.number()?;
        let last_line = self.number()?;
        let _parameters = self.byte()?;
        let is_vararg = self.byte()? != 0;
        let _stack = self.byte()?;
        let instructions = self.number()?;
        self.skip(instructions.checked_mul(4)?)?;
        for _ in 0..self.number()? {
            self.constant()?;
        }
        let upvalues = self.number()?;
        self.skip(upvalues.checked_mul(3)?)?;
        for _ in 0..self.number()? {
            self.function(lines)?;
        }
        self.lines(first_line, last_line, is_vararg, lines)?;
        for _ in 0..self.number()? {
            self.text()?;
            self.number()?;
            self.number()?;
        }
        for _ in 0..self.number()? {
            self.text()?;
        }
        Some(())
    }

    fn constant(&mut self) -> Option<()> {
        match self.byte()? {
            // nil, false, true
            0x00 | 0x01 | 0x11 => Some(()),
            // an integer, a float
            0x03 | 0x13 => self.skip(8),
            // a short text, a long one
            0x04 | 0x14 => self.text(),
            _ => None,
        }
    }

    /// Read the line of each instruction: the difference to the previous one, or an entry in a second list.
    fn lines(
        &mut self,
        first_line: usize,
        last_line: usize,
        is_vararg: bool,
        lines: &mut BTreeSet<usize>,
    ) -> Option<()> {
        let count = self.number()?;
        let steps: Vec<i8> = self.rest.get(..count)?.iter().map(|byte| byte.cast_signed()).collect();
        self.skip(count)?;
        let mut absolute = Vec::new();
        for _ in 0..self.number()? {
            absolute.push((self.number()?, self.number()?));
        }
        let mut line = first_line;
        let mut found = Vec::new();
        for (place, step) in steps.into_iter().enumerate() {
            line = if step == ABSOLUTE {
                absolute.iter().find(|(at, _)| *at == place)?.1
            } else {
                line.checked_add_signed(step.into())?
            };
            found.push(line);
        }
        // The last instruction is the implicit return after the last statement, which has no text of its own.
        if found.last() == Some(&last_line) || last_line == 0 {
            found.pop();
        }
        // Lua calls no hook for the first instruction of a vararg function, which adjusts the arguments.
        lines.extend(found.into_iter().skip(usize::from(is_vararg)));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let lua = mlua::Lua::new();
        let dump = lua.load(text).set_name("=x").into_function().unwrap().dump(false);
        of_code(text, &dump).unwrap().into_iter().collect()
    }

    #[test]
    fn lines_with_code_are_found() {
        let text = "local a = 1\n\n-- a comment\nfunction f(x)\n  if x then\n    return 1\n  else\n    a = 2\n  end\nend\n\nreturn {\n  a,\n  'text', 1.5, nil, true,\n}\n";
        assert_eq!(lines(text), [1, 4, 5, 6, 8, 12, 13, 14]);
    }

    #[test]
    fn lines_that_are_far_apart_are_found() {
        let text = format!("local a = 1\n{}a = 2\n{}", "\n".repeat(500), "a = a + 1\n".repeat(300));
        let found = lines(&text);
        assert_eq!((found[0], found[1], found.len()), (1, 502, 302));
    }

    #[test]
    fn garbage_is_none() {
        assert_eq!(of_code("", b"\x1bLua"), None);
        assert_eq!(of_code("", &[0xff; 100]), None);
    }
}
