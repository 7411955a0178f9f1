#!/bin/sh
# All that is measured on one CUDA card, in some ten minutes: that results are right comes first.
# It needs torch and numpy alone. From the project's folder: sh benchmarks/on_card.sh [FOLDER]
# Output and figures go into FOLDER. DEVICE=cpu with QUICK=1 tries the script where no card is.
set -eu
here=$(dirname "$0")
export PYTHONPATH="$here/..:${PYTHONPATH:-}"
out=${1:-card}
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
mkdir -p "$out"
step=$here/training_step.py tile=$here/tile_inference.py packed=$here/packed_trials.py
few='' losses=20 small='' tiny=''
if [ -n "${QUICK:-}" ]; then
    few='--rounds 1 --steps 1 --width 4 --patch-px 64 --batch 2 --side 256' losses=2
    small='--rounds 1 --side 256 --width 4 --training-steps 2'
    tiny='--trials 2 --steps 2 --repeats 1 --width 4'
fi

run() {
    name=$1
    shift
    echo "== $name: $*"
    "$python" "$@" --device "$device" >"$out/$name.txt" 2>&1 || {
        cat "$out/$name.txt"
        exit 1
    }
    cat "$out/$name.txt"
}

# shellcheck disable=SC2086
run losses "$step" --losses $losses --json "$out/losses.json" $few
# shellcheck disable=SC2086
run training_step "$step" --json "$out/training_step.json" $few
# shellcheck disable=SC2086
run small_step "$step" --width 8 --patch-px 128 --batch 8 --json "$out/small_step.json" $few
# shellcheck disable=SC2086
run tile_inference "$tile" --side 2048 --json "$out/tile_inference.json" $small
# shellcheck disable=SC2086
run packed_trials "$packed" $tiny
