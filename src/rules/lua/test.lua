-- The functions of tests: `describe`, `it`, messages and expectations. The state of a test is in Rust (`scene`).
local host, raw, base, scene, globals = ...

local raw_error, raw_type, raw_select = raw.error, raw.type, raw.select
local fail, show = host.fail, host.show

-- The tests: a list of { name…, body =, before = }.
local tests = {}
local names, befores = {}, {}

local function check(what, value, kind)
  if raw_type(value) ~= kind then
    fail(what .. ": " .. kind .. " was expected, got " .. host.kind_name(value))
  end
end

-- Tests are collected first; then they run.
local is_running = false

local function telling(what)
  if is_running then
    fail(what .. ": tests are told beside one another; this one stands inside of a test")
  end
end

local function running(what)
  if not is_running then
    fail(what .. ": nothing happens outside of a test; write it inside of it(\"…\", function() … end)")
  end
end

--- A group of tests.
function globals.describe(name, body)
  telling("describe")
  check("describe", name, "string")
  check("describe " .. show(name), body, "function")
  names[#names + 1] = name
  local count = #befores
  body()
  names[#names] = nil
  for i = #befores, count + 1, -1 do
    befores[i] = nil
  end
end

--- What runs before each test that follows in the group.
function globals.before_each(body)
  telling("before_each")
  check("before_each", body, "function")
  befores[#befores + 1] = body
end

--- A test.
function globals.it(name, body)
  telling("it")
  check("it", name, "string")
  check("it " .. show(name), body, "function")
  local test = { body = body, before = {} }
  for i, part in base.ipairs(names) do
    test[i] = part
  end
  test[#test + 1] = name
  for i, before in base.ipairs(befores) do
    test.before[i] = before
  end
  tests[#tests + 1] = test
end

for _, name in base.ipairs({
  "at", "now", "checklist", "config", "expect_error", "expect_checklist", "expect_log", "expect_equal", "expect_nothing_waits",
}) do
  local act = scene[name]
  globals[name] = function(...)
    running(name)
    return act(...)
  end
end

--- A set of YAML's.
globals.set = scene.set

-- The keys of a table, as values.
local function keys_of(given)
  local keys = {}
  for key in base.pairs(given) do
    keys[key] = true
  end
  return keys
end

--- A worker's message: its worker, type and payload, or a table with them and its cycle.
function globals.message(source, kind, payload)
  running("message")
  local cycle
  if raw_type(source) == "table" then
    scene.only_of_message(keys_of(source))
    source, kind, payload, cycle = source.source, source.type, source.payload, source.cycle
  end
  return scene.message(source, kind, payload, cycle)
end

-- A launch in a test: a table such as { "make_plots", args = { "nowcast" }, host = "basin" } becomes a launch as of a rule.
local function launch(what, item)
  if raw_type(item) ~= "table" then
    return item
  end
  local words = scene.words(item[1])
  local args, options = {}, {}
  for i = 2, #words do
    args[#args + 1] = words[i]
  end
  for key, value in base.pairs(item) do
    if key == "args" then
      check(what .. ": args", value, "table")
      for i = 1, #value do
        args[#args + 1] = value[i]
      end
    elseif key ~= 1 then
      options[key] = value
    end
  end
  return globals.NextWorker(words[1], args, options)
end

-- Each launch of a list as a line.
local function lines(what, list)
  check(what, list, "table")
  local texts = {}
  for i = 1, #list do
    texts[i] = scene.line(launch(what, list[i]))
  end
  return texts
end

--- What the last message launched, in order: lines as "make_plots nowcast on basin (delay 10m)", tables or launches.
function globals.expect_launches(list)
  running("expect_launches")
  return scene.expect_launches(lines("expect_launches", list))
end

--- The join that the last message's rule opened. Of a table the keys that are there are compared.
function globals.expect_join(join)
  running("expect_join")
  if raw_type(join) ~= "table" or join[1] ~= nil then
    return scene.expect_join(join)
  end
  local keys, spec, launches = {}, {}, {}
  for key, value in base.pairs(join) do
    keys[#keys + 1] = key
    if key == "launch" then
      launches = lines("expect_join: launch", value)
    elseif key == "since" then
      -- No message is decided now, whose time says what a time of day or a span means.
      spec.since = scene.since(value)
    else
      spec[key] = value
    end
  end
  -- A join has both; fields that the test does not name are not compared.
  spec.name = spec.name or "…"
  spec.wait_for = spec.wait_for or { "…" }
  return scene.expect_join(globals.Join(spec), keys, launches)
end

local Day = {}
Day.__index = Day

--- All that ran, in the order in which it began.
function Day:expect_ran(list)
  return scene.expect_ran(self.ran, lines("expect_ran", list))
end

--- These ran in this order, among others.
function Day:expect_order(list)
  return scene.expect_order(self.ran, lines("expect_order", list))
end

--- A worker ran so many times.
function Day:expect_times(worker, count)
  return scene.expect_times(self.ran, worker, count)
end

--- A worker did not run.
function Day:expect_never(worker)
  return scene.expect_times(self.ran, worker, 0)
end

--- A day from its first launches to its end: workers end as told, joins, delays, limits and retries are the manager's.
function globals.run_day(day)
  running("run_day")
  check("run_day", day, "table")
  check("run_day: start", day.start, "table")
  local ends = day.ends or {}
  check("run_day: ends", ends, "table")
  local workers = {}
  for worker in base.pairs(ends) do
    check("run_day: ends: a worker", worker, "string")
    workers[#workers + 1] = worker
  end
  local stop = scene.begin_day(keys_of(day), workers, day.hours)
  for i = 1, #day.start do
    local item, at = day.start[i], nil
    if raw_type(item) == "table" then
      local rest = {}
      for key, value in base.pairs(item) do
        rest[key] = value
      end
      at, rest.at = item.at, nil
      item = launch("run_day: start", rest)
    end
    scene.start(item, at)
  end
  repeat
    local began = scene.began()
    for i = 1, #began do
      local run = began[i]
      local how = ends[run.worker]
      if raw_type(how) == "function" then
        how = how(run)
      end
      scene.ends(run.run, run.worker, how)
    end
  until not scene.go_on(stop, day.errors_expected)
  return base.setmetatable({ ran = scene.ran(), checklist = scene.checklist_now(), errors = scene.errors() }, Day)
end

--- Runs a test.
local function run(number)
  local test = tests[number]
  is_running = true
  scene.begin()
  for _, before in base.ipairs(test.before) do
    before()
  end
  test.body()
  scene.finish()
end

return tests, run
