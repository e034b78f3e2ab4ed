-- Tests of single messages: what each launches.

local date = "2026-03-14"

--- Send a message of the day's cycle.
local function tell(source, kind, payload)
  message{ source = source, type = kind, payload = payload, cycle = date }
end

before_each(function()
  at(date .. " 05:15")
end)

describe("weather", function()
  it("is gridded, and the next forecast is downloaded later", function()
    tell("download_weather", "success 12")
    expect_launches{ "grid_weather 12 2026-03-14", "download_weather 18 (delay 2s)" }
    expect_join(nil)
  end)

  it("ends with the last forecast of the day", function()
    tell("download_weather", "success 18")
    expect_launches{ "grid_weather 18 2026-03-14" }
  end)

  it("opens the join of the day with its first forecast", function()
    tell("download_weather", "success 00")
    expect_launches{ "grid_weather 00 2026-03-14", "download_weather 06 (delay 2s)" }
    expect_join(Join{
      name = "end of day",
      cycle = date,
      wait_for = { grid_weather = "success 18", "publish_pages" },
      launch = { worker("rotate_logs") },
      timeout = "30h",
    })
  end)

  it("launches nothing when the download fails", function()
    for _, kind in ipairs{ "failure", "crash" } do
      tell("download_weather", kind)
      expect_launches{}
      expect_log("no weather forecast: " .. kind)
    end
  end)

  it("is only counted by a join when it is gridded", function()
    for _, kind in ipairs{ "success 00", "success 06", "success 12", "success 18", "crash" } do
      tell("grid_weather", kind)
      expect_launches{}
    end
  end)
end)

describe("forcing", function()
  before_each(function()
    config{ rivers = { stations = { "alder_creek", "elm_run" }, enough = 2 } }
    tell("download_weather", "success 06")
  end)

  it("waits for weather, rivers and boundary", function()
    expect_launches{
      "grid_weather 06 2026-03-14",
      "download_weather 12 (delay 2s)",
      "collect_river_data alder_creek 2026-03-14",
      "collect_river_data elm_run 2026-03-14",
      "download_boundary 2026-03-14",
    }
    tell("collect_river_data", "success", { alder_creek = 110 })
    tell("grid_weather", "success 06")
    tell("download_boundary", "success")
    expect_launches{}
    tell("collect_river_data", "failure")
    expect_launches{ "make_forcing 2026-03-14" }
  end)

  it("is uploaded to the model's host, even with few rivers", function()
    tell("make_forcing", "success", { date = date })
    expect_launches{ "upload_forcing localhost 2026-03-14" }
    expect_log("only 0 rivers have data")
  end)

  it("logs no warning with enough rivers", function()
    checklist{ rivers = { alder_creek = 110, elm_run = 107 } }
    config{ model = { host = "basin" } }
    tell("make_forcing", "success", { date = date })
    expect_launches{ "upload_forcing basin 2026-03-14" }
  end)

  it("stops the chain when it fails", function()
    for _, name in ipairs{ "make_forcing", "upload_forcing" } do
      tell(name, "crash")
      expect_launches{}
    end
    tell("download_boundary", "crash")
    tell("collect_river_data", "crash")
    expect_log("no river data: crash")
  end)
end)

describe("the model", function()
  it("runs where the configuration says", function()
    config{ model = { host = "basin" } }
    tell("upload_forcing", "success")
    expect_launches{ "run_model nowcast 2026-03-14 on basin" }
  end)

  it("needs the cycle, which is its date", function()
    message("upload_forcing", "success")
    expect_error('need: there is no key "cycle"')
  end)

  it("makes a forecast after the nowcast", function()
    tell("run_model", "success nowcast", { nowcast = { date = date } })
    expect_launches{ "make_plots nowcast 2026-03-14", "archive nowcast 2026-03-14", "run_model forecast 2026-03-14" }
    expect_checklist("model runs", "nowcast", "date", date)
  end)

  it("is published when plots and archive of the forecast are done", function()
    tell("run_model", "success forecast", { forecast = { date = date } })
    expect_launches{ "make_plots forecast 2026-03-14", "archive forecast 2026-03-14" }
    tell("make_plots", "success nowcast")
    tell("archive", "success nowcast")
    tell("archive", "success forecast")
    expect_launches{}
    tell("make_plots", "success forecast")
    expect_launches{ "publish_pages 2026-03-14" }
  end)

  it("launches nothing when it fails", function()
    for _, kind in ipairs{ "failure", "crash" } do
      tell("run_model", kind)
      expect_launches{}
      expect_log("no forecast today")
    end
  end)

  it("launches nothing when plots or archive crash", function()
    tell("make_plots", "crash")
    tell("archive", "crash")
    expect_launches{}
  end)
end)

describe("the end of the day", function()
  it("rotates the logs, then clears the checklist", function()
    tell("publish_pages", "success")
    tell("publish_pages", "crash")
    expect_launches{}
    for _, kind in ipairs{ "success", "failure", "crash" } do
      tell("rotate_logs", kind)
      expect_launches{ "clear_checklist" }
    end
    for _, kind in ipairs{ "success", "failure", "crash" } do
      tell("clear_checklist", kind)
      expect_launches{}
    end
  end)
end)
