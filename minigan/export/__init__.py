"""A network for programs that know nothing of minigan: ONNX, PyTorch."""
