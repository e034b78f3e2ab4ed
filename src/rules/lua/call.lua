-- Calls that catch errors, coroutines, `load`, and the call of a rule itself.
--
-- No function of C may call a function of the rules (see base.lua), and a limit that was passed goes
-- through everything here: `caught` raises it again.
local host, raw, base = ...

local raw_error, raw_getmetatable, raw_pcall, raw_select, raw_type =
  raw.error, raw.getmetatable, raw.pcall, raw.select, raw.type
local fail, caught = host.fail, host.caught

-- Errors that come back from a protected call: a passed limit goes on its way, an error of the
-- engine's becomes text.
local function settle(ok, ...)
  if ok then
    return true, ...
  end
  return false, caught((...))
end

function base.pcall(f, ...)
  return settle(raw_pcall(f, ...))
end

-- Lua runs a message handler without any hook when the error came from one, so ours runs after.
local function handle(handler, ok, ...)
  if ok then
    return true, ...
  end
  return false, handler(caught((...)))
end

function base.xpcall(f, handler, ...)
  if raw_type(handler) ~= "function" then
    fail("xpcall: a function was expected as the handler, got " .. base.type(handler))
  end
  return handle(handler, raw_pcall(f, ...))
end

-- There is no `coroutine.close`: it runs `__close` methods below C, where nothing could stop them.
local raw_coroutine = raw.coroutine
local coroutine = {
  create = raw_coroutine.create,
  status = raw_coroutine.status,
}
-- The coroutine that the engine runs the rule in; to the rule it is the main one.
local main

function coroutine.running()
  local co = raw_coroutine.running()
  return co, co == main
end

function coroutine.isyieldable()
  return raw_coroutine.running() ~= main and raw_coroutine.isyieldable()
end

function coroutine.yield(...)
  if raw_coroutine.running() == main then
    fail("attempt to yield from outside a coroutine")
  end
  return raw_coroutine.yield(...)
end

function coroutine.resume(co, ...)
  return settle(raw_coroutine.resume(co, ...))
end

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  raw_error(caught((...)), 0)
end

function coroutine.wrap(f)
  local co = raw_coroutine.create(f)
  return function(...)
    return unwrap(raw_coroutine.resume(co, ...))
  end
end
base.coroutine = coroutine

--- Compiles a text within the limits. `file` is its name if it is a file of the rules. A limit that was passed and a
--- lack of memory are raised; a syntax error is returned.
function host.compile(text, name, env, file)
  local chunk, err = raw.load(host.reader(text, file), name, "t", env)
  -- The clock: a label at the end of the text finds all its jumps then.
  host.charge(0, 0)
  if chunk == nil then
    return nil, caught(err)
  end
  return chunk
end

-- Longest text that `load` compiles.
local longest_chunk = 1 << 20

function base.load(chunk, name, mode, ...)
  if raw_type(chunk) == "function" then
    local pieces, bytes = {}, 0
    for i = 1, raw.math.maxinteger do
      local piece = chunk()
      if piece == nil or piece == "" then
        break
      elseif raw_type(piece) ~= "string" then
        fail("load: the function must return text, got " .. base.type(piece))
      end
      bytes = bytes + #piece
      if bytes > longest_chunk then
        break
      end
      pieces[i] = piece
    end
    if bytes > longest_chunk then
      return nil, "load: more than 1 MB of text"
    end
    chunk = raw.table.concat(pieces)
  elseif raw_type(chunk) ~= "string" then
    fail("load: text was expected, got " .. base.type(chunk))
  elseif #chunk > longest_chunk then
    return nil, "load: more than 1 MB of text"
  end
  if name ~= nil and raw_type(name) ~= "string" then
    fail("load: the name must be text, got " .. base.type(name))
  end
  local env = host.environment
  if raw_select("#", ...) > 0 then
    env = ...
  end
  -- Text only, whatever the mode says: compiled code can break the virtual machine.
  return host.compile(chunk, name or "=load", env)
end

-- An error on its way out of a rule, with the traceback of where it was raised.
local function explain(err)
  return { err = err, traceback = host.traceback() }
end

local function finish(ok, ...)
  if ok then
    return ...
  end
  local explained = ...
  if raw_type(explained) ~= "table" then
    -- Out of memory, or of stack in the handler: Lua's own message.
    raw_error(caught(explained), 0)
  end
  local err = explained.err
  if raw_type(err) ~= "string" then
    err = caught(err)
  end
  local kind = raw_type(err)
  if kind == "nil" then
    err = "nil was raised as an error"
  elseif kind ~= "string" then
    local shown, text = raw_pcall(kind == "table" and raw_getmetatable(err) and base.tostring or host.show, err)
    err = shown and text or "an error object that cannot be shown"
  end
  host.raise(err, explained.traceback)
end

function host.run(f, ...)
  main = raw_coroutine.running()
  return finish(raw.xpcall(f, explain, ...))
end
