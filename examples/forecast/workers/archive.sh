# Archive the results of a run: archive.sh forecast 2026-03-14
. "$(dirname "$0")/common.sh"
mkdir -p "results/archive/$2"
cp "results/$1.nc" "results/archive/$2/"
message "success $1"
payload "{$1: results/archive/$2}"
