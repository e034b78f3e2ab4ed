-- The rules of the soak: a message names the launches and the join that follow it.

local function launch(wanted)
  local args = { "token=" .. wanted.token }
  if wanted.worker == "tick" then
    add(args, "--debug")
  end
  local module = wanted.worker == "plain" and "workers.plain" or wanted.worker
  return NextWorker(module, args, {
    delay = wanted.delay,
    timeout = wanted.timeout,
    retries = wanted.retries,
    retry_delay = wanted.retry_delay,
  })
end

local function launches(list)
  local launches = {}
  for _, wanted in ipairs(list) do
    add(launches, launch(wanted))
  end
  return launches
end

local function decide(msg)
  if not msg.type:startswith("success") then
    return {}
  end
  -- BROKEN
  local join = msg.payload.join
  if join == nil then
    return launches(msg.payload.launch)
  end
  local wait_for = {}
  for worker, count in pairs(join.wait_for) do
    wait_for[worker] = count
  end
  return launches(msg.payload.launch),
    Join{ name = join.name, wait_for = wait_for, launch = launches(join.launch), timeout = join.timeout }
end

function after_client(msg)
  return decide(msg)
end

function after_feeder(msg)
  return decide(msg)
end

function after_told(msg)
  return decide(msg)
end

function after_operator(msg)
  return decide(msg)
end

function after_shell(msg)
  return decide(msg)
end

function after_plain(msg)
  return decide(msg)
end

function after_teller(msg)
  return decide(msg)
end

function after_flaky(msg)
  return decide(msg)
end

function after_stuck(msg)
  if msg.type == "crash" then
    return launches({ { worker = "tick", token = "crash-of-stuck" } })
  end
  return {}
end

function after_sleep(msg)
  if msg.type == "success" then
    return launches({ { worker = "tick", token = "after-sleep" } })
  end
  return {}
end

function after_tick()
  return {}
end

function after_tock()
  return {}
end

function after_never()
  return {}
end

function after_rotate_logs()
  return {}
end

function after_awaken()
  return {}
end

function after_clear_checklist()
  return {}
end

function after_keyless()
  return {}
end
