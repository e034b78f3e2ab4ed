---@param msg Message.@WORKER@
---@param config Config
---@param checklist Checklist
function after_@WORKER@(msg, config, checklist)
  return {}
end
