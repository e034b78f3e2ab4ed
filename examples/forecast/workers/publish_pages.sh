# Publish plots on the web: publish_pages.sh 2026-03-14
. "$(dirname "$0")/common.sh"
mkdir -p results/web
cat results/nowcast.html results/forecast.html > results/web/index.html
payload "{page: results/web/index.html, date: '$1'}"
