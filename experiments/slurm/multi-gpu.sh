#!/usr/bin/env bash
# DDP on several GPUs of one or more machines: sbatch experiments/slurm/multi-gpu.sh EXPERIMENT.yaml [key=value …]
# srun starts one process per GPU; `batch_size` is the total over all GPUs and must be a multiple of their number.
# Other sizes: sbatch --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 experiments/slurm/multi-gpu.sh …
#SBATCH --job-name=hsc-train
#SBATCH --output=slurm-%j.txt
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=USR1@180
set -euo pipefail
source .venv/bin/activate

srun hsc train device=gpu "devices=$SLURM_NTASKS" "$@"
