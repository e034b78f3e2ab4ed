# Collect the discharge of a river: collect_river_data.sh alder_creek 2026-03-14
. "$(dirname "$0")/common.sh"
station=$1 date=$2
# This gauge is broken, to show a failure.
if [ "$station" = dogwood_falls ]; then
  echo "$station does not respond" >&2
  exit 1
fi
flow=$((100 + ${#station}))
echo "$date $flow" >> "results/$station.txt"
payload "{$station: $flow}"
