#!/usr/bin/env bash
# tensorboard 2.21.0: what its own Writer.add_scalar writes, its own EventAccumulator does not list among the scalars.
#
# Guess: a number written with tensorboard.summary.Writer.add_scalar(tag, value, step) is read back by
#        EventAccumulator(folder).Scalars(tag), as numbers of other writers of event files are.
# Seen:  Tags()["scalars"] is empty and Scalars("loss") raises KeyError; the values stand under Tags()["tensors"], as
#        tensors without dimensions, which Tensors("loss") gives. (The page of TensorBoard shows them as scalars.)
# So a test that reads a log back has to ask for tensors, and one that finds no scalars has not found an empty log.
#
# Installs tensorboard into a temporary folder; fails if it behaves otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0
"$folder/venv/bin/python" - "$folder/log" <<'END'
import sys

from tensorboard import __version__
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary import Writer
from tensorboard.util import tensor_util

writer = Writer(sys.argv[1])
for step, value in enumerate((0.75, 0.5)):
    writer.add_scalar("loss", value, step)
writer.close()

log = EventAccumulator(sys.argv[1])
log.Reload()
try:
    scalars = [event.value for event in log.Scalars("loss")]
except KeyError as error:
    scalars = f"KeyError: {error}"
tensors = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in log.Tensors("loss")]
print(__version__, f"Scalars: {scalars}", f"tags: {log.Tags()['scalars']}, {log.Tags()['tensors']}", f"Tensors: {tensors}", sep="\n")
assert log.Tags()["scalars"] == [] and "loss" in log.Tags()["tensors"]
assert isinstance(scalars, str) and tensors == [0.75, 0.5]
END
echo "as described"
