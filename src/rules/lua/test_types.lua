---@meta
-- Declarations of what only tests of rules can call, for language servers.
-- Written by `nowcast generate types`; do not edit: the command overwrites it.

--- A launch in a test: `worker("make_plots", "nowcast")`, or a line such as `"make_plots nowcast on basin (delay 10m)"`.
---@alias ExpectedLaunch string|NextWorker

--- Define a group of tests.
---@param name string
---@param body fun()
function describe(name, body) end

--- Run a function before each later test of the group.
---@param body fun()
function before_each(body) end

--- Define a test. It begins with an empty checklist and no runs.
---@param name string
---@param body fun()
function it(name, body) end

--- Set the time, in the time zone of the machine: `at("2026-03-14 05:15")`.
---@param time string|Date
function at(time) end

--- Set the checklist from a table or YAML text. Without an argument, return it.
---@param contents table|string?
---@return Checklist
function checklist(contents) end

--- Change parts of the configuration that rules see. Without an argument, return it.
---@param changes table?
---@return Config
function config(changes) end

--- Send a message: worker, type and payload, or a table with `source`, `type`, `payload` and `cycle`.
---@param source WorkerName|string|{source: WorkerName, type: MessageType, payload: any, cycle: (string|integer|Date|false)?}
---@param type (MessageType|string)?
---@param payload any
function message(source, type, payload) end

--- Expect these launches of the last message, in order, immediate or delayed.
---@param launches ExpectedLaunch[]
function expect_launches(launches) end

--- Expect the rule to open this join, given as a join or a list of names; `nil` expects no join.
---@param join Join|string[]?
function expect_join(join) end

--- Expect the rule to fail with an error that contains the text.
---@param text string
function expect_error(text) end

--- Expect a logged line that contains the text.
---@param text string
function expect_log(text) end

--- Expect a value in the checklist: its keys, then the value.
---@param ... any
function expect_checklist(...) end

--- Expect two values to be equal.
---@param got any
---@param expected any
function expect_equal(got, expected) end

--- Expect no open join and no pending launch.
function expect_nothing_waits() end

--- The outcome of a worker in a day. By default it reports `success` after a minute.
---@class DayEnd
---@field type string? the message type that it reports
---@field payload any the payload that it reports
---@field after string|integer? its duration, `"12m"` or a number of seconds
---@field exit integer? its exit status; without a type it exits without a report

--- A run of a day.
---@class DayRun
---@field run integer
---@field worker string
---@field args string[]
---@field host string
---@field at string the time when it began

--- The plan of a day: its first launches, and the outcomes of its workers.
---@class DayPlan
---@field start (ExpectedLaunch|table)[] launches, or `{ "download_weather 06", at = "06:00", cycle = "2026-03-14" }`
---@field ends table<string, DayEnd|(fun(run: DayRun): DayEnd?)>?
---@field hours integer? the hours after which the day ends at the latest
---@field errors_expected boolean? whether rules may fail and launches may be parked

--- A day that was run.
---@class Day
---@field ran string[] the launches, in the order of their start
---@field checklist Checklist
---@field errors string[]
local DayClass = {}

--- Expect exactly these runs, in the order of their start.
---@param launches ExpectedLaunch[]
function DayClass:expect_ran(launches) end

--- Expect these runs in this order, among others.
---@param launches ExpectedLaunch[]
function DayClass:expect_order(launches) end

--- Expect a number of runs of a worker.
---@param worker WorkerName|string
---@param count integer
function DayClass:expect_times(worker, count) end

--- Expect that a worker did not run.
---@param worker WorkerName|string
function DayClass:expect_never(worker) end

--- Run a day from its first launches to its end: workers end as planned, all else is decided as by the manager.
---@param day DayPlan
---@return Day
function run_day(day) end

--- Return a YAML set: `set{ "a", "b" }`.
---@param members any[]
---@return any
function set(members) end
