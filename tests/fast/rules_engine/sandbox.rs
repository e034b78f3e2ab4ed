//! Rules that try to leave the sandbox, or raise errors that are not text.

use super::hostile::expect_failure;
use super::*;

#[test]
fn finalizers_and_weak_tables_are_refused() {
    expect_failure("setmetatable({}, { __gc = function() while true do end end })", "__gc is not available");
    expect_failure("setmetatable({}, { __gc = true })", "__gc is not available");
    expect_failure("setmetatable({}, { __mode = 'k' })", "weak tables (__mode) are not available");
    // Lua looks for `__gc` when the metatable is set: one that comes later is never called.
    let body = "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end t = nil
                for i = 1, 10000 do local x = { i } end return {}";
    assert_eq!(Nowcast::rule(body).answer(), ReturnedLaunches::default());
}

#[test]
fn nothing_leads_out_of_the_sandbox() {
    let names = [
        "io",
        "debug",
        "package",
        "dofile",
        "loadfile",
        "collectgarbage",
        "string.dump",
        "os.exit",
        "os.execute",
        "os.getenv",
        "os.remove",
        "os.rename",
        "os.tmpname",
        "os.clock",
        "os.setlocale",
        "os.difftime",
        "warn",
        "coroutine.close",
        "getfenv",
        "setfenv",
        "module",
        "newproxy",
        "arg",
        "jit",
        "ffi",
    ];
    for name in names {
        assert_eq!(print(&format!("{name} == nil")), "true", "{name}");
    }
    expect_failure("os.exit()", "attempt to call a nil value (field 'exit')");
    expect_failure("return io.open('/etc/passwd')", "attempt to index a nil value (global 'io')");
    expect_failure("require('os')", "require: \"os\" was not loaded with the rules");
}

#[test]
fn compiled_code_is_refused() {
    expect_failure(
        "local f, e = load('\\27Lua', 'x', 'b') error(e)",
        "attempt to load a binary chunk (mode is 't')",
    );
    expect_failure("local f, e = load('\\27LuaT\\0', 'x', 'bt') error(e)", "attempt to load a binary chunk");
    let error = load("\x1bLua", &EngineOptions::default()).unwrap_err();
    assert_eq!(error.reason, "is compiled Lua; the rules must be text");
}

#[test]
fn loaded_code_has_the_same_globals() {
    assert_eq!(print("load('return io, type(string), _G == ...')(_G)"), "nil table true");
    assert_eq!(print("load('return x', 'x', 't', { x = 5 })()"), "5");
    assert_eq!(print("load('return x', 'x', 't', {}) ()"), "nil");
    expect_failure("load('x = 1')()", "the global \"x\" cannot be set while a rule runs");
    expect_failure("local f, e = load('x =') error(e)", "unexpected symbol near <eof>");
    assert_eq!(
        print(
            "load((function() local n = 0 return function() n = n + 1 return ({ 'return ', '7' })[n] end end)())()"
        ),
        "7"
    );
}

#[test]
fn libraries_and_globals_cannot_be_changed() {
    for body in [
        "string.format = nil",
        "rawset(string, 'format', nil)",
        "os.time = nil",
        "table.insert(math, 1)",
        "setmetatable(string, {})",
        "log.info = print",
        "path.x = 1",
        "coroutine.wrap = nil",
        "utf8.char = nil",
        "rawset(_G, 'x', 1)",
        "setmetatable(_G, {})",
        "_G.x = 1",
        "x = 1",
        "_ENV.x = 1",
        "print = nil",
    ] {
        expect_failure(body, "cannot be");
    }
    assert_eq!(print("getmetatable(''), getmetatable(string), getmetatable(_G)"), "false false false");
    expect_failure("getmetatable('').__index = nil", "attempt to index a boolean value");
    expect_failure("getmetatable('x').__add = print", "attempt to index a boolean value");
    expect_failure("setmetatable('x', {})", "a table was expected, got string");
}

#[test]
fn error_objects_are_shown() {
    let cases = [
        ("error({ code = 5, 'x' })", "{\"x\", code = 5}"),
        ("error(nil)", "nil was raised as an error"),
        ("error()", "nil was raised as an error"),
        ("error(42)", "42"),
        ("error(true)", "true"),
        ("error(print)", "function"),
        ("error(null)", "null"),
        ("error(checklist)", "{}"),
        ("error(date('2026-03-14'))", "2026-03-14"),
        ("error(setmetatable({}, { __tostring = function() return 'mine' end }))", "mine"),
        (
            "error(setmetatable({}, { __tostring = function() error('x') end }))",
            "an error object that cannot be shown",
        ),
        ("error('a text', 0)", "a text"),
        ("error('')", ""),
        ("error('not UTF-8: \\xff')", "not UTF-8: \u{fffd}"),
    ];
    for (body, expected) in cases {
        expect_failure(body, expected);
        let error = Nowcast::rule(body).error();
        assert!(!error.contains("0x"), "no address: {error}");
        assert!(error.contains("in function 'after_sleep'"), "{error}");
    }
}
