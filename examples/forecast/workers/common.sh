# What all workers here share. Each does in a moment what takes a real one hours.
set -eu
cd "$(dirname "$0")/.."
mkdir -p results

# The payload: what the checklist is to know.
payload() { printf '%s\n' "$1" > "$NOWCAST_PAYLOAD"; }

# A message type of its own, as "success 06".
message() { printf '%s\n' "$1" > "$NOWCAST_TYPE"; }
