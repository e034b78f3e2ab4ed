describe("@WORKER@", function()
  it("launches nothing", function()
    for _, kind in ipairs{ "success", "failure", "crash" } do
      message("@WORKER@", kind)
      expect_launches{}
    end
  end)
end)
