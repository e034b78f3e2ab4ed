//! The globals that a Lua text uses and their places, found without running it: a walk through the syntax tree that
//! knows which names are local.
//!
//! This module knows nothing of nowcast and never judges a name: [`super::names`] does.

use std::collections::HashSet;
use std::thread;

use full_moon::LuaVersion;
use full_moon::ast::{
    Block, Call, Expression, Field, FunctionArgs, FunctionBody, FunctionDeclaration, Index, LastStmt,
    Parameter, Prefix, Stmt, Suffix, TableConstructor, Var,
};
use full_moon::tokenizer::{TokenReference, TokenType};

/// The number of operators from which on a text needs its own stack: with the 200 levels to which Lua limits all other
/// nesting, fewer took less than 2 MB of a main thread's 8. A new thread costs more than the whole file.
const FEW_OPERATORS: usize = 2_000;
/// The stack for an empty file, in bytes.
const STACK: usize = 16 << 20;
/// The stack for each byte of a file, in bytes: `1+1+1…` nests a level every two bytes.
const STACK_PER_BYTE: usize = 512;

/// A name at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
}

/// The globals of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Globals {
    /// The places where they are read.
    pub(super) reads: Vec<Name>,
    /// The places where they are written while the file runs.
    pub(super) defined: Vec<Name>,
    /// The places where they are written when a function runs.
    pub(super) written_in_functions: Vec<Name>,
    /// The fields of them that are read: the global's name and the field.
    pub(super) members: Vec<(String, Name)>,
}

/// Find the globals of a text that Lua compiles.
///
/// # Errors
/// When the text cannot be parsed.
pub(super) fn globals(text: &str) -> Result<Globals, String> {
    with_room(text, of_text)?
}

/// Read a text on a stack that is large enough for it.
///
/// # Errors
/// When there is no such stack, or the parser panics.
pub(super) fn with_room<T: Send>(text: &str, read: fn(&str) -> T) -> Result<T, String> {
    if operators(text) < FEW_OPERATORS {
        return Ok(read(text));
    }
    // Parsing and dropping the tree recurse as deeply as the text nests.
    let stack = STACK + text.len().saturating_mul(STACK_PER_BYTE);
    thread::scope(|scope| {
        let reader = thread::Builder::new()
            .name("rules check".to_owned())
            .stack_size(stack)
            .spawn_scoped(scope, || read(text))
            .map_err(|error| format!("no thread to read it with: {error}"))?;
        reader.join().map_err(|_| "the parser gave up".to_owned())
    })
}

/// Return an upper bound of the number of binary operators, whose chains alone Lua nests without a limit.
fn operators(text: &str) -> usize {
    let signs = text.bytes().filter(|byte| b"+-*/%^~&|<>".contains(byte)).count();
    ["..", "==", "and", "or"].iter().fold(signs, |sum, operator| sum + text.matches(operator).count())
}

fn of_text(text: &str) -> Result<Globals, String> {
    let parsed = full_moon::parse_fallible(text, LuaVersion::lua54());
    if let Some(error) = parsed.errors().first() {
        return Err(error.to_string());
    }
    let mut walk = ScopeWalk::default();
    walk.block(parsed.ast().nodes());
    Ok(walk.found)
}

#[derive(Default)]
struct ScopeWalk {
    found: Globals,
    /// The local names, innermost scope last.
    scopes: Vec<HashSet<String>>,
    /// The number of functions around the current place.
    functions: usize,
}

/// Return the text of a token and its place.
pub(super) fn name(token: &TokenReference) -> Name {
    let start = token.token().start_position();
    Name { text: token.token().to_string(), line: start.line(), column: start.character() }
}

impl ScopeWalk {
    fn is_local(&self, name: &str) -> bool {
        // Under a local `_ENV` no name is a global.
        self.scopes.iter().any(|scope| scope.contains(name) || scope.contains("_ENV"))
    }

    fn declare(&mut self, token: &TokenReference) {
        let name = token.token().to_string();
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name);
        }
    }

    fn read(&mut self, token: &TokenReference) {
        let name = name(token);
        if !self.is_local(&name.text) {
            self.found.reads.push(name);
        }
    }

    fn write(&mut self, token: &TokenReference) {
        let name = name(token);
        if self.is_local(&name.text) {
            return;
        }
        if self.functions == 0 {
            self.found.defined.push(name);
        } else {
            self.found.written_in_functions.push(name);
        }
    }

    fn scoped(&mut self, inside: impl FnOnce(&mut Self)) {
        self.scopes.push(HashSet::new());
        inside(self);
        self.scopes.pop();
    }

    fn block(&mut self, block: &Block) {
        self.scoped(|walk| walk.statements(block));
    }

    fn statements(&mut self, block: &Block) {
        for statement in block.stmts() {
            self.statement(statement);
        }
        if let Some(LastStmt::Return(returned)) = block.last_stmt() {
            self.expressions(returned.returns());
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assignment(assignment) => {
                self.expressions(assignment.expressions());
                for variable in assignment.variables() {
                    match variable {
                        Var::Name(token) => self.write(token),
                        Var::Expression(path) => self.path(path.prefix(), path.suffixes(), Last::IsWritten),
                        _ => {}
                    }
                }
            }
            Stmt::Do(inner) => self.block(inner.block()),
            Stmt::FunctionCall(call) => self.path(call.prefix(), call.suffixes(), Last::IsRead),
            Stmt::FunctionDeclaration(declared) => self.function_declaration(declared),
            Stmt::GenericFor(each) => {
                self.expressions(each.expressions());
                self.scoped(|walk| {
                    each.names().iter().for_each(|token| walk.declare(token));
                    walk.block(each.block());
                });
            }
            Stmt::NumericFor(count) => {
                let step = count.step().into_iter();
                [count.start(), count.end()].into_iter().chain(step).for_each(|part| self.expression(part));
                self.scoped(|walk| {
                    walk.declare(count.index_variable());
                    walk.block(count.block());
                });
            }
            Stmt::If(branches) => {
                self.expression(branches.condition());
                self.block(branches.block());
                for branch in branches.else_if().into_iter().flatten() {
                    self.expression(branch.condition());
                    self.block(branch.block());
                }
                if let Some(block) = branches.else_block() {
                    self.block(block);
                }
            }
            Stmt::LocalAssignment(local) => {
                self.expressions(local.expressions());
                local.names().iter().for_each(|token| self.declare(token));
            }
            Stmt::LocalFunction(local) => {
                self.declare(local.name());
                self.function(local.body(), false);
            }
            Stmt::Repeat(repeat) => self.scoped(|walk| {
                walk.statements(repeat.block());
                walk.expression(repeat.until());
            }),
            Stmt::While(repeat) => {
                self.expression(repeat.condition());
                self.block(repeat.block());
            }
            // `goto` and labels name no variables.
            _ => {}
        }
    }

    fn function_declaration(&mut self, declared: &FunctionDeclaration) {
        let path = declared.name();
        let has_path = path.names().len() > 1 || path.method_name().is_some();
        if let Some(first) = path.names().iter().next() {
            if has_path {
                self.read(first);
            } else {
                self.write(first);
            }
        }
        self.function(declared.body(), path.method_name().is_some());
    }

    fn function(&mut self, body: &FunctionBody, is_method: bool) {
        self.functions += 1;
        self.scoped(|walk| {
            if is_method && let Some(scope) = walk.scopes.last_mut() {
                scope.insert("self".to_owned());
            }
            for parameter in body.parameters() {
                if let Parameter::Name(token) = parameter {
                    walk.declare(token);
                }
            }
            walk.block(body.block());
        });
        self.functions -= 1;
    }

    fn expressions<'a>(&mut self, expressions: impl IntoIterator<Item = &'a Expression>) {
        expressions.into_iter().for_each(|expression| self.expression(expression));
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::BinaryOperator { lhs, rhs, .. } => {
                self.expression(lhs);
                self.expression(rhs);
            }
            Expression::Parentheses { expression, .. } | Expression::UnaryOperator { expression, .. } => {
                self.expression(expression);
            }
            Expression::Function(function) => self.function(function.body(), false),
            Expression::FunctionCall(call) => self.path(call.prefix(), call.suffixes(), Last::IsRead),
            Expression::TableConstructor(table) => self.table(table),
            Expression::Var(Var::Name(token)) => self.read(token),
            Expression::Var(Var::Expression(path)) => {
                self.path(path.prefix(), path.suffixes(), Last::IsRead);
            }
            // Numbers, text, `nil` and their like.
            _ => {}
        }
    }

    fn table(&mut self, table: &TableConstructor) {
        for field in table.fields() {
            match field {
                Field::ExpressionKey { key, value, .. } => {
                    self.expression(key);
                    self.expression(value);
                }
                Field::NameKey { value, .. } => self.expression(value),
                Field::NoKey(value) => self.expression(value),
                _ => {}
            }
        }
    }

    /// Walk a path, such as `prefix.a[b]:c(d)`.
    fn path<'a>(&mut self, prefix: &Prefix, suffixes: impl Iterator<Item = &'a Suffix>, last: Last) {
        let suffixes: Vec<&Suffix> = suffixes.collect();
        // `log.level = 1` reads no field.
        let first_is_read = last == Last::IsRead || suffixes.len() > 1;
        match prefix {
            Prefix::Name(token) => {
                self.read(token);
                let text = token.token().to_string();
                if first_is_read
                    && !self.is_local(&text)
                    && let Some(Suffix::Index(index)) = suffixes.first()
                    && let Some(member) = member(index)
                {
                    self.found.members.push((text, member));
                }
            }
            Prefix::Expression(expression) => self.expression(expression),
            _ => {}
        }
        for suffix in suffixes {
            match suffix {
                Suffix::Index(Index::Brackets { expression, .. }) => self.expression(expression),
                Suffix::Call(Call::AnonymousCall(arguments)) => self.arguments(arguments),
                Suffix::Call(Call::MethodCall(call)) => self.arguments(call.args()),
                _ => {}
            }
        }
    }

    fn arguments(&mut self, arguments: &FunctionArgs) {
        match arguments {
            FunctionArgs::Parentheses { arguments, .. } => self.expressions(arguments),
            FunctionArgs::TableConstructor(table) => self.table(table),
            _ => {}
        }
    }
}

/// The use of the last field of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    IsRead,
    IsWritten,
}

/// Return the field of an index, such as `.name` or `["name"]`.
pub(super) fn member(index: &Index) -> Option<Name> {
    match index {
        Index::Dot { name: token, .. } => Some(name(token)),
        Index::Brackets { expression, .. } => {
            let Expression::String(token) = &**expression else { return None };
            match token.token().token_type() {
                TokenType::StringLiteral { literal, .. } => {
                    Some(Name { text: literal.to_string(), ..name(token) })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[Name]) -> Vec<&str> {
        names.iter().map(|name| name.text.as_str()).collect()
    }

    #[test]
    fn a_name_is_local_from_its_statement_on_to_the_end_of_its_block() {
        let found = globals(
            "local a = a\ndo local b = a end\nreturn b, function(c, ...) return c, d end, { e = f, [g] = 1 }",
        )
        .unwrap();
        assert_eq!(texts(&found.reads), ["a", "b", "d", "f", "g"]);
        let found = globals("local function f() return f end local g = function() return g end").unwrap();
        assert_eq!(texts(&found.reads), ["g"]);
        let found = globals("repeat local done until done for i = i, 1 do x = i end for k in k do y = k end");
        assert_eq!(texts(&found.unwrap().reads), ["i", "k"]);
    }

    #[test]
    fn writes_are_distinguished_by_place() {
        let found =
            globals("a = 1\nif x then b, t.c = 1 end\nfunction d() e = 1 function f() end end").unwrap();
        assert_eq!(texts(&found.defined), ["a", "b", "d"]);
        assert_eq!(texts(&found.written_in_functions), ["e", "f"]);
        assert_eq!(texts(&found.reads), ["x", "t"]);
    }

    #[test]
    fn fields_are_found_with_their_global() {
        let found =
            globals("t.a = t.b.c\nlocal s s.d()\nt['e'](t[f])\nt.g.h = 1\nfunction u.v() end").unwrap();
        let members: Vec<String> =
            found.members.iter().map(|(name, member)| format!("{name}.{}", member.text)).collect();
        assert_eq!(members, ["t.b", "t.e", "t.g"]);
    }

    #[test]
    fn files_that_are_not_lua_are_reported() {
        assert!(globals("x = = 1").is_err());
    }
}
