function after_@WORKER@(msg, config, checklist)
  return {}
end
