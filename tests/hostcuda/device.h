// CUDA's device language for g++, so that a kernel that CuPy has written for NVRTC becomes a function of the host.
//
// The threads of a block are fibers: each has a stack of its own, and runs until it comes to a barrier, its warp's or the
// block's, where the next one goes on. One runs at a time, always in the same order. So barriers, shared memory and the
// exchange within a warp are right, and a race between two threads is not seen.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <vector_functions.h>
#include <vector_types.h>

#define __CUDACC_VER_MAJOR__ 12  // CuPy's float16.cuh then takes CUDA's half, whose header has a form for the host
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// ---- The words ---------------------------------------------------------------------------------------------------

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __restrict__
#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block runs at a time, so its memory may be the library's
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define warpSize 32

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

// ---- Functions of numbers ----------------------------------------------------------------------------------------

using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

template <class A, class B> static inline auto max(A a, B b) {
  using C = typename std::common_type<A, B>::type;
  return (C)a > (C)b ? (C)a : (C)b;
}
template <class A, class B> static inline auto min(A a, B b) {
  using C = typename std::common_type<A, B>::type;
  return (C)a < (C)b ? (C)a : (C)b;
}

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
template <class T> static inline T __ldg(const T* p) { return *p; }

template <class To, class From> static inline To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the bits of one fit into the other");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
static inline float __int_as_float(int i) { return same_bits<float>(i); }
static inline int __float_as_int(float f) { return same_bits<int>(f); }
static inline float __uint_as_float(unsigned i) { return same_bits<float>(i); }
static inline unsigned __float_as_uint(float f) { return same_bits<unsigned>(f); }
static inline double __longlong_as_double(long long i) { return same_bits<double>(i); }
static inline long long __double_as_longlong(double f) { return same_bits<long long>(f); }

// ---- Atomic operations: as one fiber runs at a time, the plain ones ------------------------------------------------

#define HOSTCUDA_ATOMIC(name, now)                                                     \
  template <class T, class V> static inline T name(T* p, V given) {                    \
    T old = *p, v = (T)given;                                                          \
    *p = now;                                                                          \
    return old;                                                                        \
  }
HOSTCUDA_ATOMIC(atomicAdd, old + v)
HOSTCUDA_ATOMIC(atomicSub, old - v)
HOSTCUDA_ATOMIC(atomicExch, v)
HOSTCUDA_ATOMIC(atomicMax, old > v ? old : v)
HOSTCUDA_ATOMIC(atomicMin, old < v ? old : v)
HOSTCUDA_ATOMIC(atomicAnd, old & v)
HOSTCUDA_ATOMIC(atomicOr, old | v)
HOSTCUDA_ATOMIC(atomicXor, old ^ v)
template <class T, class V, class W> static inline T atomicCAS(T* p, V expected, W given) {
  T old = *p;
  if (old == (T)expected) *p = (T)given;
  return old;
}

// ---- Fibers ------------------------------------------------------------------------------------------------------

namespace hostcuda {

enum { MOST = 1024, STACK = 64 << 10 };  // threads of a block; bytes for each one's stack

// Keeps the registers that a function must keep, and the place on the stack, in *here; goes on where `there` was kept.
extern "C" void hostcuda_switch(void** here, void* there);
__asm__(R"(.text
.local hostcuda_switch
.type hostcuda_switch,@function
hostcuda_switch:
 push %rbp
 push %rbx
 push %r12
 push %r13
 push %r14
 push %r15
 mov %rsp,(%rdi)
 mov %rsi,%rsp
 pop %r15
 pop %r14
 pop %r13
 pop %r12
 pop %rbx
 pop %rbp
 ret
)");

typedef void (*Body)(void** arguments);  // a kernel, called with the addresses of its arguments
enum State : char { RUNS, AT_ITS_WARPS_BARRIER, AT_THE_BLOCKS_BARRIER, ENDED };

static struct {
  void *places[MOST], *scheduler;  // where each fiber, and the loop that runs them, is to go on
  char* stacks[MOST];
  State states[MOST];
  int now;  // the fiber that runs
  Body body;
  void** arguments;
} fibers;

static long long exchanged[MOST];  // what each thread shows the others of its warp

static void be(int thread) {
  unsigned across = thread % blockDim.x, rest = thread / blockDim.x;
  threadIdx = {across, rest % blockDim.y, rest / blockDim.y};
  fibers.now = thread;
}

static void let_others_run(State state) {
  fibers.states[fibers.now] = state;
  hostcuda_switch(&fibers.places[fibers.now], fibers.scheduler);
}

static void first_step() {
  fibers.body(fibers.arguments);
  let_others_run(ENDED);
  __builtin_unreachable();
}

// Whether there were fibers at such a barrier, which now go on.
static bool open(State barrier, int threads) {
  bool any = false;
  for (int t = 0; t < threads; t++)
    if (fibers.states[t] == barrier) { fibers.states[t] = RUNS; any = true; }
  return any;
}

// One block with barriers: each fiber runs to its next barrier or to its end. When none can go on, all that will come to
// a warp's barrier have come; and to the block's, when none is at a warp's.
static void run_block_of_fibers(int threads) {
  for (int t = 0; t < threads; t++) {
    if (!fibers.stacks[t]) fibers.stacks[t] = (char*)malloc(STACK);
    void** top = (void**)(((uintptr_t)fibers.stacks[t] + STACK - 64) & ~(uintptr_t)15);
    *--top = nullptr;  // nowhere to return to, and the stack is aligned as after a call
    *--top = (void*)first_step;
    for (int registers = 0; registers < 6; registers++) *--top = nullptr;
    fibers.places[t] = top;
    fibers.states[t] = RUNS;
  }
  do {
    for (int t = 0; t < threads; t++) {
      if (fibers.states[t] != RUNS) continue;
      be(t);
      hostcuda_switch(&fibers.scheduler, fibers.places[t]);
    }
  } while (open(AT_ITS_WARPS_BARRIER, threads) || open(AT_THE_BLOCKS_BARRIER, threads));
}

// How a kernel's threads depend on each other, which hostcupy.py reads off its source.
enum Needs { NO_INDEX, INDEX, BARRIERS };

static bool run(Body body, void** arguments, dim3 grid, dim3 block, Needs needs) {
  int threads = block.x * block.y * block.z;
  if (threads < 1 || threads > MOST) return false;
  if (needs == NO_INDEX) {  // all it does is CUPY_FOR, which strides over the grid: one thread then does everything
    gridDim = blockDim = dim3(1, 1, 1);
    blockIdx = threadIdx = {0, 0, 0};
    body(arguments);
    return true;
  }
  gridDim = grid;
  blockDim = block;
  fibers.body = body;
  fibers.arguments = arguments;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        if (needs == BARRIERS) run_block_of_fibers(threads);
        else for (int t = 0; t < threads; t++) { be(t); body(arguments); }
      }
  return true;
}

// A kernel's call with its arguments' addresses, whatever their types.
template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*reinterpret_cast<typename std::remove_reference<A>::type*>(arguments[I])...);
}
template <class... A> static void call(void (*kernel)(A...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<A...>{});
}

}  // namespace hostcuda

static inline void __syncthreads() { hostcuda::let_others_run(hostcuda::AT_THE_BLOCKS_BARRIER); }
static inline void __syncwarp(unsigned = 0) { hostcuda::let_others_run(hostcuda::AT_ITS_WARPS_BARRIER); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// What the thread of the same warp at place `lane` shows: all show, all look.
template <class T> static inline T hostcuda_look(T shown, int lane) {
  static_assert(sizeof(T) <= sizeof(long long), "it fits into what is exchanged");
  int self = hostcuda::fibers.now;
  memcpy(&hostcuda::exchanged[self], &shown, sizeof shown);
  __syncwarp();
  T seen;
  memcpy(&seen, &hostcuda::exchanged[self / warpSize * warpSize + lane], sizeof seen);
  __syncwarp();
  return seen;
}
#define HOSTCUDA_LANE (hostcuda::fibers.now % warpSize)
template <class T> static inline T __shfl_sync(unsigned, T v, int from, int width = warpSize) {
  return hostcuda_look(v, HOSTCUDA_LANE / width * width + from % width);
}
template <class T> static inline T __shfl_up_sync(unsigned, T v, unsigned by, int width = warpSize) {
  return hostcuda_look(v, HOSTCUDA_LANE % width < (int)by ? HOSTCUDA_LANE : HOSTCUDA_LANE - by);
}
template <class T> static inline T __shfl_down_sync(unsigned, T v, unsigned by, int width = warpSize) {
  return hostcuda_look(v, HOSTCUDA_LANE % width + (int)by >= width ? HOSTCUDA_LANE : HOSTCUDA_LANE + by);
}
template <class T> static inline T __shfl_xor_sync(unsigned, T v, int mask, int = warpSize) {
  return hostcuda_look(v, HOSTCUDA_LANE ^ mask);
}

// A bit for each thread of the warp: whether it says yes.
static inline unsigned __ballot_sync(unsigned mask, int yes) {
  int self = hostcuda::fibers.now, first = self / warpSize * warpSize, threads = blockDim.x * blockDim.y * blockDim.z;
  hostcuda::exchanged[self] = yes != 0;
  __syncwarp();
  unsigned bits = 0;
  for (int lane = 0; lane < warpSize && first + lane < threads; lane++)
    if (mask >> lane & 1 && hostcuda::exchanged[first + lane]) bits |= 1u << lane;
  __syncwarp();
  return bits;
}
static inline int __any_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) != 0; }
static inline int __all_sync(unsigned mask, int yes) { return __ballot_sync(mask, !yes) == 0; }
