"""For TensorBoard, by its own package alone: pip install tensorboard; then tensorboard --logdir FOLDER."""

from tensorboard.summary import Writer

from minigan.train import Callback


class TensorBoard(Callback):
    """Writes every number of a row of metrics into a folder; a run that goes on adds a file to it."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, trainer):
        self.writer = Writer(str(self.folder))

    def logged(self, trainer, row):
        norms = {f"grad_norm/{layer}": norm for layer, norm in row["grad_norm"].items()}
        for name, value in {**row, **norms}.items():
            if isinstance(value, float):
                self.writer.add_scalar(name, value, row["step"])

    def close(self, trainer):
        self.writer.close()
