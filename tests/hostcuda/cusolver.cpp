// In the place of cuSOLVER: the decompositions that CuPy's linalg asks for, each handed to LAPACK's of the same name.
//
// LAPACK is NumPy's, within the OpenBLAS of its wheel, whose integers have 64 bits; hostcupy.py has loaded it for all to
// see. It brings its own memory for work, so that cuSOLVER's buffers are not looked at.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "counts.h"

#define CUSOLVER extern "C" __attribute__((visibility("default"))) int

enum { SUCCESS = 0, NOT_SUPPORTED = 9 };
enum { TYPE_FLOAT = 0, TYPE_DOUBLE = 1 };  // of cudaDataType

CUSOLVER cusolverDnCreate(void** handle) { *handle = (void*)64; return SUCCESS; }
CUSOLVER cusolverDnDestroy(void*) { return SUCCESS; }
CUSOLVER cusolverDnSetStream(void*, void*) { return SUCCESS; }
CUSOLVER cusolverDnGetStream(void*, void** stream) { *stream = nullptr; return SUCCESS; }
CUSOLVER cusolverDnCreateParams(void** params) { *params = (void*)64; return SUCCESS; }
CUSOLVER cusolverDnDestroyParams(void*) { return SUCCESS; }
CUSOLVER cusolverGetVersion(int* version) { *version = 11705; return SUCCESS; }
CUSOLVER cusolverGetProperty(int which, int* value) { *value = which == 0 ? 11 : which == 1 ? 7 : 5; return SUCCESS; }

// LAPACK's function of that name for floats ('s') or doubles ('d'); all of its arguments are addresses.
template <class... A> static int lapack(char precision, const char* name, A... arguments) {
  std::string symbol = std::string("scipy_") + precision + name + "_64_";
  void* function = dlsym(RTLD_DEFAULT, symbol.c_str());
  if (!function) {
    fprintf(stderr, "hostcuda: NumPy's libraries here have no %s\n", symbol.c_str());
    return NOT_SUPPORTED;
  }
  hostcuda_counts[SOLVES]++;
  ((void (*)(A...))function)(arguments...);
  return SUCCESS;
}

#define TYPED(P, p, T)                                                                                                 \
  /* a = U·S·Vᵀ */                                                                                                     \
  CUSOLVER cusolverDn##P##gesvd_bufferSize(void*, int, int, int* length) { *length = 1; return SUCCESS; }              \
  CUSOLVER cusolverDn##P##gesvd(void*, signed char job_u, signed char job_v, int m, int n, T* a, int lda, T* s, T* u,  \
                                int ldu, T* v, int ldv, T*, int, T*, int* info) {                                      \
    int64_t M = m, N = n, LDA = lda, LDU = ldu, LDV = ldv, least = m < n ? m : n, most = m < n ? n : m;                \
    int64_t length = 5 * (least + most) + 64, told = 0;                                                                \
    std::vector<T> work(length);                                                                                       \
    char U = job_u, V = job_v;                                                                                         \
    int status = lapack(p, "gesvd", &U, &V, &M, &N, a, &LDA, s, u, &LDU, v, &LDV, work.data(), &length, &told,         \
                        (size_t)1, (size_t)1);                                                                         \
    *info = told;                                                                                                      \
    return status;                                                                                                     \
  }                                                                                                                    \
  /* a = Q·R, R above the diagonal and Q as reflections below it */                                                    \
  CUSOLVER cusolverDn##P##geqrf_bufferSize(void*, int, int, T*, int, int* length) { *length = 1; return SUCCESS; }     \
  CUSOLVER cusolverDn##P##geqrf(void*, int m, int n, T* a, int lda, T* tau, T*, int, int* info) {                      \
    int64_t M = m, N = n, LDA = lda, length = 64 * (int64_t)n + 64, told = 0;                                          \
    std::vector<T> work(length);                                                                                       \
    int status = lapack(p, "geqrf", &M, &N, a, &LDA, tau, work.data(), &length, &told);                                \
    *info = told;                                                                                                      \
    return status;                                                                                                     \
  }                                                                                                                    \
  /* Q out of those reflections */                                                                                     \
  CUSOLVER cusolverDn##P##orgqr_bufferSize(void*, int, int, int, T*, int, T*, int* length) {                           \
    *length = 1;                                                                                                       \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUSOLVER cusolverDn##P##orgqr(void*, int m, int n, int k, T* a, int lda, T* tau, T*, int, int* info) {               \
    int64_t M = m, N = n, K = k, LDA = lda, length = 64 * (int64_t)n + 64, told = 0;                                   \
    std::vector<T> work(length);                                                                                       \
    int status = lapack(p, "orgqr", &M, &N, &K, a, &LDA, tau, work.data(), &length, &told);                            \
    *info = told;                                                                                                      \
    return status;                                                                                                     \
  }                                                                                                                    \
  /* a = V·diag(w)·Vᵀ of a symmetric matrix, of which one triangle is read */                                          \
  CUSOLVER cusolverDn##P##syevd_bufferSize(void*, int, int, int, T*, int, T*, int* length) {                           \
    *length = 1;                                                                                                       \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUSOLVER cusolverDn##P##syevd(void*, int vectors, int upper, int n, T* a, int lda, T* w, T*, int, int* info) {       \
    int64_t N = n, LDA = lda, length = 1 + 6 * N + 2 * N * N, whole = 3 + 5 * N, told = 0;                             \
    std::vector<T> work(length);                                                                                       \
    std::vector<int64_t> integers(whole);                                                                              \
    char job = vectors ? 'V' : 'N', triangle = upper ? 'U' : 'L';                                                      \
    int status = lapack(p, "syevd", &job, &triangle, &N, a, &LDA, w, work.data(), &length, integers.data(), &whole,    \
                        &told, (size_t)1, (size_t)1);                                                                  \
    *info = told;                                                                                                      \
    return status;                                                                                                     \
  }
TYPED(S, 's', float)
TYPED(D, 'd', double)

CUSOLVER cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int,
                                     size_t* on_device, size_t* on_host) {
  *on_device = *on_host = 1;
  return SUCCESS;
}

CUSOLVER cusolverDnXsyevd(void* handle, void*, int vectors, int upper, int64_t n, int type, void* a, int64_t lda, int,
                          void* w, int, void*, size_t, void*, size_t, int* info) {
  if (type == TYPE_FLOAT)
    return cusolverDnSsyevd(handle, vectors, upper, n, (float*)a, lda, (float*)w, nullptr, 0, info);
  if (type == TYPE_DOUBLE)
    return cusolverDnDsyevd(handle, vectors, upper, n, (double*)a, lda, (double*)w, nullptr, 0, info);
  return NOT_SUPPORTED;
}
