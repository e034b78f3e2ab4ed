//! The functions that make rules short, and their errors.

use nowcast_core::Level;

use super::*;

#[test]
fn need_names_the_missing_key_and_those_that_are_there() {
    let checklist = map([
        ("NEMO run", map([("nowcast", map([("run date", Value::from("2026-03-14"))]))])),
        ("weather", Value::from("done")),
        ("nothing", Value::Null),
    ]);
    let reason = |expression: &str| {
        Nowcast::rule(&format!("return {expression}")).checklist(checklist.clone()).reason()
    };
    assert_eq!(
        reason("need(checklist, 'NEMO run', 'forecast')"),
        "need: there is no key \"forecast\" under [\"NEMO run\"]; the keys there are: nowcast"
    );
    assert_eq!(
        reason("need(checklist, 'nemo run')"),
        "need: there is no key \"nemo run\"; did you mean `NEMO run`?; the keys there are: NEMO run, weather, nothing"
    );
    assert_eq!(
        reason("need(checklist, 'weather', 'x')"),
        "need: there is no key \"x\" under weather, which is text"
    );
    assert_eq!(reason("need({}, 'x')"), "need: there is no key \"x\"; the table is empty");
    assert_eq!(reason("need(checklist, 'nothing')"), "need: the key \"nothing\" is null");
    assert_eq!(reason("need(checklist)"), "need: expected a table and at least one key");
    assert_eq!(reason("need(checklist, nil)"), "need: key 1 is nil");
    assert_eq!(reason("need(msg.payload, 'x')"), "need: a table was expected, got nil");
    let found = Nowcast::rule("print(need(checklist, 'NEMO run', 'nowcast', 'run date')) return {}")
        .checklist(checklist.clone());
    assert_eq!(found.said(), ["2026-03-14"]);
}

#[test]
fn add_appends_and_keys_lists() {
    assert_eq!(print("add({ 1 }, 2, 3)"), "{1, 2, 3}");
    assert_eq!(print("keys({ b = 1, a = 2, 7 })"), r#"{1, "a", "b"}"#);
    assert_eq!(reason("add({}, 1, nil, 2)"), "add: value 2 is nil");
    assert_eq!(reason("add(nil, 1)"), "add: a table was expected, got nil");
}

#[test]
fn strings_have_python_s_methods() {
    assert_eq!(
        print("('abc'):startswith('ab'), ('abc'):startswith('x', 'a'), ('abc'):startswith('b')"),
        "true true false"
    );
    assert_eq!(
        print("('abc'):endswith('bc'), ('abc'):endswith('x', 'c'), ('abc'):endswith('ab')"),
        "true true false"
    );
    assert_eq!(
        print(
            "('  a  b '):split(), ('a,b,,c'):split(','), ('a,b,c'):split(',', 1), (''):split(), (''):split(',')"
        ),
        r#"{"a", "b"} {"a", "b", "", "c"} {"a", "b,c"} {} {""}"#
    );
    assert_eq!(
        print("('[' .. ('  x '):strip() .. ']'), ('xxaxx'):strip('x'), ('abcba'):strip('ab')"),
        "[x] a c"
    );
    assert_eq!(reason("('x'):split('')"), "split: the separator is empty");
    assert_eq!(reason("('x'):startswith()"), "startswith: a text to look for was expected");
    assert_eq!(reason("('x'):startswith(nil)"), "startswith: text was expected, got nil");
}

#[test]
fn the_string_library_behaves_like_lua_s() {
    let lua = mlua::Lua::new();
    for expression in [
        "('hello world'):find('o w')",
        "('hello'):find('l+')",
        "('hello'):find('(l)(l)')",
        "('hello'):find('xyz')",
        "('a.b'):find('.', 1, true)",
        "('hello'):find('', 10)",
        "('hello'):find('', 6)",
        "('hello'):find('l', -2)",
        "('hello'):find('^h')",
        "('hello'):find('^e')",
        "('hello'):match('^(h)(.)')",
        "('key = val'):match('(%w+)%s*=%s*(%w+)')",
        "('hello'):match('()ll()')",
        "('hello'):match('.-')",
        "('x'):match('y')",
        "('2026-03-14'):match('(%d+)-(%d+)-(%d+)')",
        "('hello world'):gsub('o', '0')",
        "('hello'):gsub('', '-')",
        "('abc'):gsub('%w', '%0%0')",
        "('abc'):gsub('(a)(b)', '%2%1')",
        "('hello'):gsub('l', { l = 'L' })",
        "('hello'):gsub('l', function() end)",
        "('abc'):gsub('b', '%%')",
        "('hello'):gsub('l', 'L', 1)",
        "('abc'):gsub('^a', 'x')",
        "('aaa'):gsub('^a', 'x')",
        "('abc'):gsub('b*', '-')",
        "('hello'):rep(3, ', ')",
        "('x'):rep(0)",
        "('%d %5.2f %s %q %x'):format(3, 2.5, 'a', 'b\\n', 255)",
        "('%s %s'):format(nil, true)",
        "('%-5s|%5s'):format('a', 'b')",
        "('%%'):format()",
        "#('x'):rep(100)",
        "('abc'):byte(1, -1)",
        "('abc'):upper()",
        "('abc'):reverse()",
        "('abc'):sub(-2)",
        "utf8.len('äöü')",
        "utf8.char(228)",
        "table.concat({ 1, 2, 'x' }, '-')",
        "table.concat({})",
        "table.unpack({ 1, 2, 3 }, 2)",
        "select('#', table.unpack({}, 1, 3))",
        "table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ',')",
        "table.pack(1, nil, 3).n",
        "math.floor(2.7), math.maxinteger, 7 // 2, 7 / 2",
        "tostring(1e15), tostring(2^53), tostring(-0.0), 10 // 0.0",
        "tonumber('0x10'), tonumber('z', 36), tonumber('x')",
        "select(2, 'a', 'b'), select('#')",
        "pcall(error, 'x')",
        "select(2, pcall(error, { 1 }))[1]",
        "rawequal('a', 'a'), rawlen({ 1 })",
        "next({})",
        "next({ 5 })",
        "type(next), type(nil)",
        "math.type(1), math.type(1.0), math.type('1')",
        "'10' + 5, '3' * '4'",
        "coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)(1)",
        "coroutine.resume(coroutine.create(function() error('x', 0) end))",
        "coroutine.isyieldable()",
        "(function() local t = {} for w in ('one two'):gmatch('%a+') do t[#t + 1] = w end return table.concat(t, '|') end)()",
        "(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return table.concat(t, '|') end)()",
        "(function() local t = {} for p in ('abc'):gmatch('()') do t[#t + 1] = p end return table.concat(t, '|') end)()",
        "(function() local t = { 5, 2, 9, 1 } table.sort(t, function(a, b) return a > b end) return table.concat(t, ' ') end)()",
        "(function() local t = { 'b', 'a' } table.sort(t) table.insert(t, 'c') table.insert(t, 1, 'z') return table.remove(t, 2) .. table.concat(t) .. #t end)()",
        "(function() local t = { 1, 2, 3 } return table.remove(t), table.remove(t, 1), #t, table.remove({}) end)()",
        "(function() local log = '' do local x <close> = setmetatable({}, { __close = function() log = 'closed' end }) end return log end)()",
        "(function() local ok, e = xpcall(function() error('x', 0) end, function(m) return m .. '!' end) return ok, e end)()",
    ] {
        let values: mlua::MultiValue = lua.load(format!("return {expression}")).eval().unwrap();
        let real: Vec<String> = values.iter().map(|value| value.to_string().unwrap()).collect();
        assert_eq!(print(expression), real.join(" "), "{expression}");
    }
}

#[test]
fn errors_of_library_functions_name_the_line_of_the_rule() {
    for (body, expected) in [
        ("('x'):rep('y')", "string.rep: the count must be an integer, got \"y\""),
        ("string.rep(nil)", "string.rep: the first argument must be text, got nil"),
        ("('x'):find('[')", "malformed pattern (missing ']')"),
        ("('x'):gsub('x', '%9')", "invalid capture index %9 in the replacement text of string.gsub"),
        (
            "('x'):gsub('x', true)",
            "string.gsub: the replacement must be text, a table or a function, got true or false",
        ),
        ("table.insert({}, 5, 1)", "table.insert: position 5 is outside the list of 0"),
        ("table.concat({ {} })", "table.concat: item 1 is a table; only texts and numbers can be joined"),
        ("pairs(nil)", "pairs: a table was expected, got nil"),
        ("for _ in ipairs(5) do end", "ipairs: a table was expected, got number"),
        ("setmetatable({}, 5)", "setmetatable: the metatable must be a table or nil, got number"),
        ("string.format('%d', 'x')", "bad argument #2 to 'format' (number expected, got string)"),
        ("string.format('%p', {})", "string.format: %p is not available in rules"),
        ("date(5)", "date: the date must be text, got an integer"),
        ("path.name(nil)", "path.name: a path must be text, got nil"),
        ("local x = nil + 1", "attempt to perform arithmetic on a nil value"),
    ] {
        assert_eq!(reason(body), expected, "{body}");
        let error = Nowcast::rule(body).error();
        assert!(error.starts_with("next_workers.lua:3: "), "{body}: {error}");
        assert!(!error.contains("nowcast:"), "{body}: {error}");
    }
}

#[test]
fn an_error_comes_with_its_traceback() {
    let rules = "local function helper(t)\n  return t.x.y\nend\nfunction after_sleep(msg, config, checklist)\n  local launches = helper(checklist)\n  return launches\nend";
    assert_eq!(
        Nowcast::new(rules).error(),
        "next_workers.lua:2: attempt to index a nil value (field 'x')\n   2 |   return t.x.y\n     = the \
         checklist has no \"x\"; the table is empty\n     = the message was sleep (success)\n\
         stack traceback:\n  next_workers.lua:2: in upvalue 'helper'\n  next_workers.lua:5: in function 'after_sleep'"
    );
    let rules = "function after_sleep(msg, config, checklist)\n  local run = need(checklist, 'run')\n  return {}\nend";
    assert_eq!(
        Nowcast::new(rules).error(),
        "next_workers.lua:2: need: there is no key \"run\"; the table is empty\n   2 |   local run = \
         need(checklist, 'run')\n     = the message was sleep (success)\nstack traceback:\n  next_workers.lua:2: in function 'after_sleep'"
    );
}

#[test]
fn errors_that_are_caught_are_texts() {
    assert_eq!(
        print("pcall(need, {}, 'x')"),
        "false next_workers.lua:3: need: there is no key \"x\"; the table is empty"
    );
    assert_eq!(
        said("local ok, e = pcall(function() return checklist.x.y end) print(type(e), e)"),
        ["string next_workers.lua:3: attempt to index a nil value (field 'x')"]
    );
    assert_eq!(print("select(2, pcall(function() checklist.x = 1 end)):sub(1, 20)"), "next_workers.lua:3: ");
}

#[test]
fn paths_are_texts() {
    assert_eq!(
        print(
            "path.name('/a/b.nc'), path.stem('/a/b.nc'), path.parent('/a/b.nc'), path.join('/a', 'b', 'c.nc')"
        ),
        "b.nc b /a /a/b/c.nc"
    );
}

#[test]
fn dates_shift_format_and_compare() {
    assert_eq!(print("now()"), "2026-03-14T05:15:30-07:00");
    assert_eq!(
        print("date('2026-03-31'):shift{ months = -1 }, date('2024-02-29'):shift{ years = 1 }"),
        "2026-02-28 2025-02-28"
    );
    assert_eq!(
        print("date('2026-03-14'):shift{ days = -14 }, date('2026-03-14'):shift{ weeks = 1, days = 1 }"),
        "2026-02-28 2026-03-22"
    );
    assert_eq!(
        print("date('2026-03-31'):shift{ months = -1, days = 1, hours = 1, minutes = -61 }"),
        "2026-02-28T23:59:00"
    );
    assert_eq!(print("date('2026-03-14'):shift{ hours = 30 }"), "2026-03-15T06:00:00");
    assert_eq!(
        print("date('2026-03-14'):format('%Y-%m-%d %j'), now():format('%d%b%y'):lower()"),
        "2026-03-14 073 14mar26"
    );
    assert_eq!(
        print("date('14mar26', '%d%b%y'), date('2026-03-14 05:15', '%Y-%m-%d %H:%M')"),
        "2026-03-14 2026-03-14T05:15:00"
    );
    assert_eq!(
        print("date('2026-03-14') < date('2026-03-15'), date('2026-03-14') >= date('2026-03-15')"),
        "true false"
    );
    assert_eq!(
        print("date('2026-03-14') - date('2026-02-28'), date('2026-03-14T12:00') - date('2026-03-14')"),
        "14 0.5"
    );
    assert_eq!(print("date('2026-03-14').weekday, now().hour, now().minute, now().second"), "6 5 15 30");
    assert_eq!(print("'run of ' .. date('2026-03-14')"), "run of 2026-03-14");
    // The clocks went forward on March 8th: a day is a day on the calendar.
    assert_eq!(print("now():shift{ days = -7 }"), "2026-03-07T05:15:30-08:00");
    assert_eq!(
        print(
            "date('2026-03-14T05:15:00Z'), date('2026-03-14T05:15:00-07:00') == date('2026-03-14T12:15:00Z')"
        ),
        "2026-03-14T05:15:00+00:00 true"
    );
}

#[test]
fn wrong_dates_are_refused_with_a_format() {
    assert_eq!(
        reason("now():format('YYYY-MM-DD')"),
        "format: \"YYYY-MM-DD\" is a format of arrow's; write \"%Y-%m-%d\""
    );
    assert_eq!(
        reason("date('14/03/2026')"),
        "date: \"14/03/2026\" is not a date; write it as 2026-03-14 or 2026-03-14T05:15:00, or give its format: date(text, \"%d/%m/%Y\")"
    );
    assert_eq!(reason("now():shift{ day = 1 }"), "shift: there is no unit \"day\"; did you mean `days`?");
    assert_eq!(reason("now():shift{ days = 1.5 }"), "shift: days must be a whole number");
    assert_eq!(reason("now():shift(1)"), "shift: write the units in braces, as in d:shift{ days = -1 }");
    assert_eq!(
        reason("print(now().yaer)"),
        "a date has no \"yaer\"; it has year, month, day, hour, minute, second, weekday, shift and format"
    );
    assert_eq!(
        reason("now().shift{ days = 1 }"),
        "shift: write a colon, as in d:shift(…), where d is a date"
    );
    assert_eq!(
        reason("local x = now() < '2026-03-14'"),
        "a date can only be compared with a date, not with text; use date(text)"
    );
    assert!(reason("date('2026-02-30')").starts_with("date: \"2026-02-30\" is not a date"));
    assert!(reason("now():shift{ years = 100000 }").starts_with("shift: "));
}

#[test]
fn log_lines_carry_their_level_and_their_values() {
    let call = Nowcast::rule(
        "log.debug('a') log.info('b', 1, true, nil) log.warning({ x = 1 }) log.error('é') log.critical() print('f') return {}",
    )
    .call("sleep");
    let lines: Vec<(Level, &str)> = call.log.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Level::Debug, "a"),
            (Level::Info, "b 1 true nil"),
            (Level::Warning, "{x = 1}"),
            (Level::Error, "é"),
            (Level::Critical, ""),
            (Level::Info, "f"),
        ]
    );
    let call = Nowcast::rule("log.info('before') error('x')").call("sleep");
    assert_eq!(call.log.len(), 1, "what a rule logged before it failed is kept");
}
