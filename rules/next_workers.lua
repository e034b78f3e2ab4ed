-- Rules: one function for each worker, called with every message that the worker sends.
--
--   msg         the message: msg.source, msg.type, msg.payload
--   config      the configuration, nowcast.yaml
--   checklist   the payloads that workers have reported so far, including this message
--
-- All three are read-only. Return the list of workers to launch; an empty list, {}, launches nothing.
-- An edit of this file is in force for the next message, without a restart.

-- sleep is the first worker of the example. After its success, awaken follows.
function after_sleep(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("awaken") }
  end
  return {}
end

-- After awaken, the logs are rotated.
function after_awaken(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("rotate_logs") }
  end
  return {}
end

-- The end of the chain. To start again, return { NextWorker("sleep") }.
function after_rotate_logs(msg, config, checklist)
  return {}
end

function after_clear_checklist(msg, config, checklist)
  return {}
end
