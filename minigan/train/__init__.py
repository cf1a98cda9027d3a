"""Training: the schedule and the loop (`trainer`), who watches it (`callback`), and what a row of metrics is."""

from minigan.train.callback import Callback, Row
from minigan.train.trainer import Trainer, draw_latents, generate

__all__ = ["Callback", "Row", "Trainer", "draw_latents", "generate"]
