//! Rules that loop, recurse or eat memory: each costs one message, and the next
//! call of the same engine is well.

use super::*;

/// Expects that a rule with this body fails with a reason that contains `expected`.
pub fn expect_failure(body: &str, expected: &str) {
    expect_failure_of(&Nowcast::rule(body), body, expected);
}

fn expect_failure_of(nowcast: &Nowcast, body: &str, expected: &str) {
    let error = nowcast.error();
    assert!(error.contains(expected), "{body}\ngave: {error}");
    nowcast.expect_well();
    // What one failure leaves behind must not spare the next one.
    let again = nowcast.error();
    assert!(again.contains(expected), "{body}\ngave at the second call: {again}");
    nowcast.expect_well();
}

fn expect_instruction_limit(body: &str) {
    expect_failure(body, "after_sleep took more than 3000000 instructions (the instruction limit of a rule)");
}

fn expect_memory_limit(body: &str) {
    expect_failure(body, "after_sleep needed more than 24 MB (the memory limit of the rules)");
}

#[test]
fn an_endless_loop_ends() {
    expect_instruction_limit("while true do end");
    expect_instruction_limit("repeat until false");
    expect_instruction_limit("for i = 1, math.huge do end");
    expect_instruction_limit("::top:: goto top");
    expect_instruction_limit("local function f() return f() end return f()");
}

#[test]
fn the_clock_ends_a_loop_too() {
    let options = EngineOptions {
        limits: CallLimits { time: Duration::from_millis(30), instructions: u64::MAX, ..limits() },
        package: None,
        ..EngineOptions::default()
    };
    let rules = "function after_good() return { NextWorker('fine') } end\nfunction after_sleep()\n  while true do end\nend";
    let nowcast = Nowcast::with(rules, &options);
    let error = nowcast.error();
    assert_eq!(
        error,
        "next_workers.lua:3: after_sleep used more than 0.03 s of CPU time (the time limit of a rule)\n   3 |   while true do end\n     \
         = the message was sleep (success)\nstack traceback:\n  \
         next_workers.lua:3: in function 'after_sleep'"
    );
    nowcast.expect_well();
}

#[test]
fn nothing_catches_a_passed_limit() {
    expect_instruction_limit("while true do pcall(function() while true do end end) end");
    expect_instruction_limit("pcall(function() while true do end end) return {}");
    expect_instruction_limit("local ok = pcall(pcall, pcall, function() while true do end end) return {}");
    expect_instruction_limit(
        "xpcall(function() while true do end end, function() while true do end end) return {}",
    );
    expect_instruction_limit("xpcall(error, function() while true do end end) return {}");
    expect_instruction_limit(
        "xpcall(error, function(e) return xpcall(error, function() while true do end end) end)",
    );
    expect_instruction_limit("local function f() pcall(f) while true do end end f()");
    expect_instruction_limit("while true do xpcall(function() while true do end end, print) end");
    expect_instruction_limit("load('while true do end')() return {}");
    expect_instruction_limit("error(setmetatable({}, { __tostring = function() while true do end end }))");
}

#[test]
fn coroutines_are_held_to_the_same_budget() {
    expect_instruction_limit("coroutine.wrap(function() while true do end end)()");
    expect_instruction_limit(
        "coroutine.resume(coroutine.create(function() while true do end end)) return {}",
    );
    expect_instruction_limit(
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    );
    expect_instruction_limit(
        "while true do local co = coroutine.create(function() end) coroutine.resume(co) end",
    );
    expect_instruction_limit(
        "local cos = {} for i = 1, 2000 do cos[i] = coroutine.create(function() while true do end end) end
         while true do for _, co in ipairs(cos) do coroutine.resume(co) end end",
    );
    expect_instruction_limit(
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
    );
    expect_failure("coroutine.yield()", "attempt to yield from outside a coroutine");
}

#[test]
fn metamethods_are_held_to_the_same_budget() {
    let with = |method: &str, use_: &str| {
        expect_instruction_limit(&format!(
            "local t = setmetatable({{}}, {{ {method} = function() while true do end end }}) {use_}"
        ));
    };
    with("__index", "return t.x");
    with("__newindex", "t.x = 1");
    with("__add", "return t + 1");
    with("__eq", "return t == setmetatable({}, getmetatable(t))");
    with("__lt", "return t < t");
    with("__len", "return #t");
    with("__concat", "return t .. 'x'");
    with("__call", "return t()");
    with("__tostring", "return tostring(t)");
    with("__tostring", "print(t) return {}");
    with("__tostring", "return string.format('%s', t)");
    with("__pairs", "for _ in pairs(t) do end");
    with("__close", "do local x <close> = t end");
    with("__close", "local function f() local x <close> = t error('x') end while true do pcall(f) end");
    with("__close", "local function f() local x <close> = t while true do end end pcall(f) return {}");
    with("__index", "table.concat(t, '', 1, 2)");
    with("__index", "table.unpack(t, 1, 2)");
}

#[test]
fn a_pending_close_method_does_not_outlive_the_budget() {
    let endless = "local t = setmetatable({}, { __close = function() while true do end end });";
    for body in [
        "local function f() local x <close> = t while true do end end pcall(f) return {}",
        "local function f() local x <close> = t while true do end end coroutine.wrap(f)()",
        "local function f() local x <close> = t while true do end end
         local co = coroutine.create(f) while true do coroutine.resume(co) end",
        "table.sort({ 2, 1 }, function() local x <close> = t while true do end end)",
        "('x'):gsub('x', function() local x <close> = t while true do end end)",
        "load(function() local x <close> = t while true do end end)",
        "for _ in function() while true do end end, nil, nil, t do end",
        "xpcall(error, function() local x <close> = t while true do end end)",
        "error(setmetatable({}, { __tostring = function() local x <close> = t while true do end end }))",
        "return tostring(setmetatable({}, { __tostring = function() local x <close> = t while true do end end }))",
        "for _ in pairs(setmetatable({}, { __pairs = function() local x <close> = t while true do end end })) do end",
        "for _ in ipairs(setmetatable({}, { __index = function() local x <close> = t while true do end end })) do end",
        "return setmetatable({}, { __index = function() local x <close> = t while true do end end }).x",
        "return setmetatable({}, { __concat = function() local x <close> = t while true do end end }) .. 'x'",
        "return setmetatable({}, { __lt = function() local x <close> = t while true do end end }) < 1",
        "local x <close> = setmetatable({}, { __close = function() local x <close> = t while true do end end }) error('x')",
        "local x <close> = setmetatable({}, { __close = function() local x <close> = t while true do end end }) while true do end",
        "local function deep(n) local x <close> = t if n > 0 then return (deep(n - 1)) end while true do end end deep(1000)",
        "local cos = {} for i = 1, 500 do cos[i] = coroutine.wrap(function() local x <close> = t while true do end end) end
         while true do for i = 1, 500 do pcall(cos[i]) end end",
    ] {
        expect_instruction_limit(&format!("{endless} {body}"));
    }
}

#[test]
fn nested_coroutines_end_together() {
    expect_instruction_limit(
        "local function nest(n)
           local inner = n > 0 and coroutine.create(nest) or nil
           while true do if inner then coroutine.resume(inner, n - 1) end end
         end
         nest(20)",
    );
    expect_instruction_limit(
        "local function spawn() while true do coroutine.resume(coroutine.create(spawn)) end end spawn()",
    );
}

#[test]
fn launches_cannot_hold_endless_memory() {
    expect_failure(
        "local t = {} while true do t[#t + 1] = NextWorker('a', { ('x'):rep(100000) .. #t }) end",
        "NextWorker(\"a\"): the launches of this rule hold more than 1 MB of text",
    );
    expect_failure(
        "local t = {} for i = 1, 20000 do t[i] = 'x' end NextWorker('a', t)",
        "args has more than 10000 items",
    );
    let held = "the launches of this rule hold more than 1 MB of text";
    // A text that is used many times is copied many times.
    let text = "local s, t = ('x'):rep(100000), {}";
    for body in [
        "for i = 1, 10000 do t[i] = s end NextWorker('a', t)",
        "local w = NextWorker('a', { s }) for i = 1, 10000 do t[i] = w end return t",
        "local w = NextWorker('a', { s }) for i = 1, 10000 do t[i] = w end Join{ name = 'j', wait_for = { 'a' }, launch = t }",
        "local w = NextWorker('a', { s }) while true do w:with{ delay = 1 } end",
        "for i = 1, 1000 do t['V' .. i] = s end NextWorker('a', {}, { env = t })",
        "for i = 1, 10000 do t[i] = s end return {}, t",
    ] {
        expect_failure(&format!("{text} {body}"), held);
    }
    expect_failure("error(('x'):rep(1000000))", "xxx…");
    let error = Nowcast::rule("error(('x'):rep(1000000))").error();
    assert!(error.len() < 11_000, "{} bytes", error.len());
}

#[test]
fn library_functions_that_call_back_are_held_to_the_same_budget() {
    expect_instruction_limit("table.sort({ 3, 2, 1 }, function() while true do end end)");
    expect_instruction_limit("('x'):gsub('x', function() while true do end end)");
    expect_instruction_limit(
        "('x'):gsub('x', setmetatable({}, { __index = function() while true do end end }))",
    );
    expect_instruction_limit("load(function() while true do end end)");
    expect_instruction_limit("load(function() return ' ' end, 'x') while true do end");
    expect_instruction_limit("for _ in function() return 1 end do end");
    expect_instruction_limit(
        "table.sort(setmetatable({}, { __len = function() return 2 ^ 30 // 1 | 0 end, __index = function() return 1 end }))",
    );
    expect_instruction_limit(
        "table.sort(setmetatable({}, { __len = function() return 2^30 | 0 end }), math.type)",
    );
}

#[test]
fn a_list_without_end_is_not_walked_in_c() {
    let endless = "local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end, \
                   __index = function() return 1 end, __newindex = function() end })";
    expect_instruction_limit(&format!("{endless} table.insert(t, 1, 1)"));
    expect_instruction_limit(&format!("{endless} table.remove(t, 1)"));
    expect_instruction_limit(&format!("{endless} table.move(t, 1, 1 << 60, 2)"));
    expect_failure(&format!("{endless} table.concat(t)"), "table.concat: a text of 1048");
    expect_failure(&format!("{endless} table.unpack(t)"), "more than 100000 items");
    expect_instruction_limit(&format!("{endless} for i in ipairs(t) do end"));
    expect_instruction_limit("table.move({}, 1, 1e15, 2)");
    expect_instruction_limit("table.move({}, 1, math.maxinteger - 5, 2, {})");
    expect_failure("table.unpack({}, 1, 1e8)", "too many results to unpack");
    expect_failure("table.unpack({}, 1, math.maxinteger)", "too many results to unpack");
    expect_failure("select(-1)", "bad argument #1 to 'select'");
}

#[test]
fn long_texts_are_refused_before_they_are_made() {
    expect_failure(
        "('x'):rep(1e9)",
        "string.rep: a text of 1000000000 bytes is longer than the limit of 1 MB",
    );
    expect_failure("('x'):rep(1e15, 'yz')", "is longer than the limit of 1 MB");
    expect_failure("('x'):rep(math.maxinteger)", "is longer than the limit of 1 MB");
    expect_failure("string.format('%9999d', 1)", "invalid conversion");
    expect_failure("string.format('%99999999s', 'x')", "invalid conversion");
    expect_failure(
        "local s = ('x'):rep(1000) table.concat({ s, s }, s:rep(1000))",
        "table.concat: a text of",
    );
    expect_failure("(('x'):rep(10000)):gsub('x', ('y'):rep(10000))", "string.gsub: a text of");
    assert_eq!(print("#(''):rep(1e15), #(''):rep(math.maxinteger, '')"), "0 0");
    assert_eq!(print("#('x'):rep(-5)"), "0");
}

#[test]
fn a_text_of_endless_pieces_is_not_split_to_the_end() {
    expect_instruction_limit("return ('x'):rep(900000):split('x')");
    expect_instruction_limit("return (' x'):rep(400000):split()");
}

#[test]
fn patterns_that_would_take_hours_end() {
    expect_instruction_limit("return (('a'):rep(3000)):find('a*a*a*a*a*a*b')");
    expect_instruction_limit("return (('a'):rep(3000)):match('.-.-.-.-.-b$')");
    expect_instruction_limit("return (('a'):rep(3000)):gsub('a*a*a*a*a*b', '')");
    expect_instruction_limit("for _ in (('a'):rep(3000)):gmatch('a*a*a*a*a*b') do end");
    expect_instruction_limit("local s = ('('):rep(100000) return s:find('%b()')");
    expect_instruction_limit("return (('a'):rep(30000)):find('(.*)%1b')");
    expect_instruction_limit("return (('x'):rep(9000)):find('[' .. ('a'):rep(9000) .. ']')");
    expect_failure("return (('a'):rep(300)):find(('a?'):rep(300) .. ('a'):rep(300))", "");
    expect_failure("return (('('):rep(40)):find(('('):rep(40))", "too many captures");
}

#[test]
fn endless_recursion_is_an_error() {
    let roomy = EngineOptions {
        limits: CallLimits { memory: CallLimits::default().memory, ..limits() },
        package: None,
        ..EngineOptions::default()
    };
    let body = "local function f() return 1 + f() end f()";
    let rules = format!(
        "function after_good() return {{ NextWorker('fine') }} end\nfunction after_sleep()\n{body}\nend"
    );
    expect_failure_of(&Nowcast::with(&rules, &roomy), body, "stack overflow");
    expect_memory_limit(body);
    expect_failure("local function f() local ok, e = pcall(f) error(e) end f()", "stack overflow");
    expect_failure(
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
        "stack overflow",
    );
    expect_failure(
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return 'x' .. tostring(t) end return tostring(t)",
        "the memory limit of the rules",
    );
    expect_failure("local function f() return (('x'):gsub('x', f)) end f()", "the memory limit of the rules");
    expect_failure("local function f() table.sort({ 2, 1 }, f) end f()", "the memory limit of the rules");
    expect_failure("local function f() return coroutine.wrap(f)() end f()", "stack overflow");
    expect_failure("local function f() return load('local f = ... f()')(f) end f() while true do end", "");
    expect_failure("local function f(e) error(e) end xpcall(f, f)", "");
    expect_failure("return load(('('):rep(10000) .. (')'):rep(10000))() ", "attempt to call a nil value");
    let deep = "local s = 'return ' .. ('{'):rep(10000) .. ('}'):rep(10000) local f, e = load(s) error(e)";
    expect_failure(deep, "C stack overflow");
    expect_failure("local t = {} for i = 1, 1e5 do t = { t } end return t", "a table at place 1");
    expect_failure("local t = {} t.t = t print(t) error(t)", "{t = {t = {t = {t = {…}}}}}");
}

#[test]
fn unbounded_memory_ends() {
    expect_memory_limit("local s = 'x' while true do s = s .. s end");
    expect_memory_limit("local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end");
    expect_memory_limit("local t = {} for i = 1, 1e9 do t[i] = {} end");
    expect_memory_limit("local s = 'x' while true do pcall(function() while true do s = s .. s end end) end");
    expect_memory_limit(
        "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(500000) .. #t end) end",
    );
    expect_memory_limit(
        "local t = {} xpcall(function() while true do t[#t + 1] = ('x'):rep(500000) .. #t end end, print) return {}",
    );
    expect_memory_limit(
        "local t = {} coroutine.wrap(function() while true do t[#t + 1] = ('x'):rep(500000) .. #t end end)()",
    );
    expect_memory_limit("local t = {} while true do t[#t + 1] = date('2026-03-14') end");
    expect_memory_limit("local t = {} while true do t[#t + 1] = coroutine.create(print) end");
}

#[test]
fn an_error_named_not_enough_memory_is_caught_as_usual() {
    expect_memory_limit("pcall(error, 'not enough memory') return {}");
}

#[test]
fn loading_is_held_to_the_budget() {
    let options = EngineOptions { limits: limits(), package: None, ..EngineOptions::default() };
    let cases = [
        (
            "while true do end",
            Some(1),
            "loading the rules took more than 3000000 instructions (the instruction limit of a rule)",
        ),
        (
            "\nlocal t = {}\nwhile true do t = { t } end",
            None,
            "loading the rules needed more than 24 MB (the memory limit of the rules)",
        ),
        (
            "pcall(function()\nwhile true do end end)",
            Some(2),
            "loading the rules took more than 3000000 instructions (the instruction limit of a rule)",
        ),
        ("local function f() return f end\nf()()().x.y = 1", Some(2), "attempt to index a function value"),
        ("x = 1\ny = = 2", Some(2), "unexpected symbol near '='"),
        ("function after_sleep()\n  return {", Some(2), "unexpected symbol near <eof>"),
        ("\n\nerror('mine')", Some(3), "mine"),
        ("error({})", None, "{}"),
        ("local x\nx.y = 1", Some(2), "attempt to index a nil value (local 'x')"),
        ("now()", Some(1), "now: there is no message yet; call it inside a rule"),
        ("\nos.time()", Some(2), "os.time: there is no message yet; call it inside a rule"),
        ("math.random()", Some(1), "math.random: there is no message yet; call it inside a rule"),
        ("\nrequire('nothing')", Some(2), "require: "),
    ];
    for (rules, line, reason) in cases {
        let error = load(rules, &options).err().unwrap_or_else(|| panic!("{rules} was loaded"));
        assert!(error.reason.contains(reason), "{rules}: {error}");
        assert_eq!(error.line, line, "{rules}: {error}");
        assert!(error.file.ends_with("next_workers.lua"), "{error}");
    }
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let call = Nowcast::rule("for i = 1, 1000 do log.info(i) end return {}").call("sleep");
    assert!(call.result.is_ok());
    assert_eq!(call.log.len(), 21);
    assert_eq!(call.log[20].text, "the rule logged more than 20 lines or 9 kB: the rest is left out");
    let nowcast = Nowcast::rule("for i = 1, 5 do log.info(('x'):rep(6000)) end return {}");
    assert_eq!(nowcast.call("sleep").log.len(), 2);
    assert_eq!(nowcast.call("sleep").log.len(), 2, "the next call begins with an empty log");
}
