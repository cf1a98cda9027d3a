// CUB's loading of a block's items, neighbours to one thread, as CuPy's kernels use it.
#pragma once

namespace cub {

enum BlockLoadAlgorithm { BLOCK_LOAD_DIRECT };

template <class T, int THREADS, int ITEMS, BlockLoadAlgorithm> struct BlockLoad {
  struct TempStorage {};
  explicit BlockLoad(TempStorage&) {}

  template <class From> void Load(const From* from, T (&items)[ITEMS], int count, T otherwise) {
    for (int i = 0; i < ITEMS; i++) {
      int place = threadIdx.x * ITEMS + i;
      items[i] = place < count ? (T)from[place] : otherwise;
    }
  }
};

}  // namespace cub
