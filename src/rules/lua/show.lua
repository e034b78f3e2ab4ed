-- Values as people read them, in log lines and error messages.
local host, raw, base = ...

local raw_getmetatable, raw_select, raw_type = raw.getmetatable, raw.select, raw.type
local pairs, tostring = base.pairs, base.tostring

local format = raw.string.format

--- A value as a log line or an error message shows it: tables with their contents, in order.
local function show(value, depth)
  local kind = base.type(value)
  if kind == "string" then
    if #value > 200 then
      value = raw.string.sub(value, 1, 200) .. "…"
    end
    return format("%q", value)
  elseif kind ~= "table" or (raw_type(value) == "table" and raw_getmetatable(value) ~= nil) then
    return tostring(value)
  elseif depth >= 4 then
    return "{…}"
  end
  local parts, place = {}, 1
  for key, item in pairs(value) do
    if #parts >= 50 then
      parts[#parts + 1] = "…"
      break
    end
    if key == place then
      parts[#parts + 1] = show(item, depth + 1)
      place = place + 1
    elseif raw_type(key) == "string" and host.is_name(key) then
      parts[#parts + 1] = key .. " = " .. show(item, depth + 1)
    else
      parts[#parts + 1] = "[" .. show(key, depth + 1) .. "] = " .. show(item, depth + 1)
    end
  end
  return "{" .. raw.table.concat(parts, ", ") .. "}"
end

function host.show(value)
  return show(value, 0)
end

--- The arguments of `print` and `log.info` as one line.
local function line(...)
  local parts = {}
  for i = 1, raw_select("#", ...) do
    local value = raw_select(i, ...)
    parts[i] = base.type(value) == "table" and host.show(value) or tostring(value)
  end
  return raw.table.concat(parts, " ")
end

base.log = {}
for _, level in raw.next, { "debug", "info", "warning", "error", "critical" } do
  base.log[level] = function(...)
    host.log(level, line(...))
  end
end
base.print = base.log.info
