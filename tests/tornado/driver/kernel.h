// Goes before the source of a kernel.
#pragma once
#include "device.h"

typedef unsigned int uint;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned long ulong;

#define __global__
#define __device__ static
#define __forceinline__ inline
#define __shared__ static
#define __syncthreads() fake_barrier()

using std::exp;
using std::fabs;
using std::fma;
using std::fmax;
using std::fmin;
using std::isinf;
using std::isnan;
using std::sqrt;

template <class T>
static T min(T a, T b) { return a < b ? a : b; }
template <class T>
static T max(T a, T b) { return a > b ? a : b; }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
