-- Puts the parts together: what a rule finds under a global name.
local host, raw, base, libraries, api = ...

local raw_set, raw_setmetatable, raw_type = raw.rawset, raw.setmetatable, raw.type
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
for name, value in raw.next, names do
  if raw_type(value) == "table" then
    names[name] = lock(value, "the library " .. name)
  end
end
names._VERSION = "Lua 5.4"

local globals = raw_setmetatable({}, { __index = names })
local environment = {}
host.locked[environment] = "the table of globals"
raw_setmetatable(environment, {
  __index = globals,
  __newindex = function(_, key, value)
    if host.frozen then
      host.fail(
        "the global " .. host.show(key) .. " cannot be set while a rule runs: write 'local' before it, "
          .. "and keep what the next rule needs in the checklist"
      )
    end
    raw_set(globals, key, value)
  end,
  __metatable = false,
})
names._G = environment
host.environment = environment

local strings = host.string_metatable
strings.__index = libraries.string
strings.__metatable = false

return environment, globals
