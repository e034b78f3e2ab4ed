-- Hours of the weather forecasts, and dates.

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

--- Return the date of a message's forecast, as workers get it. It is the message's cycle, so a forecast that ends after midnight keeps its date.
function day.of(msg)
  return need(msg, "cycle")
end

return day
