-- Rules: one function for each worker, called with every message that the worker sends.
--
--   msg         the message: msg.source, msg.type, msg.payload
--   config      the configuration, nowcast.yaml
--   checklist   the payloads that workers have reported so far, including this message
--
-- Return the list of workers to launch. An edit is in force for the next message. By the lines with `---@param`, editors complete message types
-- and keys; `nowcast generate types` writes what they need.

---@param msg Message.get_obs
function after_get_obs(msg, config, checklist)
  if msg.type == "success" and msg.payload then
    return { NextWorker("make_plots", { msg.payload.file }) }
  end
  return {}
end

---@param msg Message.make_plots
function after_make_plots(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("rotate_logs") }
  end
  return {}
end

---@param msg Message.rotate_logs
function after_rotate_logs(msg, config, checklist)
  return {}
end
