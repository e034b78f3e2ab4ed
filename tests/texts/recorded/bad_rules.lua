-- Rules with one mistake of each kind.

local tries = 0

function after_download_weather(msg, config, checklist)
  if msg.type == "sucess" then
    return { NextWokrer("collect_rivers") }
  end
  return {}, { "collect_river" }
end

function after_collect_rivers(msg, config, checklist)
  log.inform("collected")
  return { worker_on("nobi", "run_nemo") }
end

function after_make_ssh_file(msg, config, checklist)
  return {}
end

function after_make_forcing(msg, config, checklist)
  checklist["forcing"] = "made"
  return { worker("mrge") }
end

function after_run_nemo(msg, config, checklist)
  return need(checklist, "NEMO run", "hindcast")
end

function after_make_plots(msg, config, checklist)
  return "nothing"
end

function after_clear_checklist(msg, config, checklist)
  return { NextWorker("make_plots", { {} }) }
end
