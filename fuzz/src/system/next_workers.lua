local function decide(msg, config, checklist)
  local rule = type(msg.payload) == "table" and msg.payload.rule
  if rule == "launch" then
    return { NextWorker("nowcast.workers.rivers", { "12" }), NextWorker("ssh", {}, { host = "robot.nibi" }) }
  elseif rule == "later" then
    return { NextWorker("upload", { "--debug" }, { delay = "2h", retries = 2, timeout = "10m" }) }
  elseif rule == "join" then
    return { NextWorker("upload") },
      Join({ wait_for = { "ssh", rivers = 2, weather = "success" }, launch = { NextWorker("ssh") }, timeout = "3h" })
  elseif rule == "fail" then
    return need(checklist, "what is missing")
  end
  return {}
end

after_weather = decide
after_rivers = decide
after_ssh = decide
