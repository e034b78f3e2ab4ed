# A worker that hangs.
cd "${0%/*}" || exit 1
printf 'start stuck %s %s\n' "${1#token=}" "$NOWCAST_RUN_ID" >> ledger
while :; do sleep 0.2; done
