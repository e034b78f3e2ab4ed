//! The tests of a message's type in `after_` functions, found without running them: comparisons, patterns and lookups.
//!
//! Only certain tests count. A function that is also called elsewhere may get messages of other workers, and a name
//! that is declared or assigned more than once in a function is ignored.

use std::collections::{HashMap, HashSet};

use full_moon::LuaVersion;
use full_moon::ast::{
    Assignment, BinOp, Call, Expression, Field, FunctionArgs, FunctionBody, FunctionCall,
    FunctionDeclaration, GenericFor, Index, LocalAssignment, LocalFunction, NumericFor, Parameter, Prefix,
    Suffix, Var, VarExpression,
};
use full_moon::tokenizer::{StringLiteralQuoteType, TokenReference, TokenType};
use full_moon::visitors::Visitor;

use super::scope::{self, Name};

/// A test of the message's type in an `after_` function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypeTest {
    /// The function's name without `after_`.
    pub(super) worker: String,
    /// The literal at its place, quotes included.
    pub(super) place: Name,
    /// The value of the literal.
    pub(super) literal: String,
    pub(super) kind: TestKind,
}

/// The kind of a comparison with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TestKind {
    Equal,
    StartsWith,
    EndsWith,
    Contains,
    Pattern,
}

/// The tests of a file, and the `after_` functions that it uses as values or calls.
#[derive(Debug, Default)]
pub(super) struct TypeTests {
    pub(super) tests: Vec<TypeTest>,
    pub(super) used: HashSet<String>,
}

/// Find the tests in a text that Lua compiles.
///
/// # Errors
/// When the text cannot be parsed.
pub(super) fn find(text: &str) -> Result<TypeTests, String> {
    scope::with_room(text, of_text)?
}

fn of_text(text: &str) -> Result<TypeTests, String> {
    let parsed = full_moon::parse_fallible(text, LuaVersion::lua54());
    if let Some(error) = parsed.errors().first() {
        return Err(error.to_string());
    }
    let mut finder = TypeTestFinder::default();
    finder.visit_ast(parsed.ast());
    Ok(finder.found)
}

#[derive(Default)]
struct TypeTestFinder {
    found: TypeTests,
    rule: Option<Rule>,
    /// The number of function declarations around the current place.
    depth: usize,
}

/// The `after_` function around the current place.
struct Rule {
    worker: String,
    /// The name of its message.
    message: String,
    /// The number of declarations and assignments of each name in it.
    declared: HashMap<String, usize>,
    /// The locals that were declared as the message's type.
    aliases: HashSet<String>,
    tests: Vec<(Subject, TypeTest)>,
}

/// The subject of a test.
#[derive(Clone, PartialEq, Eq)]
enum Subject {
    /// The field `type` of this name.
    TypeOf(String),
    Local(String),
}

impl Rule {
    fn new(name: &str, body: &FunctionBody) -> Option<Self> {
        let worker = name.strip_prefix("after_")?.to_owned();
        let Parameter::Name(message) = body.parameters().iter().next()? else { return None };
        let (message, declared) = (message.token().to_string(), HashMap::new());
        Some(Self { worker, message, declared, aliases: HashSet::new(), tests: Vec::new() })
    }

    /// Return the tests whose subject is the message's type and nothing else.
    fn certain(self) -> Vec<TypeTest> {
        let is_declared_once = |name: &String| self.declared.get(name) == Some(&1);
        if !is_declared_once(&self.message) {
            return Vec::new();
        }
        let is_type = |subject: &Subject| match subject {
            Subject::TypeOf(name) => *name == self.message,
            Subject::Local(name) => self.aliases.contains(name) && is_declared_once(name),
        };
        self.tests.into_iter().filter(|(subject, _)| is_type(subject)).map(|(_, test)| test).collect()
    }

    fn test(&mut self, subject: Option<Subject>, literal: Option<(Name, String)>, kind: TestKind) {
        if let (Some(subject), Some((place, literal))) = (subject, literal) {
            self.tests.push((subject, TypeTest { worker: self.worker.clone(), place, literal, kind }));
        }
    }

    fn declare(&mut self, token: &TokenReference) {
        *self.declared.entry(token.token().to_string()).or_default() += 1;
    }

    /// Note a call of a string function with the subject's value and these arguments.
    fn call(&mut self, subject: Option<&Subject>, function: &str, arguments: &[&Expression]) {
        let mut test = |argument, kind| self.test(subject.cloned(), literal(argument), kind);
        match (function, arguments) {
            ("startswith", arguments) => arguments.iter().for_each(|it| test(it, TestKind::StartsWith)),
            ("endswith", arguments) => arguments.iter().for_each(|it| test(it, TestKind::EndsWith)),
            ("find" | "match", [pattern]) => test(pattern, TestKind::Pattern),
            ("find", [text, from, plain]) if is_word(from, "1") && is_word(plain, "true") => {
                test(text, TestKind::Contains);
            }
            _ => {}
        }
    }
}

impl Visitor for TypeTestFinder {
    fn visit_function_declaration(&mut self, declared: &FunctionDeclaration) {
        if self.depth == 0 && declared.name().method_name().is_none() {
            self.rule = Rule::new(declared.name().to_string().trim(), declared.body());
        }
        self.depth += 1;
    }

    fn visit_function_declaration_end(&mut self, _: &FunctionDeclaration) {
        self.depth -= 1;
        if self.depth == 0
            && let Some(rule) = self.rule.take()
        {
            self.found.tests.extend(rule.certain());
        }
    }

    fn visit_parameter(&mut self, parameter: &Parameter) {
        if let (Some(rule), Parameter::Name(token)) = (&mut self.rule, parameter) {
            rule.declare(token);
        }
    }

    fn visit_local_assignment(&mut self, local: &LocalAssignment) {
        let Some(rule) = &mut self.rule else { return };
        local.names().iter().for_each(|token| rule.declare(token));
        for (token, value) in local.names().iter().zip(local.expressions()) {
            if subject(value) == Some(Subject::TypeOf(rule.message.clone())) {
                rule.aliases.insert(token.token().to_string());
            }
        }
    }

    fn visit_local_function(&mut self, local: &LocalFunction) {
        if let Some(rule) = &mut self.rule {
            rule.declare(local.name());
        }
    }

    fn visit_generic_for(&mut self, each: &GenericFor) {
        if let Some(rule) = &mut self.rule {
            each.names().iter().for_each(|token| rule.declare(token));
        }
    }

    fn visit_numeric_for(&mut self, count: &NumericFor) {
        if let Some(rule) = &mut self.rule {
            rule.declare(count.index_variable());
        }
    }

    fn visit_assignment(&mut self, assignment: &Assignment) {
        let Some(rule) = &mut self.rule else { return };
        for variable in assignment.variables() {
            if let Var::Name(token) = variable {
                rule.declare(token);
            }
        }
    }

    fn visit_prefix(&mut self, prefix: &Prefix) {
        if let Prefix::Name(token) = prefix {
            self.use_name(token);
        }
    }

    fn visit_expression(&mut self, expression: &Expression) {
        match expression {
            Expression::Var(Var::Name(token)) => self.use_name(token),
            Expression::BinaryOperator { lhs, binop: BinOp::TwoEqual(_) | BinOp::TildeEqual(_), rhs } => {
                let Some(rule) = &mut self.rule else { return };
                rule.test(subject(lhs), literal(rhs), TestKind::Equal);
                rule.test(subject(rhs), literal(lhs), TestKind::Equal);
            }
            _ => {}
        }
    }

    /// Note a lookup such as `({ ["success"] = … })[msg.type]`.
    fn visit_var_expression(&mut self, path: &VarExpression) {
        let Some(rule) = &mut self.rule else { return };
        if let Prefix::Expression(prefix) = path.prefix()
            && let Expression::TableConstructor(table) = without_parentheses(prefix)
            && let Some(Suffix::Index(Index::Brackets { expression, .. })) = path.suffixes().next()
        {
            for field in table.fields() {
                let key = match field {
                    Field::ExpressionKey { key, .. } => literal(key),
                    Field::NameKey { key, .. } => Some((scope::name(key), key.token().to_string())),
                    _ => None,
                };
                rule.test(subject(expression), key, TestKind::Equal);
            }
        }
    }

    /// Note a call such as `msg.type:match("…")` or `string.match(msg.type, "…")`.
    fn visit_function_call(&mut self, call: &FunctionCall) {
        let Some(rule) = &mut self.rule else { return };
        let Prefix::Name(first) = call.prefix() else { return };
        let first = first.token().to_string();
        let suffixes: Vec<&Suffix> = call.suffixes().collect();
        match suffixes[..] {
            [Suffix::Index(index), Suffix::Call(Call::MethodCall(method)), ..] if is_type(index) => {
                let function = method.name().token().to_string();
                rule.call(Some(&Subject::TypeOf(first)), &function, &arguments(method.args()));
            }
            [Suffix::Call(Call::MethodCall(method)), ..] => {
                let function = method.name().token().to_string();
                rule.call(Some(&Subject::Local(first)), &function, &arguments(method.args()));
            }
            [Suffix::Index(index), Suffix::Call(Call::AnonymousCall(given)), ..] if first == "string" => {
                if let (Some(function), [text, rest @ ..]) = (scope::member(index), &arguments(given)[..]) {
                    rule.call(subject(text).as_ref(), &function.text, rest);
                }
            }
            _ => {}
        }
    }
}

impl TypeTestFinder {
    fn use_name(&mut self, token: &TokenReference) {
        let name = token.token().to_string();
        if name.starts_with("after_") {
            self.found.used.insert(name);
        }
    }
}

fn without_parentheses(expression: &Expression) -> &Expression {
    match expression {
        Expression::Parentheses { expression, .. } => without_parentheses(expression),
        other => other,
    }
}

/// Return the subject that an expression is, if it may be the message's type.
fn subject(expression: &Expression) -> Option<Subject> {
    match without_parentheses(expression) {
        Expression::Var(Var::Name(token)) => Some(Subject::Local(token.token().to_string())),
        Expression::Var(Var::Expression(path)) => {
            let (Prefix::Name(token), [Suffix::Index(index)]) =
                (path.prefix(), &path.suffixes().collect::<Vec<_>>()[..])
            else {
                return None;
            };
            is_type(index).then(|| Subject::TypeOf(token.token().to_string()))
        }
        _ => None,
    }
}

fn is_type(index: &Index) -> bool {
    scope::member(index).is_some_and(|member| member.text == "type")
}

/// Return a literal text without escapes, and its place.
pub(super) fn literal(expression: &Expression) -> Option<(Name, String)> {
    let Expression::String(token) = without_parentheses(expression) else { return None };
    let TokenType::StringLiteral { literal, quote_type, .. } = token.token().token_type() else {
        return None;
    };
    // Escapes are left to Lua.
    let is_plain = *quote_type == StringLiteralQuoteType::Brackets || !literal.contains('\\');
    is_plain.then(|| (scope::name(token), literal.to_string()))
}

fn is_word(expression: &Expression, word: &str) -> bool {
    expression.to_string().trim() == word
}

/// Return the arguments of a call with parentheses.
pub(super) fn arguments(arguments: &FunctionArgs) -> Vec<&Expression> {
    match arguments {
        FunctionArgs::Parentheses { arguments, .. } => arguments.iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Return the literals that a text tests, in order.
    fn literals(text: &str) -> Vec<(String, TestKind)> {
        find(text).unwrap().tests.into_iter().map(|test| (test.literal, test.kind)).collect()
    }

    fn equal(literals_there: &[&str]) -> Vec<(String, TestKind)> {
        literals_there.iter().map(|text| ((*text).to_owned(), TestKind::Equal)).collect()
    }

    #[test]
    fn comparisons_are_found_on_either_side_and_through_a_local() {
        let text = "function after_a(m, c)
          if m.type == 'b' or 'c' ~= (m['type']) or m.payload == 'd' or c.type == 'e' then return {} end
          local source, t <const> = m.source, m.type
          return (function() return t == 'f' and source == 'g' end)(), ({ h = 1, ['i j'] = 2, 3 })[m.type]
        end";
        assert_eq!(literals(text), equal(&["b", "c", "f", "h", "i j"]));
    }

    #[test]
    fn patterns_are_found_by_their_methods() {
        let text = "function after_a(msg)
          local t = msg.type
          return msg.type:match('^a$'), t:find('b'), string.find(t, 'c', 1, true), t:find(x, 1, true),
            msg.type:startswith('d', 'e'), msg.type:endswith('f'), t:find('g', 2), t:gsub('h', 'i')
        end";
        let expected = [
            ("^a$", TestKind::Pattern),
            ("b", TestKind::Pattern),
            ("c", TestKind::Contains),
            ("d", TestKind::StartsWith),
            ("e", TestKind::StartsWith),
            ("f", TestKind::EndsWith),
        ];
        assert_eq!(literals(text), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn ambiguous_type_tests_are_left_out() {
        for text in [
            "local function helper(msg) return msg.type == 'a' end",
            "function after_a(msg) msg = msg.payload return msg.type == 'a' end",
            "function after_a(msg) return keys(msg, function(msg) return msg.type == 'a' end) end",
            "function after_a(msg) local t = msg.type t = 'x' return t == 'a' end",
            "function after_a(msg) for t in x do local t = msg.type if t == 'a' then return end end end",
            "function after_a(msg) return msg.type == '\\97' end",
            "function after_a(...) return msg.type == 'a' end",
            "function rules.after_a(msg) return msg.type == 'a' end",
        ] {
            assert_eq!(literals(text), [], "{text}");
        }
    }

    #[test]
    fn functions_that_are_used_elsewhere_are_found() {
        let found = find("after_b = after_a\nfunction after_c(msg) return after_d(msg) end").unwrap();
        assert_eq!(found.used, HashSet::from(["after_a", "after_d"].map(str::to_owned)));
    }
}
