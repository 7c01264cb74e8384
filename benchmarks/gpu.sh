#!/usr/bin/env bash
# What needs a GPU, in three quarters of an hour:
# bash benchmarks/gpu.sh [DEVICE [MINUTES OF ALL VOICES [MINUTES A PLAY [ROUNDS]]]]
# Graphs beside plain steps; speed of a step, of fourteen trainings side by side, and beside the reference; Shakespeare
# as one text with its last tenth held out, uniform and absorbing (nats per character are the bits times 0.6931); fifteen
# voices side by side from a base, and their evaluation. Begun again, it goes on where it stood; what is small is in
# outputs/gpu.tar.gz after each part.
set -u
device=${1:-cuda} voices=${2:-7} play=${3:-1} rounds=${4:-3}
python=${PYTHON:-python3}
folder=outputs/gpu
mkdir -p "$folder"

keep() {
    cp models/*.metrics.jsonl outputs/*evaluation* outputs/*_samples.txt "$folder" 2> /dev/null
    tar czf outputs/gpu.tar.gz -C outputs gpu
}
trap keep EXIT

sed 's/validations: 20 /validations: 4 /' config.yaml > "$folder/voices.yaml" # a measurement takes a second of a minute
cat > "$folder/plays.yaml" << 'YAML'
data: {file: shakespeare.txt, format: stream, held_out: 0.1}
training: {validations: 4, validation_characters: 100000}
datasets:
  shakespeare_uniform: {diffusion: {process: uniform}, model: {dropout: 0.2}, training: {epochs: 50}}
  shakespeare_absorbing: {diffusion: {process: absorbing}, model: {dropout: 0.3}, training: {epochs: 40}}
YAML
some="--warm-up 500 --steps 300" samples=200 many=14 lanes=15
[ "$device" = cpu ] && some="--steps 3" samples=8 many=2 lanes=2 # a rehearsal
if command -v nvidia-cuda-mps-control > /dev/null; then # else processes take turns on a card
    export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps
    mkdir -p /tmp/mps && nvidia-cuda-mps-control -d
fi
if [ ! -f "$folder/steps.txt" ]; then
    # what graphs compute wrongly is not worth measuring
    "$python" -m pytest tests/training/test_learner.py tests/generation/test_graphs.py > "$folder/tests.txt" 2>&1 ||
        { tail -n 20 "$folder/tests.txt" && exit 1; }
    for way in "tiny graphed" "cpu graphed" "baby graphed" "baby compiled" "baby plain"; do
        read -r preset kernels <<< "$way"
        "$python" benchmarks/step_profile.py --dataset github_commits --preset $preset --kernels $kernels \
            --device "$device" $some > "$folder/profile_${preset}_$kernels.txt" 2>&1
    done
    for number in $(seq $many); do
        "$python" benchmarks/step_profile.py --dataset github_commits --preset tiny --speed \
            --device "$device" $some > "$folder/side_by_side_$number.txt" 2>&1 &
    done
    wait
    grep characters/s "$folder"/profile_*.txt "$folder"/side_by_side_*.txt > "$folder/steps.txt"
fi
keep
# the minutes and megabytes are of what only a CPU measures
[ -f "$folder/bench.md" ] || "$python" benchmarks/bench.py --device "$device" --rounds "$rounds" --minutes 0.5 --megabytes 20 --output "$folder/bench.md"
keep
"$python" train.py --all --config "$folder/plays.yaml" --device "$device" --minutes "$play"
keep
hours=$("$python" -c "print($voices / 60)")
"$python" train.py --all --base --config "$folder/voices.yaml" --preset cpu --device "$device" --jobs $lanes --hours "$hours"
keep
for model in models/*.pt; do
    name=$(basename "$model" .pt)
    [[ $name == *.* || -f outputs/${name}_samples.txt ]] || # no state, no earlier model, nothing twice
        "$python" generate.py --model "$model" --samples $samples --device "$device"
done
keep
"$python" evaluate.py --all --samples outputs --device "$device"
"$python" benchmarks/voices.py --output "$folder/voices.md" --title "On a GPU, $voices minutes for all voices" \
    "bash benchmarks/gpu.sh $device $voices $play $rounds"
