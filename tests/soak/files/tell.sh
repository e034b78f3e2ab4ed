# A script that reports for itself.
cd "${0%/*}" || exit 1
token=${1#token=}
printf 'start teller %s %s\n' "$token" "$NOWCAST_RUN_ID" >> ledger
slot=s$((NOWCAST_RUN_ID % 4))
printf 'sent %s teller %s tick/%s.t\n' "$token" "$slot" "$token" >> ledger
if nowcast tell success "{id: $token, $slot: $token, launch: [{worker: tick, token: $token.t}]}"; then
  printf 'ack %s\n' "$token" >> ledger
else
  printf 'refused %s\n' "$token" >> ledger
fi
