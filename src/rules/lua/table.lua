-- The table library, written in Lua so that the hook counts its loops: `__len` can claim any
-- length, and C would believe it.
local host, raw = ...

local raw_select, raw_type = raw.select, raw.type
local tointeger = raw.math.tointeger
local fail, readable, writable = host.fail, host.readable, host.writable

-- Values that are worth counting when they are handed over at once.
local few = 4096

local library = { pack = raw.table.pack }

local function integer(value, what)
  local number = raw_type(value) == "number" and tointeger(value)
  if not number then
    fail(what .. " must be an integer, got " .. host.show(value))
  end
  return number
end

function library.insert(t, ...)
  writable(t, "table.insert")
  local length, given = #t, raw_select("#", ...)
  if given == 1 then
    t[length + 1] = (...)
    return
  elseif given ~= 2 then
    fail("table.insert: expected a table, a position if you want one, and a value")
  end
  local position, value = ...
  position = integer(position, "table.insert: the position")
  if position < 1 or position > length + 1 then
    fail("table.insert: position " .. position .. " is outside the list of " .. length)
  end
  for i = length, position, -1 do
    t[i + 1] = t[i]
  end
  t[position] = value
end

function library.remove(t, position)
  writable(t, "table.remove")
  local length = #t
  if position == nil then
    if length == 0 then
      return nil
    end
    position = length
  end
  position = integer(position, "table.remove: the position")
  if position ~= length and (position < 1 or position > length + 1) and not (length == 0 and position == 0) then
    fail("table.remove: position " .. position .. " is outside the list of " .. length)
  end
  local value = t[position]
  for i = position, length - 1 do
    t[i] = t[i + 1]
  end
  if position <= length then
    t[length] = nil
  else
    t[position] = nil
  end
  return value
end

function library.move(from, first, last, to, target)
  target = target == nil and from or target
  readable(from, "table.move")
  writable(target, "table.move")
  first, last = integer(first, "table.move: the first index"), integer(last, "table.move: the last index")
  to = integer(to, "table.move: the new index")
  if first > last then
    return target
  elseif not (first > 0 or last < raw.math.maxinteger + first) then
    fail("table.move: too many elements to move")
  elseif to > raw.math.maxinteger - (last - first) then
    fail("table.move: the new index is too large")
  end
  if to > last or to <= first or target ~= from then
    for i = 0, last - first do
      target[to + i] = from[first + i]
    end
  else
    for i = last - first, 0, -1 do
      target[to + i] = from[first + i]
    end
  end
  return target
end

function library.concat(t, separator, first, last)
  readable(t, "table.concat")
  separator = separator == nil and "" or separator
  if raw_type(separator) ~= "string" and raw_type(separator) ~= "number" then
    fail("table.concat: the separator must be text, got " .. host.show(separator))
  end
  first = first == nil and 1 or integer(first, "table.concat: the first index")
  last = last == nil and #t or integer(last, "table.concat: the last index")
  local parts, n, bytes = {}, 0, 0
  for i = first, last do
    local item = t[i]
    local kind = raw_type(item)
    if kind ~= "string" and kind ~= "number" then
      fail("table.concat: item " .. i .. " is " .. host.kind_name(item) .. "; only texts and numbers can be joined")
    end
    n = n + 1
    parts[n] = item
    bytes = bytes + #separator + (kind == "string" and #item or 8)
    if bytes > host.longest_text then
      host.too_long("table.concat", bytes)
    end
  end
  if bytes > few then
    host.charge(bytes, 4)
  end
  return raw.table.concat(parts, separator)
end

function library.unpack(t, first, last)
  readable(t, "table.unpack")
  if raw_type(t) == "table" and raw.getmetatable(t) == nil then
    local count = (tointeger(last) or #t) - (tointeger(first) or 1)
    if count > few and count < 1000000 then
      host.charge(count, 64)
    end
    return raw.table.unpack(t, first, last)
  end
  first = first == nil and 1 or integer(first, "table.unpack: the first index")
  last = last == nil and #t or integer(last, "table.unpack: the last index")
  local items = {}
  for i = first, last do
    if i - first >= 100000 then
      fail("table.unpack: more than 100000 items")
    end
    items[i - first + 1] = t[i]
  end
  return raw.table.unpack(items, 1, last < first and 0 or last - first + 1)
end

local function ascending(a, b)
  return a < b
end

--- Merges the sorted halves [first, middle) and [middle, stop) of `from` into `to`.
local function merge(from, to, first, middle, stop, comes_before)
  local left, right = first, middle
  for i = first, stop - 1 do
    if left < middle and (right >= stop or not comes_before(from[right], from[left])) then
      to[i] = from[left]
      left = left + 1
    else
      to[i] = from[right]
      right = right + 1
    end
  end
end

-- A merge sort: unlike C's it can be stopped, keeps equal items in order and survives any order.
function library.sort(t, comes_before)
  writable(t, "table.sort")
  if comes_before ~= nil and raw_type(comes_before) ~= "function" then
    fail("table.sort: the order must be a function, got " .. host.show(comes_before))
  end
  comes_before = comes_before or ascending
  local n = #t
  local from, to = {}, {}
  for i = 1, n do
    from[i] = t[i]
  end
  local width = 1
  while width < n do
    for first = 1, n, 2 * width do
      local middle = first + width <= n and first + width or n + 1
      local stop = middle + width <= n and middle + width or n + 1
      merge(from, to, first, middle, stop, comes_before)
    end
    from, to = to, from
    width = 2 * width
  end
  for i = 1, n do
    t[i] = from[i]
  end
end

return library
