describe("rivers", function()
  it("are plotted", function()
    message("collect_rivers", "success", { Fraser = 790 })
    expect_launches{ "make_plots rivers" }
  end)
  it("cannot be plotted without the Fraser", function()
    message("collect_rivers", "success", { Skagit = 190 })
    expect_error("there is no key \"Fraser\"")
  end)
end)

describe("plots", function()
  it("follow the run", function()
    message("run_nemo", "success")
    expect_launches{ "make_plots forecast 2019-10-02" }
  end)
  it("wait for the forcing", function()
    message("download_weather", "success 00")
    expect_join{ "collect_rivers" }
  end)
  it("are of a worker that is registered", function() message("mak_plots", "success") end)
end)
