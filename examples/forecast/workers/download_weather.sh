# Download the weather forecast of an hour: download_weather.sh 06
. "$(dirname "$0")/common.sh"
hour=$1
echo "downloading the $hour forecast"
echo "wind 12 m/s" > "results/weather_$hour.grib"
message "success $hour"
payload "{\"$hour\": results/weather_$hour.grib}"
