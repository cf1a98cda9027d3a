// The kinds of work that a device is asked for, each with a count of its own; hostcupy.py has the same list.
#pragma once

enum Kind { KERNELS, PRODUCTS, SOLVES, CUB, MEMSETS, TO_DEVICE, TO_HOST, ON_DEVICE, HOSTCUDA_KINDS };

extern "C" __attribute__((visibility("default"))) long hostcuda_counts[HOSTCUDA_KINDS];
