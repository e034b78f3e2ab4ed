#!/bin/sh
# Publish the product of a day: publish.sh DAY
set -eu
cd "$(dirname "$0")/../results"
cp "$1/product.txt" latest.txt

# The payload, as YAML: it goes into the checklist, and rules see it as msg.payload.
echo "day: '$1'" > "$NOWCAST_PAYLOAD"
