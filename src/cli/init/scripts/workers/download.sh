#!/bin/sh
# Download a file: download.sh NAME. Status 1, a failure, is tried again.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "results/$NOWCAST_CYCLE"
date > "results/$NOWCAST_CYCLE/$1.txt" || exit 1
