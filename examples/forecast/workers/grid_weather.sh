# Put a weather forecast on the model's grid: grid_weather.sh 06 2026-03-14
. "$(dirname "$0")/common.sh"
hour=$1
sed 's/wind/wind on the grid/' "results/weather_$hour.grib" > "results/weather_$hour.nc"
message "success $hour"
payload "{\"$hour\": results/weather_$hour.nc}"
