# Download the ocean's boundary conditions: download_boundary.sh 2026-03-14
. "$(dirname "$0")/common.sh"
echo "temperature 9.5" > results/boundary.nc
payload "{file: results/boundary.nc, date: '$1'}"
