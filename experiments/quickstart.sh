#!/usr/bin/env bash
# From nothing to rate-distortion curves: train a small codec, code a face it has not seen, compare with JPEG and VVC.
# QUICKSTART_STEPS=short trains a few steps a stage and measures a few images: enough to see that every part works.
set -eo pipefail
cd "$(dirname "$0")/.."
export WANDB_SILENT=${WANDB_SILENT:-true}

run=runs/quickstart
work=$run/walkthrough
images=6
overrides=()
if [[ ${QUICKSTART_STEPS:-} == short ]]; then
    run=runs/quickstart-short
    work=$run/walkthrough
    images=2
    overrides+=(name=quickstart-short defaults.data.validation_limit=2)
    for stage in $(python -c "import omegaconf; print(*omegaconf.OmegaConf.load('experiments/quickstart.yaml').run)"); do
        overrides+=("stages.$stage.steps=3")
    done
fi
mkdir -p "$work"
say() { printf '\n== %s\n' "$*"; }

if [[ -f ${HSC_DATA:-../shared/data}/ffhq128.zip ]]; then
    faces=ffhq128.zip
    held_out=04000-04099
    overrides+=("defaults.data.path=$faces" defaults.data.train=00000-00999 "defaults.data.validation=$held_out")
else
    faces=generated:600
    held_out=00000-00049
fi
say "Faces: $faces"

say "1. Train (stage by stage; run again to resume)"
hsc train experiments/quickstart.yaml "${overrides[@]}"

say "2. Take a face that training has not seen"
face=female-01.jpg
hsc data examples "$work"

say "3. Encode it into a file of three layers, and look into that"
hsc encode "$work/$face" -o "$work/face.hsc" --model "$run"
hsc inspect "$work/face.hsc"

say "4. Decode the first layer, the first two, all three"
for layers in 1 2 3; do
    hsc decode "$work/face.hsc" --layers "$layers" -o "$work/face-layers-$layers.png" --model "$run"
done

say "5. Measure it beside JPEG and VVC on $images faces that training has not seen"
hsc evaluate "$run" --data "$faces" --split "$held_out" --limit "$images" --anchors jpeg,vvc --faces 4 --out "$work/results"

say "6. Draw the curves"
hsc compare "$work/results" --out "$work/comparison"

say "Done"
cat <<END
the trained codec        $run/
the face and its file    $work/$face, $work/face.hsc
its three layers         $work/face-layers-1.png, -2.png, -3.png
measurements             $work/results/results.json, per_image.csv
curves and tables        $work/comparison/index.html
END
