# A program under `exec:`, which reports for it.
cd "${0%/*}" || exit 1
token=${1#token=}
printf 'start shell %s %s\n' "$token" "$NOWCAST_RUN_ID" >> ledger
# The length of the work.
sleep "0.$((NOWCAST_RUN_ID % 4))"
slot=s$((NOWCAST_RUN_ID % 4))
printf 'sent %s shell %s tick/%s.t\n' "$token" "$slot" "$token" >> ledger
# The disk may be full for a while.
until printf '{id: %s, %s: %s, launch: [{worker: tick, token: %s.t}]}\n' "$token" "$slot" "$token" "$token" > "$NOWCAST_PAYLOAD"; do sleep 0.1; done
printf 'done %s\n' "$token" >> ledger
