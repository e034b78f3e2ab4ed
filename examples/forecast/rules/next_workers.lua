-- Rules of the forecast system: what to launch after each message.
--
-- A day has four weather forecasts: 00, 06, 12 and 18 hours. The one of 06 starts the chain for a nowcast and a
-- forecast: rivers and ocean boundary, forcing, two model runs, plots, archive, web pages.
--
-- All messages and runs of a day have one cycle, its date. The schedule names it, and the launches below inherit it. Each join is
-- of the cycle of its message, so days that overlap do not count each other's messages.

local day = require("day")

function after_download_weather(msg, config, checklist)
  local hour = msg.type:match("^success (%d+)$")
  if not hour then
    log.error("no weather forecast: " .. msg.type .. "; the chain continues with the next one")
    return {}
  end
  local launches = { worker("grid_weather", hour, day.of(msg)) }
  local following = day.hour_after(hour)
  if following then
    add(launches, worker("download_weather", following):with{ delay = config.schedule["weather every"] })
  end
  if hour == "00" then
    return launches, Join{
      name = "end of day",
      cycle = msg.cycle,
      wait_for = { grid_weather = "success 18", "publish_pages" },
      launch = { worker("rotate_logs") },
      timeout = "30h",
    }
  elseif hour == "06" then
    local stations = need(config, "rivers", "stations")
    for _, station in ipairs(stations) do
      add(launches, worker("collect_river_data", station, day.of(msg)))
    end
    add(launches, worker("download_boundary", day.of(msg)))
    return launches, Join{
      name = "forcing",
      cycle = msg.cycle,
      wait_for = { grid_weather = "success 06", collect_river_data = #stations, "download_boundary" },
      launch = { worker("make_forcing", day.of(msg)) },
      timeout = "3h",
    }
  end
  return launches
end

-- Counted in the joins "forcing" and "end of day".
function after_grid_weather(msg, config, checklist)
  return {}
end

-- Counted in the join "forcing", whether the gauge responded or not.
function after_collect_river_data(msg, config, checklist)
  if msg.type ~= "success" then
    log.warning("no river data: " .. msg.type)
  end
  return {}
end

-- Counted in the join "forcing".
function after_download_boundary(msg, config, checklist)
  return {}
end

function after_make_forcing(msg, config, checklist)
  if msg.type ~= "success" then
    return {}
  end
  local rivers = #keys(checklist.rivers or {})
  if rivers < need(config, "rivers", "enough") then
    log.warning("only " .. rivers .. " rivers have data; the forcing uses the climatology of the others")
  end
  return { worker("upload_forcing", need(config, "model", "host"), day.of(msg)) }
end

function after_upload_forcing(msg, config, checklist)
  if msg.type ~= "success" then
    return {}
  end
  return { worker_on(config.model.host, "run_model", "nowcast", day.of(msg)) }
end

function after_run_model(msg, config, checklist)
  local run = msg.type:match("^success (%a+)$")
  if not run then
    log.critical("the model run reported " .. msg.type .. "; no forecast today")
    return {}
  end
  local date = day.of(msg)
  local launches = { worker("make_plots", run, date), worker("archive", run, date) }
  if run == "nowcast" then
    return add(launches, worker_on(config.model.host, "run_model", "forecast", date))
  end
  return launches, Join{
    name = "web pages",
    cycle = msg.cycle,
    wait_for = { make_plots = "success forecast", archive = "success forecast" },
    launch = { worker("publish_pages", date) },
    timeout = "1h",
  }
end

-- Counted in the join "web pages".
function after_make_plots(msg, config, checklist)
  return {}
end

-- Counted in the join "web pages".
function after_archive(msg, config, checklist)
  return {}
end

-- Counted in the join "end of day".
function after_publish_pages(msg, config, checklist)
  return {}
end

function after_rotate_logs(msg, config, checklist)
  return { worker("clear_checklist") }
end

function after_clear_checklist(msg, config, checklist)
  return {}
end
