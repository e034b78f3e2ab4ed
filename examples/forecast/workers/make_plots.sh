# Make plots of a run: make_plots.sh forecast 2026-03-14
. "$(dirname "$0")/common.sh"
sed 's/^/<p>/' "results/$1.nc" > "results/$1.html"
message "success $1"
payload "{$1: results/$1.html}"
