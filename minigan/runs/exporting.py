"""A run's generator for programs that know nothing of minigan: what `minigan export` does."""

from __future__ import annotations

from pathlib import Path

from minigan.errors import ArgumentError
from minigan.export.onnx import export_onnx
from minigan.export.torch import to_torch, torch_code
from minigan.runs.run import checkpoint_of
from minigan.runs.saved import read_saved
from minigan.screen import Say, silence
from minigan.store.files import write_atomically


def export(run: str | Path, out: Path, *, say: Say | None = print) -> str:
    """Write the newest generator of a run, or that of a checkpoint, to `out`; return the code that it goes with.

    `out` ends in .onnx (then there is no code: ""), or in .safetensors: the `state_dict()` of the PyTorch network that
    the code makes. `say` is told what is lost of the run's folder.
    Raises ArgumentError for another ending, RunMissingError or CheckpointError if there is no generator,
    PackageMissingError if ONNX's is not installed.
    """
    if out.suffix not in (".onnx", ".safetensors"):
        raise ArgumentError(f"--out must end in .onnx, or in .safetensors for PyTorch, got {out}")
    G = read_saved(checkpoint_of(run, say or silence)).generator()
    if out.suffix == ".onnx":
        export_onnx(G, out)
        return ""
    from safetensors.numpy import save

    write_atomically(out, save(to_torch(G)))
    return torch_code(G)
