"""PyTorch's answers for `test_torch_layout.py`: `PYTHONPATH=. python tests/oracle/make_torch_layout_answers.py`.

With PyTorch 2.13.0. Of every network PyTorch runs the code that `torch_code` gives, and must take what `to_torch`
gives, strictly, and answer as minigan does. Then it gets other weights, and takes one pass in training mode, which
moves its running statistics and SpectralNorm's vectors: what it answers then is stored, and so are those buffers.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))  # where pytest finds `oracle` as well
from oracle import torch_layout_inputs as inputs

from minigan.export.torch import to_torch, torch_code


def answer(model, x):
    return model(torch.from_numpy(np.ascontiguousarray(inputs.channels_first(x)))).numpy()


def ask(case):
    """({"code": …, "shapes": …}, {"y": …, a buffer's name: …})"""
    net, x = inputs.network(case), inputs.x_of(case)
    code = torch_code(net)
    model = eval(code, {"nn": nn}).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in to_torch(net).items()}, strict=True)
    np.testing.assert_allclose(answer(model, x), inputs.channels_first(net(x)), rtol=1e-5, atol=1e-5, err_msg=case)

    for name, parameter in model.named_parameters():
        parameter.copy_(torch.from_numpy(inputs.torch_parameter(f"{case}.{name}", tuple(parameter.shape))))
    answer(model.train(), x)
    y = answer(model.eval(), x)
    state = model.state_dict()
    buffers = {name: state[name].numpy() for name in sorted(state.keys() - dict(model.named_parameters()).keys())}
    return {"code": code, "shapes": {name: tuple(t.shape) for name, t in state.items()}}, {"y": y, **buffers}


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)  # SpectralNorm's first vectors, and dropout in the one pass of training
    answers = {case: ask(case) for case in inputs.CASES}
    inputs.save({case: model for case, (model, _) in answers.items()}, {case: a for case, (_, a) in answers.items()})
    size = f"{inputs.FILE.stat().st_size / 1000:.0f} kB"
    print(f"{len(answers)} networks, {size}, from PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
