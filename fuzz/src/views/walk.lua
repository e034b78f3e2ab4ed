-- Walks over a view in every way, and prints what it sees.

local function sum(text)
  local sum = 0
  for at = 1, #text do
    sum = (sum * 31 + text:byte(at)) & 0xffffffff
  end
  return #text .. ":" .. sum
end

local show

-- Tables are the same if their contents are; only NaN is not the same as itself.
local function same(a, b)
  return a == b or a ~= a and b ~= b
end

local function entries(view)
  local out = { "{" }
  local key, value = next(view)
  for k, v in pairs(view) do
    assert(same(k, key) and same(v, value), "next and pairs differ")
    key, value = next(view, key)
    if k == k then
      assert(same(view[k], v), "the lookup of a key gives another value")
    end
    out[#out + 1] = show(k) .. "=" .. show(v) .. ";"
  end
  assert(key == nil, "next has more keys than pairs")
  for at, item in ipairs(view) do
    assert(at <= #view and same(view[at], item), "ipairs gives another value")
  end
  local is_written = pcall(function()
    view.new = 1
  end)
  assert(not is_written, "a view can be written")
  assert(#keys(view) == #out - 1, "there are other keys")
  out[#out + 1] = "}"
  return table.concat(out)
end

function show(value)
  local kind = type(value)
  if value == nil or value == null then
    return "n"
  elseif kind == "boolean" or math.type(value) == "integer" then
    return tostring(value)
  elseif kind == "number" then
    return "f"
  elseif kind == "string" then
    return sum(value)
  elseif kind == "table" then
    return entries(value)
  end
  assert(#tostring(value) >= 10, "a date is written in ISO form")
  return "d"
end

function after_sleep(msg, config, checklist)
  local text = show(msg.payload)
  if type(msg.payload) == "table" then
    assert(show(checklist) == text and show(config) == text, "the same value looks different elsewhere")
  end
  for at = 1, #text, 50000 do
    log.info(text:sub(at, at + 49999))
  end
  return {}
end
