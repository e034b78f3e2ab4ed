-- Tests of the rules. Run them with: nowcast rules test

describe("observations", function()
  it("are plotted", function()
    message("get_obs", "success", { file = "results/obs.txt" })
    expect_launches{ "make_plots results/obs.txt" }
    message("make_plots", "success")
    expect_launches{ "rotate_logs" }
  end)

  it("are not plotted after a failure", function()
    message("get_obs", "failure")
    expect_launches{}
    message("get_obs", "crash")
    expect_launches{}
  end)
end)
