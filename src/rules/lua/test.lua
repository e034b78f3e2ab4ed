-- How tests are told: `describe`, `it`, what happens and what is expected. The world of a test is Rust's (`scene`).
local host, raw, base, scene, globals = ...

local raw_error, raw_type, raw_select = raw.error, raw.type, raw.select
local fail, show = host.fail, host.show

-- What is told: a list of { name…, body =, before = }.
local tests = {}
local names, befores = {}, {}

local function check(what, value, kind)
  if raw_type(value) ~= kind then
    fail(what .. ": " .. kind .. " was expected, got " .. host.kind_name(value))
  end
end

--- A group of tests.
function globals.describe(name, body)
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
  check("before_each", body, "function")
  befores[#befores + 1] = body
end

--- A test.
function globals.it(name, body)
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
  "at", "checklist", "config", "expect_error", "expect_checklist", "expect_log", "expect_join", "expect_nothing_waits",
}) do
  globals[name] = scene[name]
end

--- A worker's message: its worker, type and payload, or a table with them.
function globals.message(source, kind, payload)
  if raw_type(source) == "table" then
    source, kind, payload = source.source or source[1], source.type or source[2], source.payload
  end
  return scene.message(source, kind, payload)
end

-- Each launch of a list as a line.
local function lines(what, list)
  check(what, list, "table")
  local texts = {}
  for i = 1, #list do
    texts[i] = scene.line(list[i])
  end
  return texts
end

--- What the last message launched, in order: lines as "make_plots nowcast on basin (delay 10m)", or launches.
function globals.expect_launches(list)
  return scene.expect_launches(lines("expect_launches", list))
end

--- Two values are the same.
function globals.expect_equal(got, expected)
  return scene.expect_equal(got, expected)
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
  check("run_day", day, "table")
  check("run_day: start", day.start, "table")
  for i = 1, #day.start do
    local launch = day.start[i]
    if raw_type(launch) == "table" then
      scene.start(launch[1], launch.at)
    else
      scene.start(launch)
    end
  end
  local ends = day.ends or {}
  local stop = scene.until_(day.hours)
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
  scene.begin()
  for _, before in base.ipairs(test.before) do
    before()
  end
  test.body()
  scene.finish()
end

return tests, run
