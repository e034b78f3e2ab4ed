
# Added by the test: each run takes a time of its own, and some of those that a day goes on without fail at first.
lot=$(($(echo "${0##*/} $* $NOWCAST_CYCLE" | cksum | cut -d ' ' -f 1) % 90 + 10))
sleep "0.0$lot"
case "${0##*/} $*" in
  download_* | upload_* | collect_* | 'grid_weather.sh 18 '* | 'archive.sh nowcast '*)
    [ "$lot" -ge 25 ] || ! mkdir "results/${0##*/}_$1_$NOWCAST_CYCLE" 2> /dev/null || exit 1
    ;;
esac
