#!/bin/sh
# Get observations. Status 0 is success; another one is a crash.
set -eu
cd "$(dirname "$0")/.."
mkdir -p results
date > results/obs.txt

# The payload, as YAML: it goes into the checklist, and rules see it as msg.payload.
echo "file: results/obs.txt" > "$NOWCAST_PAYLOAD"
