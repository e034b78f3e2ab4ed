-- What happens next: one function for each worker, called with every message that it sends.
--
--   msg         what the worker said: msg.source, msg.type, msg.payload
--   config      the configuration, nowcast.yaml
--   checklist   what all workers have reported so far, this message included
--
-- All three can be read but not written. Return the list of workers to launch; an empty list, {},
-- launches nothing. An edit of this file takes hold with the next message: no restart is needed.

-- sleep is the first worker of the example: when it has slept well, awaken follows.
function after_sleep(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("awaken") }
  end
  return {}
end

-- The day is done once we are awake, so the logs can be rotated.
function after_awaken(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("rotate_logs") }
  end
  return {}
end

-- The end of the chain. Try it: return { NextWorker("sleep") } begins a new day.
function after_rotate_logs(msg, config, checklist)
  return {}
end

function after_clear_checklist(msg, config, checklist)
  return {}
end
