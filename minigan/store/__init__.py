"""Files that stay whole: atomic writing, named arrays in safetensors, networks, checkpoints."""

from minigan.store.checkpoint import load_checkpoint, save_checkpoint
from minigan.store.network import load, save

__all__ = [
    "load",
    "load_checkpoint",
    "save",
    "save_checkpoint",
]
