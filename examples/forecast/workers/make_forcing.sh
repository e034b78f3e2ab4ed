# Make forcing files from weather, rivers and boundary: make_forcing.sh 2026-03-14
. "$(dirname "$0")/common.sh"
cat results/weather_06.nc results/boundary.nc results/*.txt > results/forcing.nc
payload "{file: results/forcing.nc, date: '$1'}"
