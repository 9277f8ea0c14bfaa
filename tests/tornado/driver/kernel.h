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

static inline unsigned __float_as_uint(float value) {
    unsigned bits;
    __builtin_memcpy(&bits, &value, 4);
    return bits;
}
static inline float __int_as_float(int bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

template <class T>
static T min(T a, T b) { return a < b ? a : b; }
template <class T>
static T max(T a, T b) { return a > b ? a : b; }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }

// Tensor cores, as the PTX instruction set places what each item of a warp holds. All warps of a group do the same number of these, so
// the items of a group wait for each other, not those of a warp.
static const char* fake_rows[1024];
static unsigned fake_left[1024][4], fake_right[1024][2];

static inline float fake_value(unsigned pair, int which, bool bf16) {
    unsigned bits = pair >> (16 * which) & 0xffff;
    if (bf16) {
        bits <<= 16;
    } else {
        unsigned sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
        if (exponent == 0) {
            float small = fraction * 0x1p-24f;
            return sign ? -small : small;
        }
        bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    }
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

/** Matrices of 8 x 8: item i of a warp names row i % 8 of matrix i / 8, and gets two neighbours of each matrix. */
static inline void fake_load(int matrices, bool transposed, unsigned* to, const char* row) {
    unsigned item = threadIdx.x, warp = item / 32 * 32, lane = item % 32;
    fake_rows[item] = row;
    fake_barrier();
    for (int m = 0; m < matrices; m++) {
        const char** rows = fake_rows + warp + 8 * m;
        if (transposed) {
            unsigned low = *(const ushort*)(rows[lane % 4 * 2] + lane / 4 * 2);
            to[m] = low | *(const ushort*)(rows[lane % 4 * 2 + 1] + lane / 4 * 2) << 16;
        } else {
            to[m] = *(const unsigned*)(rows[lane / 4] + lane % 4 * 4);
        }
    }
    fake_barrier();
}

/** to [16, 8] = a [16, 16] b [16, 8] + c. */
static inline void fake_multiply(bool bf16, float* to, const unsigned* a, const unsigned* b, const float* c) {
    unsigned item = threadIdx.x, warp = item / 32 * 32, lane = item % 32;
    for (int i = 0; i < 4; i++) {
        fake_left[item][i] = a[i];
    }
    fake_right[item][0] = b[0];
    fake_right[item][1] = b[1];
    fake_barrier();
    for (int i = 0; i < 4; i++) {
        unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        float sum = c[i];
        for (unsigned k = 0; k < 16; k++) {
            unsigned left = fake_left[warp + row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2];
            unsigned right = fake_right[warp + column * 4 + k % 8 / 2][k / 8];
            sum += fake_value(left, k % 2, bf16) * fake_value(right, k % 2, bf16);
        }
        to[i] = sum;
    }
    fake_barrier();
}
