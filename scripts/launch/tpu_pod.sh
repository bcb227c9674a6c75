#!/bin/bash
# Starts a run on every host of a Cloud TPU slice, and waits for it.
#
#   TPU=my-slice ZONE=us-west4-a bash scripts/launch/tpu_pod.sh \
#       --config=CONFIG --workdir=/shared/runs/mine --data_dir=/shared/data
#
# Every host has cnnjax and the folder /shared. After a preemption, give the same command again.
set -eu
: "${TPU:?name the slice: TPU=my-slice}" "${ZONE:?name its zone: ZONE=us-west4-a}"

# Quoted again, since ssh joins the words.
command="cnnjax train --parallel=jit --coordinator=auto$(printf ' %q' "$@")"
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$command"
