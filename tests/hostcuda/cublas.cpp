// In the place of cuBLAS: the products that CuPy's matmul, dot and tensordot ask for, as loops.
//
// Matrices lie in Fortran's order: entry (i, j) of A is A[i + j·lda]. A sum is taken from its first term to its last, in
// the type of its terms; cuBLAS takes it in another order, and in half precision in float.
#include <cstdio>

#include "counts.h"

#define CUBLAS extern "C" __attribute__((visibility("default"))) int

enum { SUCCESS = 0, NOT_SUPPORTED = 15 };
enum { TYPE_FLOAT = 0, TYPE_DOUBLE = 1, TYPE_HALF = 2 };  // of cudaDataType

static int pointer_mode, math_mode;
static void* stream;

CUBLAS cublasCreate_v2(void** handle) { *handle = (void*)64; return SUCCESS; }
CUBLAS cublasDestroy_v2(void*) { return SUCCESS; }
CUBLAS cublasSetStream_v2(void*, void* given) { stream = given; return SUCCESS; }
CUBLAS cublasGetStream_v2(void*, void** kept) { *kept = stream; return SUCCESS; }
CUBLAS cublasSetPointerMode_v2(void*, int mode) { pointer_mode = mode; return SUCCESS; }
CUBLAS cublasGetPointerMode_v2(void*, int* mode) { *mode = pointer_mode; return SUCCESS; }
CUBLAS cublasSetMathMode(void*, int mode) { math_mode = mode; return SUCCESS; }
CUBLAS cublasGetMathMode(void*, int* mode) { *mode = math_mode; return SUCCESS; }
CUBLAS cublasGetVersion_v2(void*, int* version) { *version = 120900; return SUCCESS; }

// C = alpha·op(A)·op(B) + beta·C, with op(A) (m, k), op(B) (k, n); where beta is 0, C is not read: it may be NaN.
template <class T, class Sum>
static void gemm(int turn_a, int turn_b, int m, int n, int k, Sum alpha, const T* A, long lda, const T* B, long ldb,
                 Sum beta, T* C, long ldc) {
  for (int j = 0; j < n; j++) {
    T* c = C + j * ldc;
    if (turn_a) {
      for (int i = 0; i < m; i++) {
        Sum sum = 0;
        for (int l = 0; l < k; l++) sum += (Sum)A[l + i * lda] * (Sum)(turn_b ? B[j + l * ldb] : B[l + j * ldb]);
        c[i] = (T)(beta == 0 ? alpha * sum : alpha * sum + beta * (Sum)c[i]);
      }
    } else {  // by columns of A, along its memory
      Sum column[256];
      for (int first = 0; first < m; first += 256) {
        int rows = m - first < 256 ? m - first : 256;
        for (int i = 0; i < rows; i++) column[i] = 0;
        for (int l = 0; l < k; l++) {
          Sum b = (Sum)(turn_b ? B[j + l * ldb] : B[l + j * ldb]);
          const T* a = A + first + l * lda;
          for (int i = 0; i < rows; i++) column[i] += (Sum)a[i] * b;
        }
        for (int i = 0; i < rows; i++) {
          T& entry = c[first + i];
          entry = (T)(beta == 0 ? alpha * column[i] : alpha * column[i] + beta * (Sum)entry);
        }
      }
    }
  }
}

#define TYPED(P, T)                                                                                                    \
  CUBLAS cublas##P##gemm_v2(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T* A, int lda,           \
                            const T* B, int ldb, const T* beta, T* C, int ldc) {                                       \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    gemm<T, T>(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc);                                                \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##gemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T* A,         \
                                       int lda, long long next_a, const T* B, int ldb, long long next_b,               \
                                       const T* beta, T* C, int ldc, long long next_c, int count) {                    \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    for (int i = 0; i < count; i++)                                                                                    \
      gemm<T, T>(ta, tb, m, n, k, *alpha, A + i * next_a, lda, B + i * next_b, ldb, *beta, C + i * next_c, ldc);       \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##gemmBatched(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T** A, int lda,      \
                                const T** B, int ldb, const T* beta, T** C, int ldc, int count) {                      \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    for (int i = 0; i < count; i++) gemm<T, T>(ta, tb, m, n, k, *alpha, A[i], lda, B[i], ldb, *beta, C[i], ldc);       \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##dot_v2(void*, int n, const T* x, int next_x, const T* y, int next_y, T* result) {                  \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    T sum = 0;                                                                                                         \
    for (long i = 0; i < n; i++) sum += x[i * next_x] * y[i * next_y];                                                 \
    *result = sum;                                                                                                     \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##gemv_v2(void*, int turn, int m, int n, const T* alpha, const T* A, int lda, const T* x,            \
                            int next_x, const T* beta, T* y, int next_y) {                                             \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    long rows = turn ? n : m, terms = turn ? m : n;                                                                    \
    for (long i = 0; i < rows; i++) {                                                                                  \
      T sum = 0;                                                                                                       \
      for (long j = 0; j < terms; j++) sum += (turn ? A[j + i * lda] : A[i + j * lda]) * x[j * next_x];                \
      T& entry = y[i * next_y];                                                                                        \
      entry = *beta == 0 ? *alpha * sum : *alpha * sum + *beta * entry;                                                \
    }                                                                                                                  \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##ger_v2(void*, int m, int n, const T* alpha, const T* x, int next_x, const T* y, int next_y,        \
                           T* A, int lda) {                                                                            \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    for (long j = 0; j < n; j++)                                                                                       \
      for (long i = 0; i < m; i++) A[i + j * lda] += *alpha * x[i * next_x] * y[j * next_y];                           \
    return SUCCESS;                                                                                                    \
  }                                                                                                                    \
  CUBLAS cublas##P##geam(void*, int ta, int tb, int m, int n, const T* alpha, const T* A, int lda, const T* beta,      \
                         const T* B, int ldb, T* C, int ldc) {                                                         \
    hostcuda_counts[PRODUCTS]++;                                                                                       \
    for (long j = 0; j < n; j++)                                                                                       \
      for (long i = 0; i < m; i++) {                                                                                   \
        T a = *alpha == 0 ? 0 : *alpha * (ta ? A[j + i * lda] : A[i + j * lda]);                                       \
        T b = *beta == 0 ? 0 : *beta * (tb ? B[j + i * ldb] : B[i + j * ldb]);                                         \
        C[i + j * ldc] = a + b;                                                                                        \
      }                                                                                                                \
    return SUCCESS;                                                                                                    \
  }
TYPED(S, float)
TYPED(D, double)

// One function for all types, each operand with its own: here all three with the same, and half's sums in float.
CUBLAS cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* A,
                                  int type_a, int lda, long long next_a, const void* B, int type_b, int ldb,
                                  long long next_b, const void* beta, void* C, int type_c, int ldc, long long next_c,
                                  int count, int, int) {
  if (type_a != type_b || type_a != type_c) return NOT_SUPPORTED;
  hostcuda_counts[PRODUCTS]++;
  for (int i = 0; i < count; i++) {
    if (type_a == TYPE_FLOAT)
      gemm<float, float>(ta, tb, m, n, k, *(float*)alpha, (float*)A + i * next_a, lda, (float*)B + i * next_b, ldb,
                         *(float*)beta, (float*)C + i * next_c, ldc);
    else if (type_a == TYPE_DOUBLE)
      gemm<double, double>(ta, tb, m, n, k, *(double*)alpha, (double*)A + i * next_a, lda, (double*)B + i * next_b,
                           ldb, *(double*)beta, (double*)C + i * next_c, ldc);
    else if (type_a == TYPE_HALF)
      gemm<_Float16, float>(ta, tb, m, n, k, *(float*)alpha, (_Float16*)A + i * next_a, lda,
                            (_Float16*)B + i * next_b, ldb, *(float*)beta, (_Float16*)C + i * next_c, ldc);
    else
      return NOT_SUPPORTED;
  }
  return SUCCESS;
}

CUBLAS cublasGemmEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* A, int type_a,
                    int lda, const void* B, int type_b, int ldb, const void* beta, void* C, int type_c, int ldc,
                    int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, A, type_a, lda, 0, B, type_b, ldb, 0, beta, C,
                                    type_c, ldc, 0, 1, compute, algorithm);
}

CUBLAS cublasSgemmEx(void* handle, int ta, int tb, int m, int n, int k, const float* alpha, const void* A, int type_a,
                     int lda, const void* B, int type_b, int ldb, const float* beta, void* C, int type_c, int ldc) {
  return cublasGemmEx(handle, ta, tb, m, n, k, alpha, A, type_a, lda, B, type_b, ldb, beta, C, type_c, ldc, 0, 0);
}
