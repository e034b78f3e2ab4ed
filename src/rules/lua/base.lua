-- The base library of rules: safe, deterministic, and able to read the views of the checklist.
--
-- No function of C may call a function of the rules: where C stands in between, a call that goes past
-- a limit cannot be stopped by a yield (see budget.rs). So what calls back is written in Lua here.
local host, raw = ...

local raw_get, raw_getmetatable, raw_next = raw.rawget, raw.getmetatable, raw.next
local raw_select, raw_set, raw_setmetatable, raw_sort, raw_tostring, raw_type =
  raw.select, raw.rawset, raw.setmetatable, raw.table.sort, raw.tostring, raw.type
local fail, kind_of = host.fail, host.kind

local base = {}

-- Read-only tables: libraries and the globals themselves.
local locked = raw_setmetatable({}, { __mode = "k" })

--- A read-only stand-in for `contents`.
function host.lock(contents, what)
  local proxy = {}
  locked[proxy] = what
  return raw_setmetatable(proxy, {
    __index = contents,
    __newindex = function(_, key)
      fail(what .. " cannot be changed (key " .. host.show(key) .. ")")
    end,
    __metatable = false,
  })
end
host.locked = locked

function base.type(...)
  if raw_select("#", ...) == 0 then
    fail("type: a value was expected")
  end
  local value = ...
  local kind = raw_type(value)
  if kind == "userdata" then
    return kind_of(value)
  end
  return kind
end

function base.tostring(value)
  local kind = raw_type(value)
  if kind == "table" then
    local meta = raw_getmetatable(value)
    if raw_type(meta) == "table" then
      local method = raw_get(meta, "__tostring")
      if method ~= nil then
        local text = method(value)
        if raw_type(text) ~= "string" then
          fail("'__tostring' must return a string")
        end
        return text
      end
      local name = raw_get(meta, "__name")
      return raw_type(name) == "string" and name or "table"
    end
    return "table"
  elseif kind == "function" or kind == "thread" then
    return kind
  elseif kind == "userdata" then
    return host.text_of(value)
  end
  return raw_tostring(value)
end
local tostring = base.tostring

local function is_view(value)
  return raw_type(value) == "userdata" and kind_of(value) == "table"
end
host.is_view = is_view

--- Fails unless a rule may write to `t`.
local function writable(t, what)
  if raw_type(t) ~= "table" then
    if is_view(t) then
      host.refuse_write(what)
    end
    fail(what .. ": a table was expected, got " .. base.type(t))
  end
  if locked[t] then
    fail(locked[t] .. " cannot be changed")
  end
end
host.writable = writable

--- Fails unless `t` can be read as a list.
function host.readable(t, what)
  if raw_type(t) ~= "table" and not is_view(t) then
    fail(what .. ": a table was expected, got " .. base.type(t))
  end
end

-- The order of a table's keys: numbers, texts, false and true, dates.
local rank = { number = 1, string = 2, boolean = 3, userdata = 4 }

local function before(a, b)
  local rank_a, rank_b = rank[raw_type(a)], rank[raw_type(b)]
  if rank_a ~= rank_b then
    return rank_a < rank_b
  elseif rank_a == 3 then
    return b and not a
  elseif rank_a == 4 then
    return host.text_of(a) < host.text_of(b)
  end
  return a < b
end

--- The table that holds what a rule sees in `t`: the globals are kept behind their table (see environment.lua).
local function contents(t)
  return raw.rawequal(t, host.environment) and host.globals or t
end

--- The keys of a plain table in a fixed order, and how many. Lua's own order changes from run to
--- run, so a replay could not be exact.
local function ordered_keys(t)
  local keys, n, is_list, unordered = {}, 0, true, nil
  local key = raw_next(t)
  while key ~= nil do
    n = n + 1
    keys[n] = key
    if key ~= n then
      is_list = false
      local kind = raw_type(key)
      if not rank[kind] or (kind == "userdata" and kind_of(key) == "table") then
        unordered = kind
      end
    end
    key = raw_next(t, key)
  end
  if unordered and n > 1 then
    fail("a table whose keys are tables, functions or coroutines has no fixed order; use texts or numbers as keys")
  end
  if not is_list and n > 1 then
    raw_sort(keys, before)
    for i = 2, n do
      local one, other = keys[i - 1], keys[i]
      if raw_type(one) == "userdata" and raw_type(other) == "userdata" and host.text_of(one) == host.text_of(other) then
        fail("a table with two keys that are both " .. host.text_of(one) .. " has no fixed order; use texts or numbers as keys")
      end
    end
  end
  return keys, n
end

-- What `next` was last asked to walk through: table -> its keys, in order, and the place of each.
local walks = raw_setmetatable({}, { __mode = "k" })

function base.next(t, key)
  if raw_type(t) ~= "table" then
    host.readable(t, "next")
    return host.view_next(t, key)
  end
  t = contents(t)
  local walk = walks[t]
  if key == nil then
    if raw_next(t) == nil then
      return nil
    end
    local keys, n = ordered_keys(t)
    walk = { keys = keys, n = n, place = {} }
    for i = 1, n do
      walk.place[keys[i]] = i
    end
    walks[t] = walk
  elseif not walk or not walk.place[key] then
    fail("next: the key " .. host.show(key) .. " is not in the table")
  end
  for i = (key == nil and 0 or walk.place[key]) + 1, walk.n do
    local value = raw_get(t, walk.keys[i])
    if value ~= nil then
      return walk.keys[i], value
    end
  end
  return nil
end

function base.pairs(t)
  local i = 0
  if raw_type(t) ~= "table" then
    host.readable(t, "pairs")
    local view_entry = host.view_entry
    return function()
      i = i + 1
      return view_entry(t, i)
    end, t, nil
  end
  local meta = raw_getmetatable(t)
  local method = raw_type(meta) == "table" and raw_get(meta, "__pairs")
  if method then
    local step, state, first = method(t)
    return step, state, first
  end
  local entries = contents(t)
  local keys, n = ordered_keys(entries)
  return function()
    while i < n do
      i = i + 1
      local value = raw_get(entries, keys[i])
      if value ~= nil then
        return keys[i], value
      end
    end
    return nil
  end, t, nil
end
local pairs = base.pairs

local function next_item(t, i)
  i = i + 1
  local value = t[i]
  if value ~= nil then
    return i, value
  end
end

function base.ipairs(t)
  host.readable(t, "ipairs")
  if raw_type(t) ~= "table" then
    -- Noted as one look at the whole list rather than as one at each item.
    local _ = #t
  end
  return next_item, t, 0
end

function base.rawget(t, key)
  if is_view(t) then
    return t[key]
  end
  return raw_get(contents(t), key)
end

function base.rawlen(t)
  if is_view(t) then
    return #t
  end
  return raw.rawlen(t)
end

function base.rawequal(a, b)
  if is_view(a) and is_view(b) then
    return a == b
  end
  return raw.rawequal(a, b)
end

function base.rawset(t, key, value)
  writable(t, "rawset")
  return raw_set(t, key, value)
end

function base.setmetatable(t, meta)
  writable(t, "setmetatable")
  if raw_type(meta) == "table" then
    if raw_get(meta, "__gc") ~= nil then
      fail("setmetatable: __gc is not available in rules")
    elseif raw_get(meta, "__mode") ~= nil then
      fail("setmetatable: weak tables (__mode) are not available in rules")
    end
  end
  if meta ~= nil and raw_type(meta) ~= "table" then
    fail("setmetatable: the metatable must be a table or nil, got " .. base.type(meta))
  end
  return raw_setmetatable(t, meta)
end

base.getmetatable = raw_getmetatable
base.assert = raw.assert
base.error = raw.error
base.select = raw.select

local raw_tonumber = raw.tonumber

function base.tonumber(value, ...)
  if raw_type(value) == "string" and #value > 4096 then
    host.charge(#value, raw_select("#", ...) > 0 and 16 or 8)
  end
  return raw_tonumber(value, ...)
end

return base
