#!/bin/sh
# Replaces the sampler ten times while events flow, takes the last one back, and shows that nothing was lost.
# Needs a running host: `host run` in another shell. HOST names the binary if it is not on the PATH.
set -eu
host=${HOST:-host}
for ratio in 1.0 0.9 0.8 0.7 0.6 0.5 0.4 0.3 0.2 0.1; do
    "$host" plugin load sampler-ratio --config "{\"ratio\": $ratio}"
    sleep 0.5
done
"$host" plugin rollback sampler
"$host" status
