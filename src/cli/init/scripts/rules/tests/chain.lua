-- Tests of the rules. Run them with: nowcast rules test

local function tell(source, kind)
  message{ source = source, type = kind, cycle = "2026-03-14" }
end

it("both downloads are processed together and published", function()
  tell("download", "success")
  expect_launches{}
  tell("download", "success")
  expect_launches{ "process 2026-03-14" }
  tell("process", "success")
  expect_launches{ "publish 2026-03-14" }
  tell("publish", "success")
  expect_nothing_waits()
end)

it("nothing is processed after a failure", function()
  tell("download", "failure")
  expect_launches{}
  tell("process", "crash")
  expect_launches{}
end)
