# Upload the forcing files to the model's host: upload_forcing.sh localhost 2026-03-14
. "$(dirname "$0")/common.sh"
mkdir -p "results/$1"
cp results/forcing.nc "results/$1/forcing.nc"
payload "{$1: '$2'}"
