-- Hours and dates of the weather forecasts.

local day = {}

local hours = { "00", "06", "12", "18" }

--- Return the hour of the next forecast, or nil after the last one of the day.
function day.hour_after(hour)
  for place, known in ipairs(hours) do
    if known == hour then
      return hours[place + 1]
    end
  end
end

--- Return the date of a time, as workers get it.
function day.of(time)
  return time:format("%Y-%m-%d")
end

return day
