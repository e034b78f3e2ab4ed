#!/bin/sh
# @WORKER@: status 0 is success; another one is a crash.
set -eu
cd "$(dirname "$0")/.."

echo "@WORKER@ has nothing to do yet"

# The payload, as YAML: it goes into the checklist, and rules see it as msg.payload.
echo "done: true" > "$NOWCAST_PAYLOAD"
