-- The hours of the weather forecasts, and the day that they belong to.

local day = {}

local hours = { "00", "06", "12", "18" }

--- The hour of the forecast after this one; nil after the last of the day.
function day.hour_after(hour)
  for place, known in ipairs(hours) do
    if known == hour then
      return hours[place + 1]
    end
  end
end

--- The date of a moment, as workers are given it.
function day.of(moment)
  return moment:format("%Y-%m-%d")
end

return day
