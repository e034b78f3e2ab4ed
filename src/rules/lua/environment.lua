-- Builds the environment of rules: their global names.
local host, raw, base, libraries, api = ...

local raw_get, raw_next, raw_setmetatable, raw_type = raw.rawget, raw.next, raw.setmetatable, raw.type
local lock = host.lock

local names = {}
for name, value in raw.next, base do
  names[name] = value
end
for name, value in raw.next, api do
  names[name] = value
end
for name, value in raw.next, libraries do
  names[name] = value
end
names._VERSION = "Lua 5.4"

-- What the files set while they run is written behind `environment`, which stays empty: so nothing can be written when
-- they have run.
local behind = { __index = names }
local globals = raw_setmetatable({}, behind)
local environment = {}
names._G = environment

-- What is there is what is declared, so that editors and `nowcast rules check` know it.
local undeclared, declared = {}, host.declared
local function there(name)
  if declared[name] == nil then
    undeclared[#undeclared + 1] = name
  end
  declared[name] = nil
end
for name, value in raw_next, names do
  there(name)
  if raw_type(value) == "table" and value ~= environment then
    for member in raw_next, value do
      there(name .. "." .. member)
    end
  end
end
local missing = raw_next(declared)
if missing or #undeclared > 0 then
  raw.error("names of rules that are not declared: " .. raw.table.concat(undeclared, " ") .. "; declared and not there: "
    .. raw.tostring(missing), 0)
end

for name, value in raw_next, names do
  if raw_type(value) == "table" and value ~= environment then
    names[name] = lock(value, "the library " .. name)
  end
end
host.locked[environment] = "the table of globals"
local function refuse(_, key)
  host.fail(
    "the global " .. host.show(key) .. " cannot be set while a rule runs: write 'local' before it, "
      .. "and keep what the next rule needs in the checklist"
  )
end
local access = { __index = globals, __newindex = globals, __metatable = false }
raw_setmetatable(environment, access)
host.environment, host.globals = environment, globals

-- How many globals the files set: a table that has room for them need not grow each time.
local count = 0

--- Allow globals to be set.
local function open()
  globals = raw_setmetatable(host.table_with_room(count), behind)
  host.globals, access.__index, access.__newindex = globals, globals, globals
  host.frozen = false
end

--- Forbid globals to be set.
function host.seal()
  access.__newindex = refuse
  host.frozen = true
end

--- Runs the rules' files, the main one first, in a fresh environment.
function host.load_rules()
  open()
  host.forget_modules()
  host.set_loading(true)
  host.with_its_environment(host.main)()
  host.set_loading(false)
  host.seal()
  if count == 0 then
    for _ in raw_next, globals do
      count = count + 1
    end
  end
end

--- Calls a rule in an environment of its own. Its files run again for each message, so that no variable of theirs
--- lasts from one message to the next, and a message that is decided again gets the same decision.
function host.call_rule(name, ...)
  host.load_rules()
  return raw_get(globals, name)(...)
end

local strings = host.string_metatable
strings.__index = libraries.string
strings.__metatable = false

return environment
