# What the schedule launches.
cd "${0%/*}" || exit 1
printf 'start tock scheduled %s\n' "$NOWCAST_RUN_ID" >> ledger
