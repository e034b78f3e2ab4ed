# The built-in worker, after its line in the ledger. The built-in worker takes no token.
cd "${0%/*}" || exit 1
printf 'start sleep %s %s\n' "${2#token=}" "$NOWCAST_RUN_ID" >> ledger
exec nowcast worker sleep "$1" --sleep-time 0
