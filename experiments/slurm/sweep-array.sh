#!/usr/bin/env bash
# Many variants of one experiment, one array task each:
#   sbatch --array=0-4 experiments/slurm/sweep-array.sh VALUES.txt EXPERIMENT.yaml
# Line k of VALUES.txt has the key=value overrides of task k, counted from 0, for example "model.lambdas=[0.6] seed=1".
# All tasks share runs/, so equal stages are trained once. Each task requeues itself and resumes.
# For a search (random, bayes, hyperband) run `hsc sweep` in one or more jobs: sbatch --wrap 'hsc sweep FILE --jobs 1'.
#SBATCH --job-name=hsc-sweep
#SBATCH --output=slurm-%A_%a.txt
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=USR1@90
set -euo pipefail
source .venv/bin/activate

values=$1
experiment=$2
read -r -a words <<< "$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$values")"
name=$(basename "$experiment" .yaml)-$SLURM_ARRAY_TASK_ID
srun hsc train "$experiment" "${words[@]}" "name=$name" device="${HSC_DEVICE:-gpu}"
