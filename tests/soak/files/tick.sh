# The effect of a message: a line in the ledger.
cd "${0%/*}" || exit 1
printf 'start tick %s %s\n' "${1#token=}" "$NOWCAST_RUN_ID" >> ledger
