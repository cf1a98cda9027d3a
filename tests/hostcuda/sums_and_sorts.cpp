// In the place of the kernels that CuPy's wheel carries ready compiled: CUB's sums, extrema and scans, Thrust's sorts.
//
// No source of these reaches a compiler, so their entry points are taken as a whole: functions with the names and
// arguments of CuPy's cupy_cub.cu and cupy_thrust.cu. Both orders, a sum's and that of equal keys, are the plain ones.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "counts.h"

typedef struct CUstream_st* Stream;
enum Operation { SUM, MIN, MAX, ARGMIN, ARGMAX, CUMSUM, CUMPROD, PROD };  // of CuPy's cupy_cub.h

// f(a null pointer of the type that CuPy's number means); of CuPy's type_dispatcher.cuh, but for complex numbers.
template <class F> static void with_type(int type, F f) {
  switch (type) {
    case 0: return f((int8_t*)nullptr);
    case 1: return f((uint8_t*)nullptr);
    case 2: return f((int16_t*)nullptr);
    case 3: return f((uint16_t*)nullptr);
    case 4: return f((int32_t*)nullptr);
    case 5: return f((uint32_t*)nullptr);
    case 6: return f((int64_t*)nullptr);
    case 7: return f((uint64_t*)nullptr);
    case 8: return f((_Float16*)nullptr);
    case 9: return f((float*)nullptr);
    case 10: return f((double*)nullptr);
    case 13: return f((bool*)nullptr);
  }
  fprintf(stderr, "hostcuda: sums and sorts of CuPy's type %d are not in sums_and_sorts.cpp\n", type);
  abort();
}

// NaN comes after every number, and is what the largest and the smallest of a set with a NaN are.
template <class T> static bool is_nan(T x) { return x != x; }
template <class T> static bool less(T a, T b) { return is_nan(b) ? !is_nan(a) : a < b; }
template <class T> static T smaller(T a, T b) { return is_nan(a) || a < b ? a : b; }
template <class T> static T larger(T a, T b) { return is_nan(a) || a > b ? a : b; }

// ---- CUB -----------------------------------------------------------------------------------------------------------

template <class T> static T reduced(const T* x, long n, int operation) {
  typedef typename std::conditional<std::is_same<T, _Float16>::value, float, T>::type Sum;
  if (operation == SUM) return (T)std::accumulate(x, x + n, Sum(0));
  if (operation == PROD) return (T)std::accumulate(x, x + n, Sum(1), [](Sum a, Sum b) { return a * b; });
  T chosen = x[0];
  for (long i = 1; i < n; i++) chosen = operation == MIN ? smaller(chosen, x[i]) : larger(chosen, x[i]);
  return chosen;
}

template <class T> struct Found {  // what CUB's arg functions leave: the place, and what is there
  int place;
  T value;
};

template <class T> static Found<T> found(const T* x, long n, int operation) {
  Found<T> best = {0, x[0]};
  for (int i = 1; i < n && !is_nan(best.value); i++)
    if (is_nan(x[i]) || (operation == ARGMIN ? x[i] < best.value : x[i] > best.value)) best = {i, x[i]};
  return best;
}

void cub_device_reduce(void* workspace, size_t& size, void* x, void* y, int n, Stream, int operation, int type) {
  if (!workspace) { size = 1; return; }
  hostcuda_counts[CUB]++;
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    if (operation == ARGMIN || operation == ARGMAX) *(Found<T>*)y = found((T*)x, n, operation);
    else *(T*)y = reduced((T*)x, n, operation);
  });
}

size_t cub_device_reduce_get_workspace_size(void*, void*, int, Stream, int, int) { return 1; }

void cub_device_segmented_reduce(void* workspace, size_t& size, void* x, void* y, int segments, int length, Stream,
                                 int operation, int type) {
  if (!workspace) { size = 1; return; }
  hostcuda_counts[CUB]++;
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    for (long i = 0; i < segments; i++) ((T*)y)[i] = reduced((T*)x + i * length, length, operation);
  });
}

size_t cub_device_segmented_reduce_get_workspace_size(void*, void*, int, int, Stream, int, int) { return 1; }

void cub_device_scan(void* workspace, size_t& size, void* x, void* y, int n, Stream, int operation, int type) {
  if (!workspace) { size = 1; return; }
  hostcuda_counts[CUB]++;
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    const T* from = (T*)x;
    if (operation == CUMSUM) std::partial_sum(from, from + n, (T*)y);
    else std::partial_sum(from, from + n, (T*)y, [](T a, T b) { return (T)(a * b); });
  });
}

size_t cub_device_scan_get_workspace_size(void*, void*, int, Stream, int, int) { return 1; }

// ---- Thrust --------------------------------------------------------------------------------------------------------

// Each row, along the last axis, is sorted in its place.
void thrust_sort(int type, void* data, size_t*, const std::vector<ptrdiff_t>& shape, intptr_t, void*) {
  hostcuda_counts[CUB]++;
  long n = shape.back(), rows = std::accumulate(shape.begin(), shape.end() - 1, 1L, std::multiplies<long>());
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    for (T *row = (T*)data, *end = row + rows * n; row < end; row += n) std::stable_sort(row, row + n, less<T>);
  });
}

// The places of each row's entries in their order; CuPy hands a copy of the entries, which may stay as it is.
void thrust_argsort(int type, size_t* places, void* data, void*, const std::vector<ptrdiff_t>& shape, intptr_t, void*) {
  hostcuda_counts[CUB]++;
  long n = shape.back(), rows = std::accumulate(shape.begin(), shape.end() - 1, 1L, std::multiplies<long>());
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    for (long r = 0; r < rows; r++) {
      const T* row = (T*)data + r * n;
      size_t* order = places + r * n;
      std::iota(order, order + n, (size_t)0);
      std::stable_sort(order, order + n, [row](size_t i, size_t j) { return less(row[i], row[j]); });
    }
  });
}

// By several keys (k, n), of which the last decides first.
void thrust_lexsort(int type, size_t* places, void* keys, size_t k, size_t n, intptr_t, void*) {
  hostcuda_counts[CUB]++;
  std::iota(places, places + n, (size_t)0);
  with_type(type, [&](auto* of) {
    typedef typename std::remove_pointer<decltype(of)>::type T;
    for (const T *key = (T*)keys, *end = key + k * n; key < end; key += n)
      std::stable_sort(places, places + n, [key](size_t i, size_t j) { return less(key[i], key[j]); });
  });
}
