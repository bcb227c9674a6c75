#!/bin/bash
#SBATCH --job-name=cnnjax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
#
#   sbatch scripts/launch/slurm.sh --config=CONFIG --workdir=/shared/runs/mine --data_dir=/shared/data
#
# One task for each GPU: JAX gives a task the device of its number on its node, so that each task has to
# see all of them (no --gpus-per-task, no --gpu-bind). Slurm sends SIGTERM two minutes before the time
# ends; the run then saves.
set -u

code=0
srun --kill-on-bad-exit=0 cnnjax train --parallel=jit --coordinator=auto "$@" || code=$?

# 75: stopped, and saved. 5, 134, 137, 143: a process is gone, and the others have ended. The same command
# continues. Any other code is a mistake that another start would make again.
case $code in
    5 | 75 | 134 | 137 | 143)
        if [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
            scontrol requeue "$SLURM_JOB_ID"
        fi
        ;;
esac
exit "$code"
