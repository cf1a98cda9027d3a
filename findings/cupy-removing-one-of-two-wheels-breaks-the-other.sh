#!/usr/bin/env bash
# cupy-cuda12x and cupy-cuda13x 14.2.0: of two wheels, to remove one is to break the other.
#
# Guess: with both installed CuPy warns and says to remove all but one; `pip uninstall` of one leaves the other working.
# Seen:  both are one package, cupy, in the same files. pip removes those of the wheel that it is told to, which the
#        other one needs: what is left cannot be imported, though pip lists it as installed and `pip check` is content.
# So after two wheels: remove both, then install one.
#
# Installs both into a temporary folder (no GPU is asked for); fails if it is otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --quiet --disable-pip-version-check "$@"; }
imports() { "$folder/venv/bin/python" -W ignore -c 'import cupy; print("imports,", cupy.__version__)' 2>&1 | tail -1 || true; }
pip install cupy-cuda12x==14.2.0 cupy-cuda13x==14.2.0 numpy==2.4.6
both="$(imports)"
pip uninstall --yes cupy-cuda13x
left="$(imports)"
pip check
echo "both: $both" "after removing cupy-cuda13x: $left"
[ "$both" = "imports, 14.2.0" ]
case "$left" in *Error*) ;; *) exit 1 ;; esac
pip show cupy-cuda12x > "$folder/listed"
pip uninstall --yes cupy-cuda12x
pip install cupy-cuda12x==14.2.0
[ "$(imports)" = "imports, 14.2.0" ]
echo "as described"
