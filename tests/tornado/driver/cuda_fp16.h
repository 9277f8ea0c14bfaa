// In the place of the toolkit's header: what kernels use of it.
#pragma once
typedef _Float16 __half;

static inline unsigned short __half_as_ushort(__half value) {
    unsigned short bits;
    __builtin_memcpy(&bits, &value, 2);
    return bits;
}
static inline __half __float2half(float value) { return (__half) value; }
