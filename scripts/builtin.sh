#!/bin/sh
# Makes the net in the program of a run of --config cifar10, and measures it: usage: builtin.sh ALEXNET RUN TEST, TEST
# being CIFAR-10's 10,000 test pictures (a folder of class folders, or a tar of them). Build again afterwards.
set -eu
alexnet=$1 run=$2 test=$3
to=$(dirname "$0")/../internal/builtin
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"$alexnet" weights export "$run" --to checkpoint --dtype f16 --out "$new/cifar10.safetensors"
"$alexnet" eval --weights "$new/cifar10.safetensors" --data "$test" --json > "$new/eval.json"
sum=$(sha256sum "$new/cifar10.safetensors" | cut -d' ' -f1)
{ printf '{\n  "sha256": "%s",\n' "$sum"; sed 1d "$new/eval.json"; } > "$new/cifar10.json"
mv "$new/cifar10.safetensors" "$new/cifar10.json" "$to/"
cat "$to/cifar10.json"
