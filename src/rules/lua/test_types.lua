---@meta
-- What nowcast gives to tests of rules beside what rules have, for language servers. Rules themselves do not have it.
-- Written by `nowcast generate types`; do not edit, it is written anew with each version.

--- A launch as a test writes it: `worker("make_plots", "nowcast")`, or a line as `"make_plots nowcast on basin (delay 10m)"`.
---@alias ExpectedLaunch string|NextWorker

--- A group of tests.
---@param name string
---@param body fun()
function describe(name, body) end

--- What runs before each test that follows in the group.
---@param body fun()
function before_each(body) end

--- A test. It begins with an empty checklist and nothing running.
---@param name string
---@param body fun()
function it(name, body) end

--- Sets the time, in the zone of the machine: `at("2026-03-14 05:15")`.
---@param time string|Date
function at(time) end

--- Sets the checklist, by a table or by YAML; without either, gives it.
---@param contents table|string?
---@return Checklist
function checklist(contents) end

--- Sets what rules see of the configuration where it is to be otherwise; without it, gives the configuration.
---@param changes table?
---@return Config
function config(changes) end

--- A worker's message: its worker, type and payload, or a table with `source`, `type` and `payload`.
---@param source string|{source: string, type: string, payload: any}
---@param type string?
---@param payload any
function message(source, type, payload) end

--- What the last message launched, in order, at once or when its time comes.
---@param launches ExpectedLaunch[]
function expect_launches(launches) end

--- The join that the rule opened, a list of names, or `nil` for none.
---@param join Join|string[]?
function expect_join(join) end

--- The rule failed, and the error contains the text.
---@param text string
function expect_error(text) end

--- A line that was logged contains the text.
---@param text string
function expect_log(text) end

--- Keys of the checklist, and the value there last.
---@param ... any
function expect_checklist(...) end

--- Two values are the same.
---@param got any
---@param expected any
function expect_equal(got, expected) end

--- No join is open, and no launch waits for its time.
function expect_nothing_waits() end

--- How a worker ends in a day; without a word it reports `success` after a minute.
---@class DayEnd
---@field type string? the message type that it reports
---@field payload any what it reports
---@field after string|integer? how long it runs, `"12m"` or a number of seconds
---@field exit integer? its exit status; without a type it ends without a report

--- A run of a day.
---@class DayRun
---@field run integer
---@field worker string
---@field args string[]
---@field host string
---@field at string when it began

--- What a day begins with, and how its workers end.
---@class DayPlan
---@field start (ExpectedLaunch|table)[] launches, or `{ "download_weather 06", at = "06:00" }`
---@field ends table<string, DayEnd|(fun(run: DayRun): DayEnd?)>?
---@field hours integer? when the day is over, if not before
---@field errors_expected boolean? whether rules may fail, and launches may be parked

--- A day that has been.
---@class Day
---@field ran string[] the launches, in the order in which they began
---@field checklist Checklist
---@field errors string[]
local DayClass = {}

--- All that ran, in the order in which it began.
---@param launches ExpectedLaunch[]
function DayClass:expect_ran(launches) end

--- These ran in this order, among others.
---@param launches ExpectedLaunch[]
function DayClass:expect_order(launches) end

--- A worker ran so many times.
---@param worker string
---@param count integer
function DayClass:expect_times(worker, count) end

--- A worker did not run.
---@param worker string
function DayClass:expect_never(worker) end

--- A day from its first launches to its end: workers end as told, all else is decided as the manager does.
---@param day DayPlan
---@return Day
function run_day(day) end

--- A set of YAML's: `set{ "a", "b" }`.
---@param members any[]
---@return any
function set(members) end
