-- The rules of the recorded system.

function after_download_weather(msg, config, checklist)
  if msg.type:startswith("success") then
    return { worker("collect_rivers"), worker("make_ssh_files", "nowcast") },
      Join{ name = "forcing", wait_for = { "collect_rivers", "make_ssh_files" },
            launch = { worker("make_forcing") }, timeout = "3h" }
  end
  return {}
end

function after_collect_rivers(msg, config, checklist)
  if msg.type == "success" then
    local discharge = need(checklist, "rivers", "Fraser")
    log.info("the Fraser has " .. discharge .. " m3/s")
    return { worker("make_plots", "rivers") }
  end
  return {}
end

function after_make_ssh_files(msg, config, checklist)
  return {}
end

function after_make_forcing(msg, config, checklist)
  if msg.type == "success" then
    return { worker_on("nibi", "run_nemo", "forecast"), worker("make_plots", "forcing"):with{ delay = "45m" } }
  end
  return {}
end

function after_run_nemo(msg, config, checklist)
  if msg.type == "success" then
    return { worker("make_plots", "forecast", "2019-10-01") }
  end
  return {}
end

function after_make_plots(msg, config, checklist)
  return {}
end
