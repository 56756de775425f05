#!/bin/sh
# Publishes a first model into an empty registry; does nothing where there is one already.
#
# usage: first-model [OPTION OF cml train]...     without options: the films that come with the package
set -eu

models=${CML_MODELS:-/models}
if [ -e "$models/CURRENT" ]; then
    echo "$models has a model: nothing to do"
    exit 0
fi
if [ $# -eq 0 ]; then
    set -- --train /bundled/interactions.csv.gz --items /bundled/items.csv.gz
fi
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
cml train "$@" --hold-out --refit --out "$run/run"
cml models publish "$run/run" --to "$models"
