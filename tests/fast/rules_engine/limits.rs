//! What runs outside of Lua's instructions counts too: the compiler, functions written in C or Rust, single instructions that
//! go through long texts, and objects that live outside of the virtual machine.

use super::*;

fn expect_limit(nowcast: &Nowcast, body: &str, limit: &str) {
    let error = nowcast.error();
    assert!(error.contains(&format!("after_sleep {limit}")), "{body}\ngave: {error}");
    nowcast.expect_well();
}

fn expect_instruction_limit(body: &str) {
    expect_limit(
        &Nowcast::rule(body),
        body,
        "took more than 3000000 instructions (the instruction limit of a rule)",
    );
}

/// Options under which only the clock ends a rule.
fn a_moment() -> EngineOptions {
    let limits = CallLimits {
        time: Duration::from_millis(30),
        instructions: u64::MAX,
        text: 16 << 20,
        memory: 256 << 20,
        ..limits()
    };
    EngineOptions { limits, ..EngineOptions::default() }
}

const TIME_LIMIT: &str = "used more than 0.03 s of CPU time (the time limit of a rule)";

fn with_good_rule(body: &str) -> String {
    format!(
        "function after_good() return {{ NextWorker('fine') }} end\nfunction after_sleep(msg, config, checklist)\n{body}\nend"
    )
}

fn expect_time_limit(body: &str) {
    expect_limit(&Nowcast::with(&with_good_rule(body), &a_moment()), body, TIME_LIMIT);
}

/// Texts that take the compiler a time that grows with the square of their length, as Lua expressions. At their full length
/// they take from a third of a second (jumps, of which there can be 32,767) to two minutes.
const LONG_TO_COMPILE: [&str; 5] = [
    "'x = a ' .. ('or a '):rep(200000)",
    "'x = a ' .. ('and a '):rep(160000)",
    "'if a then ' .. ('elseif a then '):rep(70000) .. 'end'",
    "('goto a '):rep(32000) .. '::a::'",
    // These constants share a hash.
    "(function() local t = {} for i = 1, 40000 do t[i] = string.format('0x1.%013xp0;', i) end return 'x = {' .. table.concat(t) .. '}' end)()",
];

#[test]
fn a_text_that_takes_long_to_compile_ends_the_rule_that_loads_it() {
    for text in LONG_TO_COMPILE {
        expect_time_limit(&format!("load({text}) return {{}}"));
        expect_time_limit(&format!("pcall(load, {text}) return {{}}"));
    }
}

#[test]
fn a_file_that_takes_long_to_compile_is_refused_with_its_line() {
    let chain = format!("local a\n\nlocal x = a {}", "or a\n".repeat(200_000));
    let refused = |error: RulesLoadError, file: &str| {
        assert!(error.file.ends_with(file), "{error}");
        assert!(error.line.is_some_and(|line| line > 3), "{error}");
        assert_eq!(
            error.reason,
            "compiling the rules used more than 0.03 s of CPU time (the time limit of a rule); the time for a chain of 'or', \
             'and' or 'elseif' grows with the square of its length: write a table instead"
        );
    };
    refused(load(&chain, &a_moment()).expect_err("an error"), "next_workers.lua");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::write(&path, "require('chain')").unwrap();
    std::fs::write(folder.path().join("chain.lua"), &chain).unwrap();
    refused(Engine::load(&path, "next_workers", &a_moment()).expect_err("an error"), "chain.lua");
}

#[test]
fn compiling_counts_by_the_length_of_the_text() {
    expect_instruction_limit("for i = 1, 2 do load(('x = 1 '):rep(150000)) end return {}");
    let options = EngineOptions {
        limits: CallLimits { instructions: 1_000_000, ..limits() },
        ..EngineOptions::default()
    };
    let error = load(&"x = 1\n".repeat(150_000), &options).expect_err("an error");
    let reason = "compiling the rules took more than 1000000 instructions (the instruction limit of a rule)";
    assert!(error.reason.starts_with(reason), "{error}");
    // Two instructions for each byte, counted in pieces of 256.
    assert_eq!(error.line, Some(1_000_000 / 2 / 256 * 256 / "x = 1\n".len() + 1), "{error}");
}

#[test]
fn a_file_that_runs_long_is_refused_with_what_to_do() {
    let options = EngineOptions { limits: limits(), ..EngineOptions::default() };
    let error = load("local x = 1\nwhile true do end", &options).expect_err("an error");
    assert_eq!(
        error.reason,
        "loading the rules took more than 3000000 instructions (the instruction limit of a rule); the files run before \
         each message, so leave long work to the functions"
    );
    assert_eq!(error.line, Some(2));
}

#[test]
fn functions_that_go_through_a_long_text_count_its_length() {
    let calls = [
        "tonumber(s)",
        "tonumber(s, 36)",
        "s:lower()",
        "s:upper()",
        "s:reverse()",
        "s:sub(2)",
        "s:rep(1)",
        "s:byte(1, 100000)",
        "string.char(many())",
        "s:format()",
        "('%s'):format(s)",
        "('%.3s'):format(s)",
        "('%q'):format(s)",
        "('%s %s'):format({}, s)",
        "s:format({})",
        "string.pack('z', s)",
        "string.pack(x)",
        "string.packsize(x)",
        "string.unpack('z', z)",
        "string.unpack(x, s)",
        "utf8.len(s)",
        "utf8.offset(s, -1000000)",
        "utf8.codepoint(s, 1, 100000)",
        "utf8.char(many())",
        "table.concat({ s })",
        "table.unpack(t, 1, 100000)",
        "s:gsub('^x', 'y')",
        "s:find('y', 1, true)",
        "s:startswith('y', s)",
        "s:strip()",
    ];
    for call in calls {
        expect_instruction_limit(&format!(
            "local s, x, t = ('0'):rep(1000000), ('x'):rep(1000000), {{}}
             local z = s .. '\\0'
             for i = 1, 10000 do t[i] = 48 end
             local function many() return table.unpack(t) end
             for i = 1, 200 do local _ = {call} end return {{}}"
        ));
    }
}

#[test]
fn short_texts_do_not_count() {
    let body = "local n = 0 for i = 1, 30000 do n = n + #(('%s-%d'):format('run', i):upper():sub(2, 4)) end return {}";
    assert_eq!(Nowcast::rule(body).answer(), ReturnedLaunches::default());
}

#[test]
fn single_instructions_that_go_through_long_texts_are_timed() {
    // Each takes a tenth of a second, and there are too few for the hook of every 250 instructions.
    expect_time_limit("local s = ('\\0'):rep(8000000) for i = 1, 40 do local _ = s < s end return {}");
    expect_time_limit(
        "local s = ('\\0'):rep(8000000) local co = coroutine.wrap(function() for i = 1, 40 do local _ = s < s end end) co() return {}",
    );
    let numbers = || list((0..300_000).map(Value::from));
    let checklist = map([("a", numbers()), ("b", numbers())]);
    let body = "local a, b = checklist.a, checklist.b for i = 1, 60 do local _ = a == b end return {}";
    expect_limit(&Nowcast::with(&with_good_rule(body), &a_moment()).checklist(checklist), body, TIME_LIMIT);
}

#[test]
fn counting_the_numbered_keys_of_a_mapping_counts_them() {
    let numbered: Value =
        (1..=100_000_i64).map(|key| (Value::from(key), Value::from(key))).collect::<Map>().into();
    let body = "for i = 1, 10 do local _ = #checklist.numbered end return {}";
    let nowcast = Nowcast::rule(body).checklist(map([("numbered", numbered)]));
    expect_limit(&nowcast, body, "took more than 3000000 instructions");
}

#[test]
fn objects_count_with_their_memory_outside_of_lua() {
    let memory = "needed more than 24 MB (the memory limit of the rules)";
    let options =
        EngineOptions { limits: CallLimits { text: 64 << 20, ..limits() }, ..EngineOptions::default() };
    let many =
        "local texts, names, kept = {}, {}, {} for i = 1, 10000 do texts[i], names[i] = '', 'w' .. i end";
    for object in [
        "NextWorker('a', texts)",
        "NextWorker('a', texts):with{ delay = 1 }",
        "Join{ name = 'j', wait_for = names }",
    ] {
        let body = format!("{many} for i = 1, 100 do kept[i] = {object} end return {{}}");
        expect_limit(&Nowcast::with(&with_good_rule(&body), &options), &body, memory);
        // Objects that the rule no longer holds do not count.
        let body = format!("{many} for i = 1, 100 do local _ = {object} end return {{}}");
        assert_eq!(
            Nowcast::with(&with_good_rule(&body), &options).answer(),
            ReturnedLaunches::default(),
            "{object}"
        );
    }
    let body = "local kept = {} for i = 1, 250000 do kept[i] = checklist.a end return {}";
    let nowcast = Nowcast::rule(body).checklist(map([("a", list([]))]));
    expect_limit(&nowcast, body, memory);
}

#[test]
fn a_path_of_endless_parts_is_refused() {
    let body = "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(4000) end return path.join(table.unpack(t))";
    assert_eq!(reason(body), "path.join: more than 1 MB of text");
}

#[test]
fn rules_require_a_bounded_number_of_files_and_bytes() {
    let default = EngineOptions::default();
    let error = load(
        "local last for i = 1, 1100 do local _, why = pcall(require, 'm' .. i) last = why end error(last)",
        &default,
    );
    let error = error.expect_err("an error");
    assert!(error.reason.contains("the rules require more than 1000 files"), "{error}");

    let error = load("require(('x'):rep(1000))", &default).expect_err("an error");
    assert!(error.reason.contains("require: a name of 1000 bytes is too long for a module"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::write(&path, "for i = 1, 17 do require('m' .. i) end").unwrap();
    let comment = format!("--{}", "x".repeat(1_000_000));
    for number in 1..=17 {
        std::fs::write(folder.path().join(format!("m{number}.lua")), &comment).unwrap();
    }
    let error = Engine::load(&path, "next_workers", &default).expect_err("an error");
    assert!(error.reason.contains("the files of the rules have more than 16 MB of text together"), "{error}");
}

#[test]
fn the_files_see_the_globals_that_they_have_set() {
    let rules = "function after_sleep() return {} end
                 local names = {}
                 for name, value in pairs(_G) do names[#names + 1] = name end
                 assert(#names == 1 and names[1] == 'after_sleep', #names)
                 assert(rawget(_G, 'after_sleep') == after_sleep and next(_G) == 'after_sleep')
                 local walker, t = pairs(_G)
                 assert(t == _G)
                 after_sleep = nil
                 function after_sleep() t.after_sleep = nil end";
    let nowcast = Nowcast::new(rules);
    assert_eq!(
        nowcast.reason(),
        "the global \"after_sleep\" cannot be set while a rule runs: write 'local' before it, and keep what the next rule \
         needs in the checklist"
    );
}
