// CUB's reduction within a block, as CuPy's kernels use it; CUB's own is written in the GPU's instructions.
//
// In CUB's order: each thread its items, each warp's threads along a tree (lane i takes lane i + 1, then i + 2, i + 4 …),
// and the first thread the warps' results, one after the other.
#pragma once

namespace cub {

template <class T, int THREADS> struct BlockReduce {
  struct TempStorage { T shown[THREADS]; };
  TempStorage& memory;
  explicit BlockReduce(TempStorage& memory) : memory(memory) {}

  // The result is the first thread's; CUB leaves the others with something that is not to be used, here NaN or -1.
  template <int ITEMS, class Op> T Reduce(T (&items)[ITEMS], Op op) {
    T own = items[0];
    for (int i = 1; i < ITEMS; i++) own = op(own, items[i]);
    memory.shown[threadIdx.x] = own;
    __syncthreads();
    if (threadIdx.x) {
      memset((void*)&own, 0xFF, sizeof own);
      return own;
    }
    for (int warp = 0; warp < THREADS; warp += warpSize)
      for (int step = 1; step < warpSize; step *= 2)
        for (int lane = 0; lane + step < warpSize && warp + lane + step < THREADS; lane += 2 * step)
          memory.shown[warp + lane] = op(memory.shown[warp + lane], memory.shown[warp + lane + step]);
    T result = memory.shown[0];
    for (int warp = warpSize; warp < THREADS; warp += warpSize) result = op(result, memory.shown[warp]);
    return result;
  }
};

}  // namespace cub
