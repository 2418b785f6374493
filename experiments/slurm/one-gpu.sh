#!/usr/bin/env bash
# One process on one GPU: sbatch experiments/slurm/one-gpu.sh EXPERIMENT.yaml [key=value …]
# Submit it from the folder that holds .venv/, experiments/ and runs/. 90 seconds before its time limit, SLURM sends
# USR1: training finishes its step, saves and requeues the job, which then resumes.
#SBATCH --job-name=hsc-train
#SBATCH --output=slurm-%j.txt
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=USR1@90
set -euo pipefail
source .venv/bin/activate

srun hsc train device=gpu devices=1 "$@"
