#!/usr/bin/env bash
# Fine-tune a released codec on a prepared set of new faces, and compare it before and after on held-out faces.
#   experiments/finetune.sh faces.zip [MODEL] [key=value ...]
# MODEL: the codec to start from: a released name, run folder or codec file (default ffhq128). Further arguments go to
# hsc train.
# OLD_FACES=ffhq128.zip OLD_SPLIT=04000-04019 also measures how much quality on another set was lost.
set -eo pipefail
cd "$(dirname "$0")/.."
export WANDB_SILENT=${WANDB_SILENT:-true}

faces=${1:?give a set that hsc data prepare has made}
model=${2:-ffhq128}
run=${RUN:-runs/finetune}
held_out='validation*'
say() { printf '\n== %s\n' "$*"; }

# One loss of the experiment needs these weights; allow_missing_losses=true trains without it.
hsc weights fetch faceres || [[ " ${*:3} " == *" allow_missing_losses=true "* ]]

say "1. Before: $model on faces held out of $faces"
hsc evaluate "$model" --data "$faces" --split "$held_out" --out "$run/results/before"

say "2. Fine-tune (run again to resume)"
hsc train experiments/finetune.yaml "name=$(basename "$run")" "runs=$(dirname "$run")" "model_of=$model" \
    "defaults.data.path=$faces" "${@:3}"

say "3. After"
hsc evaluate "$run" --data "$faces" --split "$held_out" --out "$run/results/after"

compared=("$run/results/before" "$run/results/after")
if [[ -n ${OLD_FACES:-} ]]; then
    say "4. What was forgotten of $OLD_FACES"
    for which in before after; do
        codec=$([[ $which == before ]] && echo "$model" || echo "$run")
        hsc evaluate "$codec" --data "$OLD_FACES" --split "${OLD_SPLIT:-*}" --out "$run/results/old-set-$which"
    done
    hsc compare "$run/results/old-set-before" "$run/results/old-set-after" --out "$run/comparison-old-set"
fi
hsc compare "${compared[@]}" --out "$run/comparison"

say "Done"
cat <<END
the fitted codec         $run/
measurements             $run/results/before, $run/results/after
before and after         $run/comparison/index.html (what changes, with paired intervals; faces side by side)
END
