-- Rules: one function for each worker, called with every message that the worker sends. An edit is in force for the next message.

-- Both downloads of a day, in whichever order they end, are processed together.
function after_download(msg, config, checklist)
  if msg.type ~= "success" then return {} end
  return {}, Join{
    name = "inputs",
    cycle = msg.cycle,
    wait_for = { download = 2 },
    launch = { NextWorker("process", { msg.cycle }) },
    timeout = "6h",
  }
end

function after_process(msg, config, checklist)
  if msg.type == "success" then
    return { NextWorker("publish", { msg.cycle }) }
  end
  return {}
end

function after_publish(msg, config, checklist)
  return {}
end
