#!/usr/bin/env bash
# What needs a GPU, in half an hour: bash benchmarks/gpu.sh [DEVICE [MINUTES A VOICE [MINUTES A PLAY [FOLDER]]]]
# Fifteen voices and their evaluation at the device's default preset, and Shakespeare as one text with its last tenth held
# out, uniform and absorbing; nats per character are the bits times 0.6931. What is small goes to FOLDER.
set -eu
device=${1:-cuda} voice=${2:-0.9} play=${3:-3.5} folder=${4:-benchmarks/results/gpu}
python=${PYTHON:-python}
mkdir -p "$folder"
plays=$(mktemp)
cat > "$plays" <<'YAML'
data: {file: shakespeare.txt, format: stream, held_out: 0.1}
datasets:
  shakespeare_uniform: {diffusion: {process: uniform}}
  shakespeare_absorbing: {diffusion: {process: absorbing}}
YAML
"$python" train.py --all --config "$plays" --device "$device" --minutes "$play" --force
"$python" train.py --all --device "$device" --minutes "$voice" --force
"$python" evaluate.py --all --device "$device"
for model in models/*.pt; do "$python" generate.py --model "$model" --samples 10 --device "$device"; done
"$python" benchmarks/voices.py --output "$folder/voices.md" --title "On a GPU, $voice minutes a voice" \
    "bash benchmarks/gpu.sh $device $voice $play"
cp models/*.metrics.jsonl outputs/*evaluation* outputs/*_samples.txt "$folder"
