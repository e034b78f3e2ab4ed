function after_download_weather(msg, config, checklist)
  if msg.type ~= "success 12" then return {} end
  local next_workers = { NextWorker("nowcast.workers.collect_weather", { "12" }) }
  for name, number in pairs(config.rivers.stations) do
    add(next_workers, NextWorker("nowcast.workers.make_runoff_file", { name, number }))
    break
  end
  add(next_workers, NextWorker("nowcast.workers.make_ssh_files"))
  return next_workers, { "collect_weather", "make_runoff_file", "make_ssh_files" }
end

function after_collect_weather(msg)
  if msg.type ~= "success" then return {} end
  return { NextWorker("nowcast.workers.run_NEMO", { "nowcast" }, { host = "salish-nowcast" }) }
end

function after_make_runoff_file() return {} end

function after_make_ssh_files() return {} end

function after_run_NEMO(msg)
  if msg.type ~= "success" then return {} end
  return { NextWorker("nowcast.workers.make_plots") }
end

function after_make_plots(msg)
  if msg.type == "crash" then log.critical("no plots today") end
  return { NextWorker("nemo_nowcast.workers.rotate_logs") }
end

function after_watch_NEMO_hindcast() return {} end

function after_clear_checklist() return {} end

function after_rotate_logs() return { NextWorker("nemo_nowcast.workers.clear_checklist") } end
