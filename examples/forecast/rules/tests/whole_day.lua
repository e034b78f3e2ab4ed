-- Tests of whole days.

--- The launch that begins a day.
local first = { "download_weather 00", cycle = "2026-03-14" }

local function ends()
  return {
    download_weather = function(run)
      return { type = "success " .. run.args[1], after = "12m" }
    end,
    grid_weather = function(run)
      return { type = "success " .. run.args[1], after = "4m" }
    end,
    collect_river_data = function(run)
      return { payload = { [run.args[1]] = 100 }, after = "20s" }
    end,
    make_forcing = { payload = { date = "2026-03-14" }, after = "3m" },
    run_model = function(run)
      return { type = "success " .. run.args[1], payload = { [run.args[1]] = { date = run.args[2] } }, after = "90m" }
    end,
    make_plots = function(run)
      return { type = "success " .. run.args[1] }
    end,
    archive = function(run)
      return { type = "success " .. run.args[1] }
    end,
  }
end

describe("a whole day", function()
  before_each(function()
    at("2026-03-14 00:05")
    config{ schedule = { ["weather every"] = "6h" } }
  end)

  it("ends with web pages and rotated logs", function()
    local day = run_day{ start = { first }, ends = ends() }
    day:expect_order{
      first,
      "download_weather 06 (delay 6h)",
      "make_forcing 2026-03-14",
      "upload_forcing localhost 2026-03-14",
      "run_model nowcast 2026-03-14",
      "run_model forecast 2026-03-14",
      "publish_pages 2026-03-14",
      "grid_weather 18 2026-03-14",
      "rotate_logs",
      "clear_checklist",
    }
    day:expect_times("download_weather", 4)
    day:expect_times("collect_river_data", 5)
    expect_nothing_waits()
  end)

  it("keeps its date after midnight", function()
    at("2026-03-14 20:00")
    local day = run_day{ start = { first }, ends = ends() }
    day:expect_order{ "make_forcing 2026-03-14", "publish_pages 2026-03-14", "grid_weather 18 2026-03-14" }
    expect_equal(now():format("%Y-%m-%d"), "2026-03-15")
  end)

  it("counts no message of another day that overlaps with it", function()
    local later = { "download_weather 00", cycle = "2026-03-15", delay = "1h" }
    local day = run_day{ start = { first, later }, ends = ends() }
    for _, cycle in ipairs{ "2026-03-14", "2026-03-15" } do
      day:expect_order{ "make_forcing " .. cycle, "publish_pages " .. cycle }
    end
    day:expect_times("rotate_logs", 2)
    expect_nothing_waits()
  end)

  it("continues without river data", function()
    local outcomes = ends()
    outcomes.collect_river_data = { type = "failure", after = "1s" }
    local day = run_day{ start = { first }, ends = outcomes }
    day:expect_times("publish_pages", 1)
  end)

  it("retries a failed download", function()
    local outcomes, attempts = ends(), 0
    outcomes.download_weather = function(run)
      attempts = attempts + 1
      return { type = attempts == 1 and "failure" or "success " .. run.args[1], after = "12m" }
    end
    local day = run_day{ start = { first }, ends = outcomes }
    day:expect_times("download_weather", 5)
    day:expect_times("publish_pages", 1)
  end)

  it("has no forecast when the model exits without a report", function()
    local outcomes = ends()
    outcomes.run_model = { exit = 1, after = "10m" }
    local day = run_day{ start = { first }, ends = outcomes }
    day:expect_times("run_model", 1)
    day:expect_never("publish_pages")
  end)
end)
