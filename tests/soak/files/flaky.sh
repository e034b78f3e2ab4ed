# A program under `exec:` that fails twice before it succeeds.
cd "${0%/*}" || exit 1
token=${1#token=}
printf 'start flaky %s %s\n' "$token" "$NOWCAST_RUN_ID" >> ledger
echo >> "attempts/$token"
[ "$(wc -l < "attempts/$token")" -ge 3 ] || exit 3
slot=s$((NOWCAST_RUN_ID % 4))
printf 'sent %s flaky %s tick/%s.t\n' "$token" "$slot" "$token" >> ledger
# The disk may be full for a while.
until printf '{id: %s, %s: %s, launch: [{worker: tick, token: %s.t}]}\n' "$token" "$slot" "$token" "$token" > "$NOWCAST_PAYLOAD"; do sleep 0.1; done
printf 'done %s\n' "$token" >> ledger
