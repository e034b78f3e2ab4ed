#!/bin/sh
# Process the files of a day: process.sh DAY
set -eu
cd "$(dirname "$0")/../results/$1"
cat observations.txt model.txt > product.txt
