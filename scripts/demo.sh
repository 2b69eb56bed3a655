#!/bin/sh
# The first thing a visitor runs: train, evaluate and predict with the small two-column net on generated pictures.
set -eu
alexnet=$1
run() { printf '\n$ %s\n' "$*" >&2; "$@"; }
pictures=$(mktemp -d)
trap 'rm -rf "$pictures"' EXIT
run "$alexnet" train
run "$alexnet" eval
run "$alexnet" data demo --out "$pictures/demo"
picture=$(find "$pictures/demo/val" -name '*.png' | sort | sed -n 7p)
newest=$(ls -td runs/*/ | head -n 1) # to be named: predict does not take a net of generated pictures by itself
run "$alexnet" predict "$picture" --weights "${newest%/}"
