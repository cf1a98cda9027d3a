"""For type checkers: the modules that `minigan.NAME` imports when it is first asked for."""

from minigan import alarms as alarms
from minigan import arguments as arguments
from minigan import backend as backend
from minigan import bench as bench
from minigan import callbacks as callbacks
from minigan import checkpoint as checkpoint
from minigan import cli as cli
from minigan import data as data
from minigan import errors as errors
from minigan import evaluate as evaluate
from minigan import exercises as exercises
from minigan import export as export
from minigan import facts as facts
from minigan import files as files
from minigan import folder as folder
from minigan import gan as gan
from minigan import going_on as going_on
from minigan import gradcheck as gradcheck
from minigan import info as info
from minigan import interrupt as interrupt
from minigan import losses as losses
from minigan import means as means
from minigan import memory as memory
from minigan import metrics as metrics
from minigan import nn as nn
from minigan import onnx_export as onnx_export
from minigan import optim as optim
from minigan import options as options
from minigan import plot as plot
from minigan import progress as progress
from minigan import quality as quality
from minigan import recipes as recipes
from minigan import reference as reference
from minigan import runs as runs
from minigan import saving as saving
from minigan import symptoms as symptoms
from minigan import tensors as tensors
from minigan import torch_code as torch_code
from minigan import torch_layout as torch_layout
from minigan import train as train

__version__: str
