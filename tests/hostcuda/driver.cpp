// In the place of NVIDIA's driver, libcuda.so.1: a device whose memory is the host's and whose kernels are functions.
//
// A launch runs the kernel to its end before it returns, so that streams and events have nothing to do. Below the
// driver's own entry points (cu…) are those of the CUDA runtime (cuda…), which CuPy's extension modules carry inside
// themselves: hostcupy.py lets theirs jump to these. What CuPy could ask for and is in neither list says so by name
// (missing.py writes those).
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "counts.h"

#define DRIVER extern "C" __attribute__((visibility("default"))) CUresult
#define RUNTIME extern "C" __attribute__((visibility("default"))) cudaError_t

// What has been asked of the device so far, by kind (counts.h); hostcupy.py reads it. With HOSTCUDA_TRACE set to
// anything, each launch also says its kernel's name.
long hostcuda_counts[HOSTCUDA_KINDS];
static std::map<CUfunction, std::string> names;
static const bool TRACE = getenv("HOSTCUDA_TRACE");

static const size_t MEMORY = (size_t)8 << 30, FREE = (size_t)6 << 30;  // what the device says that it has
static const size_t ALIGNED = 512;                                      // as cudaMalloc's are, to the byte
static void* const CONTEXT = (void*)1;
static void* const HANDLE = (void*)64;  // of any stream or event: there is nothing behind it

// ---- The driver ----------------------------------------------------------------------------------------------------

DRIVER cuGetErrorName(CUresult, const char** name) { *name = "HOSTCUDA_ERROR"; return CUDA_SUCCESS; }
DRIVER cuGetErrorString(CUresult, const char** text) { *text = "the driver on the host refused it"; return CUDA_SUCCESS; }
DRIVER cuDriverGetVersion(int* version) { *version = CUDA_VERSION; return CUDA_SUCCESS; }
DRIVER cuInit(unsigned) { return CUDA_SUCCESS; }
DRIVER cuCtxGetCurrent(CUcontext* context) { *context = (CUcontext)CONTEXT; return CUDA_SUCCESS; }
DRIVER cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
DRIVER cuCtxGetDevice(CUdevice* device) { *device = 0; return CUDA_SUCCESS; }
DRIVER cuStreamGetCtx(CUstream, CUcontext* context) { *context = (CUcontext)CONTEXT; return CUDA_SUCCESS; }

// A module is a shared library that g++ made, handed over as its bytes, where a GPU would be handed a cubin. Its
// length is not said; an ELF file ends with the table of its sections.
DRIVER cuModuleLoadData(CUmodule* module, const void* image) {
  const Elf64_Ehdr* header = (const Elf64_Ehdr*)image;
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_machine != EM_X86_64) return CUDA_ERROR_INVALID_IMAGE;
  size_t length = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
  int file = memfd_create("kernel", MFD_CLOEXEC);
  for (size_t done = 0; done < length;) {
    ssize_t more = write(file, (const char*)image + done, length - done);
    if (more <= 0) return CUDA_ERROR_OUT_OF_MEMORY;
    done += more;
  }
  std::string path = "/proc/self/fd/" + std::to_string(file);
  *module = (CUmodule)dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!*module) fprintf(stderr, "hostcuda: %s\n", dlerror());
  return *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;  // the file stays open: dlopen knows a library by its path
}

DRIVER cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

DRIVER cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  *function = (CUfunction)dlsym((void*)module, (std::string("hostcuda_launch_") + name).c_str());
  if (TRACE) names[*function] = name;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

DRIVER cuModuleGetGlobal_v2(CUdeviceptr* address, size_t*, CUmodule module, const char* name) {
  *address = (CUdeviceptr)dlsym((void*)module, name);
  return *address ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

DRIVER cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                      unsigned bz, unsigned shared, CUstream, void** arguments, void**) {
  static std::mutex one_at_a_time;  // a kernel's threadIdx and shared memory are variables of its library
  std::lock_guard<std::mutex> lock(one_at_a_time);
  hostcuda_counts[KERNELS]++;
  if (TRACE) fprintf(stderr, "launch %s\n", names[function].c_str());
  auto launch = (bool (*)(void**, dim3, dim3, unsigned))function;
  return launch(arguments, dim3(gx, gy, gz), dim3(bx, by, bz), shared) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

DRIVER cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}

DRIVER cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }

DRIVER cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int, size_t) {
  *blocks = 4;
  return CUDA_SUCCESS;
}

// ---- The runtime: what a device is ---------------------------------------------------------------------------------

RUNTIME cudaGetDevice(int* device) { *device = 0; return cudaSuccess; }
RUNTIME cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
RUNTIME cudaGetDeviceCount(int* count) { *count = 1; return cudaSuccess; }
RUNTIME cudaDriverGetVersion(int* version) { *version = CUDA_VERSION; return cudaSuccess; }
RUNTIME cudaRuntimeGetVersion(int* version) { *version = CUDART_VERSION; return cudaSuccess; }
RUNTIME cudaDeviceCanAccessPeer(int* can, int, int) { *can = 1; return cudaSuccess; }
RUNTIME cudaGetLastError() { return cudaSuccess; }
RUNTIME cudaPeekAtLastError() { return cudaSuccess; }
RUNTIME cudaDeviceSynchronize() { return cudaSuccess; }

RUNTIME cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;  // sm_90, an H100's or H200's
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMultiProcessorCount: *value = 2; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
    default: *value = 0;
  }
  return cudaSuccess;
}

RUNTIME cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "a GPU played by the CPU");
  properties->totalGlobalMem = MEMORY;
  properties->sharedMemPerBlock = 48 << 10;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 2147483647;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->multiProcessorCount = 2;
  properties->major = 9;
  return cudaSuccess;
}

// ---- The runtime: memory -------------------------------------------------------------------------------------------

// Fresh memory is all ones, which is NaN in every floating type: whoever reads what nobody wrote gets to see it.
RUNTIME cudaMalloc(void** address, size_t length) {
  *address = length > FREE ? nullptr : aligned_alloc(ALIGNED, (length + ALIGNED - 1) / ALIGNED * ALIGNED);
  if (!*address) return cudaErrorMemoryAllocation;
  memset(*address, 0xFF, length);
  return cudaSuccess;
}

RUNTIME cudaMallocAsync(void** address, size_t length, cudaStream_t) { return cudaMalloc(address, length); }
RUNTIME cudaFree(void* address) { free(address); return cudaSuccess; }
RUNTIME cudaFreeAsync(void* address, cudaStream_t) { free(address); return cudaSuccess; }
RUNTIME cudaHostAlloc(void** address, size_t length, unsigned) { *address = malloc(length); return cudaSuccess; }
RUNTIME cudaFreeHost(void* address) { free(address); return cudaSuccess; }
RUNTIME cudaMemGetInfo(size_t* free, size_t* total) { *free = FREE; *total = MEMORY; return cudaSuccess; }

RUNTIME cudaMemcpy(void* to, const void* from, size_t length, cudaMemcpyKind kind) {
  hostcuda_counts[kind == cudaMemcpyHostToDevice ? TO_DEVICE : kind == cudaMemcpyDeviceToHost ? TO_HOST : ON_DEVICE]++;
  memmove(to, from, length);
  return cudaSuccess;
}

RUNTIME cudaMemcpyAsync(void* to, const void* from, size_t length, cudaMemcpyKind kind, cudaStream_t) {
  return cudaMemcpy(to, from, length, kind);
}

RUNTIME cudaMemset(void* address, int byte, size_t length) {
  hostcuda_counts[MEMSETS]++;
  memset(address, byte, length);
  return cudaSuccess;
}

RUNTIME cudaMemsetAsync(void* address, int byte, size_t length, cudaStream_t) { return cudaMemset(address, byte, length); }

RUNTIME cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void*) {
  *attributes = {};  // an address that CUDA knows nothing of: CuPy then copies from it as from the host's memory
  return cudaSuccess;
}

// ---- The runtime: streams and events, of which there is nothing to wait for ------------------------------------------

RUNTIME cudaStreamCreate(cudaStream_t* stream) { *stream = (cudaStream_t)HANDLE; return cudaSuccess; }
RUNTIME cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }
RUNTIME cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
RUNTIME cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
RUNTIME cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
RUNTIME cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
RUNTIME cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
RUNTIME cudaEventCreate(cudaEvent_t* event) { *event = (cudaEvent_t)HANDLE; return cudaSuccess; }
RUNTIME cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
RUNTIME cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
RUNTIME cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
RUNTIME cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
RUNTIME cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
RUNTIME cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) { *milliseconds = 1; return cudaSuccess; }
