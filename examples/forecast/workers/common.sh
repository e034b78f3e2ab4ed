# Functions of all workers. They imitate in moments what real workers do in hours.
set -eu
cd "$(dirname "$0")/.."
mkdir -p results

# Set the payload, which goes into the checklist.
payload() { printf '%s\n' "$1" > "$NOWCAST_PAYLOAD"; }

# Set a message type of the worker, such as "success 06".
message() { printf '%s\n' "$1" > "$NOWCAST_TYPE"; }
