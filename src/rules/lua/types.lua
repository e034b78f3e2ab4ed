---@meta
-- What nowcast gives to rules, for language servers: completion, hover texts and warnings in the editor.
-- Written by `nowcast generate types`; do not edit, it is written anew with each version.

--- A rule: `function after_NAME(msg, config, checklist)` is called with each message of the worker NAME and returns
--- what is to be launched next.
---@alias Rule fun(msg: Message, config: Config, checklist: Checklist): NextWorker[], (Join|string[])?

--- The message that a worker sent. It cannot be written.
---@class Message
---@field source string the worker
---@field type string the message type, `success` or `failure` for instance
---@field payload any what the worker put into the checklist

--- nowcast.yaml, with environment variables replaced. It cannot be written.
---@alias Config table<any, any>

--- The state of the system, after the message's payload went into it. It cannot be written: only workers' payloads
--- change it.
---@alias Checklist table<any, any>

--- A worker that is to be launched.
---@class NextWorker
---@field module string the dotted name of its module
---@field args string[] its arguments
---@field host string where it runs
---@field delay number? how long to wait before it is launched, in seconds
---@field at Date? not before that moment
---@field timeout number? when it is ended, in seconds
---@field retries integer? how often it is launched again after it failed
---@field retry_delay number? how long to wait before that, in seconds
---@field env table<string, string>? environment variables for it
local NextWorkerClass = {}

--- Another launch, with these options set.
---@param options LaunchOptions
---@return NextWorker
function NextWorkerClass:with(options) end

--- When and how a launch runs. A span is text, `"10m"` or `"1h 30m"`, or a whole number of seconds.
---@class LaunchOptions
---@field host string? a host of `run: enabled hosts:` or `hosts:`
---@field delay string|integer? how long to wait before it is launched
---@field at string|Date? not before that: `"05:15"`, `"2026-03-14 05:15"` or a date
---@field timeout string|integer? it is ended when it runs longer
---@field retries integer? how often it is launched again after a `crash` or a type that begins with `failure`
---@field retry_delay string|integer? how long to wait before that
---@field env table<string, string|number>? environment variables for it

--- A join: launches that wait until messages have come.
---@class Join
---@field name string? what it is called

--- What a join waits for, and what follows.
---@class JoinOptions
---@field name string? what it is called in the log
---@field wait_for table<integer|string, string|integer|{type: string?, count: integer?}> `"name"`, `name = 14`, `name = "success"` or `name = { type = "success", count = 3 }`
---@field launch NextWorker[]? launched when all has come, beside what waits in the join
---@field timeout string|integer? after how long without all of it what waits is parked

--- A date, with or without a time of day. Dates can be compared, and their difference is in days.
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

--- Another date: `d:shift{ days = -1 }`.
---@param by {years: integer?, months: integer?, weeks: integer?, days: integer?, hours: integer?, minutes: integer?, seconds: integer?}
---@return Date
function DateClass:shift(by) end

--- Text, as `strftime` writes it: `d:format("%Y-%m-%d")`.
---@param format string
---@return string
function DateClass:format(format) end

--- A worker to launch.
---@param module string the dotted name of its module
---@param args (string|integer|Date)[]? its arguments
---@param options LaunchOptions?
---@return NextWorker
function NextWorker(module, args, options) end

--- A worker to launch, with its arguments in a row. `message registry: workers package:` is put before a name without a
--- dot. A `nil` argument is an error.
---@param name string
---@param ... string|integer|Date
---@return NextWorker
function worker(name, ...) end

--- A worker to launch on a host of `run: enabled hosts:` or `hosts:`.
---@param host string
---@param name string
---@param ... string|integer|Date
---@return NextWorker
function worker_on(host, name, ...) end

--- Launches that wait until messages have come, to be returned beside the list of launches.
---@param options JoinOptions
---@return Join
function Join(options) end

--- Appends to a list, and returns it.
---@generic T
---@param list T[]
---@param ... T
---@return T[]
function add(list, ...) end

--- `t[key]…` with every step there; if one is not, the error names the keys that are.
---@param t table
---@param ... any
---@return any
function need(t, ...) end

--- A list of the keys, in their order.
---@param t table
---@return any[]
function keys(t) end

--- The time of the message.
---@return Date
function now() end

--- A date from text, in ISO or in a format of `strptime`.
---@param text string
---@param format string?
---@return Date
function date(text, format) end

--- A null in a list; a null under a key is `nil`.
---@type any
null = nil

--- Parts of file names, as Python's `pathlib` has them.
path = {}

--- The last part: `/a/b.nc` gives `b.nc`.
---@param p string
---@return string
function path.name(p) end

--- The last part without its ending: `/a/b.nc` gives `b`.
---@param p string
---@return string
function path.stem(p) end

--- All but the last part: `/a/b.nc` gives `/a`.
---@param p string
---@return string
function path.parent(p) end

--- Parts put together.
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

--- Of Lua's `os` there is the time of the message, and nothing else.
os = {}

--- Seconds since 1970 at the time of the message, or at the time that the table says.
---@param t table?
---@return integer
function os.time(t) end

--- The time of the message, or another, as text or as a table.
---@param format string?
---@param time integer?
---@return string|osdate
function os.date(format, time) end

--- A module of the rules' own folder: `require("rivers.fraser")` is `rivers/fraser.lua`.
---@param name string
---@return any
function require(name) end

---@class stringlib
string = {}

--- Whether it begins with one of these.
---@param s string
---@param ... string
---@return boolean
function string.startswith(s, ...) end

--- Whether it ends with one of these.
---@param s string
---@param ... string
---@return boolean
function string.endswith(s, ...) end

--- The parts between separators, or between white space.
---@param s string
---@param separator string?
---@return string[]
function string.split(s, separator) end

--- Without these letters, or without white space, at both ends.
---@param s string
---@param letters string?
---@return string
function string.strip(s, letters) end
