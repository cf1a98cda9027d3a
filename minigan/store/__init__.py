"""Files that stay whole: atomic writing, named arrays in safetensors, checkpoints of networks and optimisers."""
