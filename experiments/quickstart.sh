#!/usr/bin/env bash
# First steps with hsc: code a face in 175 bytes, train a small codec in minutes, and compare both with AV1 and VVC.
# QUICKSTART_STEPS=short trains two stages of three steps and measures one face, as a quick check that everything works.
set -eo pipefail
cd "$(dirname "$0")/.."
export WANDB_SILENT=${WANDB_SILENT:-true}

run=runs/quickstart
measured='*-0[157]*'  # six of the example faces
judges=lpips.vgg,dists,dlib,dlib68,psnr
overrides=()
if [[ -f ${HSC_DATA:-../shared/data}/ffhq128.zip ]]; then
    overrides+=(defaults.data.path=ffhq128.zip defaults.data.train=00000-00999 defaults.data.validation=04000-04099)
fi
if [[ ${QUICKSTART_STEPS:-} == short ]]; then
    run=runs/quickstart-short
    measured=female-01*
    judges=lpips.alex,psnr
    overrides=(name=quickstart-short defaults.data.path=generated:32 defaults.data.train=00001-00031
        defaults.data.validation=00000-00000 model.layers.{basic.dim=2,middle.dim=2,enhanced.dim=1}
        'run=[basic,joint]' stages.{basic,joint}.steps=3)
fi
work=$run/walkthrough
face=$work/faces/female-01.jpg
say() { printf '\n== %s\n' "$*"; }

say "1. A face in 175 bytes: the codec that comes with hsc, and what AV1 and VVC make of as many bytes"
hsc data examples "$work/faces" --size 128
hsc encode "$face" -o "$work/face.hsc" --bytes 175
hsc inspect "$work/face.hsc"
hsc show "$face" -o "$work/layers.png" --bytes 175

say "2. Train a small codec (stage by stage; run again to resume)"
hsc train experiments/quickstart.yaml "${overrides[@]}"

say "3. The same face by that codec"
hsc encode "$face" -o "$work/face-trained.hsc" --model "$run"
hsc inspect "$work/face-trained.hsc"
hsc decode "$work/face-trained.hsc" -o "$work/face-trained.png" --model "$run"

say "4. Measure both codecs, AV1 and VVC on example faces that neither was trained on"
hsc evaluate ffhq128 --data "$work/faces" --split "$measured" --qualities 0,2,4,6 --judges "$judges" \
    --anchors av1,vvc --out "$work/results/ffhq128"
hsc evaluate "$run" --data "$work/faces" --split "$measured" --qualities 0,2,4,6 --judges "$judges" \
    --out "$work/results/trained"
hsc compare "$work/results/ffhq128" "$work/results/trained" --out "$work/comparison"

say "Done"
cat <<END
the trained codec              $run/
a face, its file, decoded      $face, $work/face-trained.hsc, face-trained.png
layers beside AV1 and VVC      $work/layers.png
curves, tables and faces       $work/comparison/index.html  (open it in a browser)
END
