"""Training: the schedule, the loop and who watches it (`trainer`), and what a row of metrics is (`metrics`)."""

from minigan.train.trainer import Callback, Row, Trainer, draw_latents, generate

__all__ = ["Callback", "Row", "Trainer", "draw_latents", "generate"]
