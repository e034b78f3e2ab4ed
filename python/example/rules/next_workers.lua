-- The wave heights of a day are summarized once they are there.

function after_download_waves(msg, config, checklist)
  if msg.type ~= "success" then
    return {}
  end
  return { NextWorker("summarize_waves", { "--day", msg.payload.day }) }
end

function after_summarize_waves(msg, config, checklist)
  return {}
end
