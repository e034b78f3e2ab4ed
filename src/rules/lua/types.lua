---@meta
-- Declarations of everything that rules can call, for language servers.
-- Written by `nowcast generate types`; do not edit: the command overwrites it.

--- A rule: `function after_NAME(msg, config, checklist)` is called with each message of the worker NAME. It returns the
--- workers to launch.
---@alias Rule fun(msg: Message, config: Config, checklist: Checklist): NextWorker[], (Join|string[])?

--- The message of a worker. It is read-only.
---@class Message
---@field source WorkerName the worker
---@field type MessageType the message type, such as `success` or `failure`
---@field payload any the payload, which goes into the checklist
---@field cycle string? its cycle

--- nowcast.yaml, with environment variables replaced. It is read-only.
---@alias Config table<any, any>

--- A worker to launch.
---@class NextWorker
---@field module string the dotted name of its module
---@field args string[] its arguments
---@field host string the host that it runs on
---@field delay number? time before the launch, in seconds
---@field at Date? earliest time of the launch
---@field timeout number? time limit of the run, in seconds
---@field retries integer? number of retries after a failure
---@field retry_delay number? time before a retry, in seconds
---@field env table<string, string>? its environment variables
---@field cycle string|false? the cycle that it says; false for none
local NextWorkerClass = {}

--- Return a copy of the launch with these options.
---@param options LaunchOptions
---@return NextWorker
function NextWorkerClass:with(options) end

--- Options of a launch. A duration is text, `"10m"` or `"1h 30m"`, or a whole number of seconds.
---@class LaunchOptions
---@field host (HostName|string)? a host of `run: enabled hosts:` or `hosts:`
---@field delay string|integer? time before the launch
---@field at string|Date? earliest time of the launch: `"05:15"`, `"2026-03-14 05:15"` or a date
---@field timeout string|integer? time limit of the run; it is then stopped
---@field retries integer? number of retries after a `crash` or a type that begins with `failure`
---@field retry_delay string|integer? time before a retry
---@field env table<string, string|number>? its environment variables
---@field cycle string|integer|Date|false? its cycle, instead of that of the message; false for none

--- A join: launches that wait until all required messages are received.
---@class Join
---@field name string? its name
---@field cycle string? its cycle, if it is a join by cycle
---@field since Date? the moment from which on messages count in it, if it has one

--- Options of a join.
---@class JoinOptions
---@field name string? its name in the log
---@field wait_for table<integer|string, string|integer|JoinMessages> required messages: `"name"`, `name = 14`, `name = "success"`, `name = { type = "success", count = 3 }` or `{ worker = "name", type = "success", cycle = "2026-03-13" }`
---@field launch NextWorker[]? launches when all messages are received, in addition to those that wait in the join
---@field timeout string|integer? time after which an incomplete join is overdue and its launches are parked
---@field cycle string|integer|Date|false? the join counts the messages of this cycle, whenever they came; there is one of that name in the cycle
---@field since string|integer|Date? the join counts messages since then: the last `"06:00"`, a date or a time before the message as `"6h"`

--- Required messages of a worker.
---@class JoinMessages
---@field worker (WorkerName|string)? the worker, in an item of the list
---@field type (MessageType|string)? their type; any without it
---@field count integer? their number; 1 without it
---@field cycle string|integer|Date|false? their cycle, if it is another one than that of the join

--- A date, with or without a time of day. Dates can be compared and subtracted; a difference is in days.
---@class Date
---@field year integer
---@field month integer
---@field day integer
---@field hour integer
---@field minute integer
---@field second integer
---@field weekday integer Monday is 1
---@operator sub(Date): number
local DateClass = {}

--- Return a shifted date: `d:shift{ days = -1 }`.
---@param by {years: integer?, months: integer?, weeks: integer?, days: integer?, hours: integer?, minutes: integer?, seconds: integer?}
---@return Date
function DateClass:shift(by) end

--- Return the date as text, formatted as by `strftime`: `d:format("%Y-%m-%d")`.
---@param format string
---@return string
function DateClass:format(format) end

--- Return a launch of a worker.
---@param module string the dotted name of its module
---@param args (string|integer|Date)[]? its arguments
---@param options LaunchOptions?
---@return NextWorker
function NextWorker(module, args, options) end

--- Return a launch of a worker with these arguments. A name without a dot gets the package of `message registry: workers
--- package:`. A `nil` argument is an error.
---@param name WorkerName|string
---@param ... string|integer|Date
---@return NextWorker
function worker(name, ...) end

--- Return a launch of a worker on a host of `run: enabled hosts:` or `hosts:`.
---@param host HostName|string
---@param name WorkerName|string
---@param ... string|integer|Date
---@return NextWorker
function worker_on(host, name, ...) end

--- Return a join. A rule returns it after its list of launches, which then wait in the join.
---@param options JoinOptions
---@return Join
function Join(options) end

--- Append to a list and return the list.
---@generic T
---@param list T[]
---@param ... T
---@return T[]
function add(list, ...) end

--- Return `t[key]…`. Every key must exist; otherwise the error names the existing keys.
---@param t table
---@param ... any
---@return any
function need(t, ...) end

--- Return a list of the keys, in their order.
---@param t table
---@return any[]
function keys(t) end

--- Return the time of the message.
---@return Date
function now() end

--- A message that `last` found. It is read-only.
---@class LastMessage
---@field time Date when it was received
---@field cycle string? its cycle
---@field payload any its payload

--- Return the latest message of a worker and type, in a cycle or of any: that of the rule itself counts. Return `nil` if there is none.
---@param worker WorkerName|string
---@param type MessageType|string
---@param cycle (string|integer|Date|false)?
---@return LastMessage?
function last(worker, type, cycle) end

--- Return the date of a text, in ISO form or in a format of `strptime`.
---@param text string
---@param format string?
---@return Date
function date(text, format) end

--- A null in a list; a null under a key is `nil`.
---@type any
null = nil

--- Functions for file names, like Python's `pathlib`.
path = {}

--- Return the last part: `/a/b.nc` gives `b.nc`.
---@param p string
---@return string
function path.name(p) end

--- Return the last part without its extension: `/a/b.nc` gives `b`.
---@param p string
---@return string
function path.stem(p) end

--- Return all but the last part: `/a/b.nc` gives `/a`.
---@param p string
---@return string
function path.parent(p) end

--- Join parts to a path.
---@param p string
---@param ... string
---@return string
function path.join(p, ...) end

--- The manager's log.
log = {}

---@param ... any
function log.debug(...) end

---@param ... any
function log.info(...) end

---@param ... any
function log.warning(...) end

---@param ... any
function log.error(...) end

---@param ... any
function log.critical(...) end

--- The part of Lua's `os` that rules have: the time of the message.
os = {}

--- Return the seconds since 1970 at the time of the message, or at the time in the table.
---@param t table?
---@return integer
function os.time(t) end

--- Return the time of the message, or another time, as text or as a table.
---@param format string?
---@param time integer?
---@return string|osdate
function os.date(format, time) end

--- Load a module from the rules' folder: `require("rivers.fraser")` is `rivers/fraser.lua`.
---@param name string
---@return any
function require(name) end

---@class stringlib
string = {}

--- Return whether a text begins with one of these.
---@param s string
---@param ... string
---@return boolean
function string.startswith(s, ...) end

--- Return whether a text ends with one of these.
---@param s string
---@param ... string
---@return boolean
function string.endswith(s, ...) end

--- Return the parts between separators, or between white space.
---@param s string
---@param separator string?
---@return string[]
function string.split(s, separator) end

--- Return a text without these letters, or without white space, at both ends.
---@param s string
---@param letters string?
---@return string
function string.strip(s, letters) end
