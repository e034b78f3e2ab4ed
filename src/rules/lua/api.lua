-- Functions that make rules short: launches of workers, access to the checklist, dates and paths.
local host, raw, base = ...

local raw_get, raw_select, raw_type = raw.rawget, raw.select, raw.type
local fail, show, launch = host.fail, host.show, host.launch

local api = {}

function api.NextWorker(module, args, opts)
  return launch("NextWorker", module, args, opts)
end

--- The arguments of `worker`: every one must be there.
local function arguments(what, ...)
  local list = { ... }
  for i = 1, raw_select("#", ...) do
    if list[i] == nil then
      fail(what .. ": argument " .. i .. " after the worker's name is nil; is a name misspelt, or the checklist incomplete?")
    elseif raw_type(list[i]) == "table" then
      fail(what .. ": argument " .. i .. " after the worker's name is a table; options go behind the call, as in "
        .. what .. '(…):with{ delay = "10m" }')
    end
  end
  return list
end

function api.worker(name, ...)
  return launch("worker", host.qualified("worker", name), arguments("worker", ...))
end

function api.worker_on(computer, name, ...)
  if raw_type(computer) ~= "string" then
    fail("worker_on: the host must be text, got " .. host.kind_name(computer))
  end
  return launch("worker_on", host.qualified("worker_on", name), arguments("worker_on", ...), { host = computer })
end

function api.Join(spec)
  return host.join(spec)
end

function api.add(list, ...)
  host.writable(list, "add")
  for i = 1, raw_select("#", ...) do
    local value = raw_select(i, ...)
    if value == nil then
      fail("add: value " .. i .. " is nil")
    end
    list[#list + 1] = value
  end
  return list
end

function api.keys(t)
  host.readable(t, "keys")
  local list, n = {}, 0
  for key in base.pairs(t) do
    n = n + 1
    list[n] = key
  end
  return list
end

--- "the keys there are …", with the one that was probably meant.
local function what_is_there(t, key)
  local texts, n = {}, 0
  for there in base.pairs(t) do
    n = n + 1
    if n <= 200 then
      texts[n] = there
    end
  end
  return host.suggest(texts, n, key)
end

function api.need(t, ...)
  local steps = raw_select("#", ...)
  local path = ""
  if steps == 0 then
    fail("need: expected a table and at least one key")
  end
  for i = 1, steps do
    local key = raw_select(i, ...)
    if key == nil then
      fail("need: key " .. i .. " is nil")
    end
    local here = i == 1 and "" or " under " .. path
    if base.type(t) ~= "table" then
      if i == 1 then
        fail("need: a table was expected, got " .. host.kind_name(t))
      end
      fail("need: there is no key " .. show(key) .. here .. ", which is " .. host.kind_name(t))
    end
    local value = t[key]
    if value == nil and host.is_view(t) and host.view_has(t, key) then
      fail("need: the key " .. show(key) .. here .. " is null")
    elseif value == nil then
      fail("need: there is no key " .. show(key) .. here .. what_is_there(t, key))
    end
    t, path = value, path .. (i == 1 and "" or ".") .. (raw_type(key) == "string" and host.is_name(key) and key or "[" .. show(key) .. "]")
  end
  return t
end

api.date = host.date
api.now = host.now
api.last = host.last
api.null = host.null
api.path = host.path
api.log = base.log

--- Modules of the rules' own folder, run once each time that the rules are loaded, and compiled once.
local compiled, loaded, loading = {}, {}, {}

-- Ends a module's loading, be it by an error that the rules catch.
local until_loaded = {
  __close = function(this)
    loading[this.name] = nil
  end,
}

function host.forget_modules()
  loaded, loading = {}, {}
end

function api.require(name)
  if raw_type(name) ~= "string" then
    fail("require: the name must be text, got " .. host.kind_name(name))
  end
  local result = raw_get(loaded, name)
  if result ~= nil then
    return result
  elseif loading[name] then
    fail('require: "' .. name .. '" requires itself')
  end
  local chunk = compiled[name]
  if chunk == nil or host.frozen then
    chunk = host.read_module(name)
    compiled[name] = chunk
  end
  loading[name] = true
  local _ <close> = raw.setmetatable({ name = name }, until_loaded)
  result = host.with_its_environment(chunk)(name)
  loaded[name] = result == nil and true or result
  return loaded[name]
end

local seed, random = host.seed, raw.math.random

-- Random numbers start from the message, so that a replay draws the same ones.
local function seeded()
  local first, second = seed()
  if first then
    raw.math.randomseed(first, second)
  end
end

local math = {}
for name, value in raw.next, raw.math do
  -- Functions that Lua only keeps for older versions are left out.
  if host.declared["math." .. name] then
    math[name] = value
  end
end

function math.random(...)
  seeded()
  return random(...)
end

function math.randomseed(...)
  if raw_select("#", ...) == 0 then
    fail("math.randomseed: give a number; the message seeds math.random by itself")
  end
  seeded()
  raw.math.randomseed(...)
end
api.math = math

return api
