// Stands in for cublasLt: what linear layers call of it, as plain loops over device memory, which is memory of the host.
//   FAKE_CUDA_CUBLAS    the number of the matmul that fails, from 1
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "device.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Status { SUCCESS = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { F32 = 0, F16 = 2, BF16 = 14, E4M3 = 28 };
enum Attribute {
    TRANS_A = 3, TRANS_B = 4, EPILOGUE = 7, BIAS_POINTER = 8, A_SCALE = 17, B_SCALE = 18, BIAS_TYPE = 26, A_SCALE_MODE = 31, B_SCALE_MODE = 32
};
enum Preference { MAX_WORKSPACE = 1, MIN_ALIGNMENT_A = 5 };
const int computeF32 = 68, bias = 4, gelu = 32, outerVector = 3;
const uint64_t alignment = 16, workspaceAlignment = 256;

struct Attributes : std::map<int, uint64_t> {
    Status put(int attribute, const void* value, size_t size) {
        uint64_t number = 0;
        memcpy(&number, value, size);
        (*this)[attribute] = number;
        return size > 8 ? INVALID_VALUE : SUCCESS;
    }
};

struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t stride;
};

struct Algorithm {
    uint64_t data[8];
};

struct Result {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

static float get(const void* from, int type, size_t at) {
    if (type == E4M3) {
        int byte = ((const uint8_t*)from)[at], exponent = byte >> 3 & 15, mantissa = byte & 7;
        float size = (byte & 127) == 127 ? NAN : std::ldexp(exponent ? 8 + mantissa : mantissa, std::max(1, exponent) - 10);
        return byte < 128 ? size : -size;
    }
    uint16_t half = type == F32 ? 0 : ((const uint16_t*)from)[at];
    uint32_t bits = (uint32_t)half << 16;
    float value;
    _Float16 narrow;
    memcpy(&value, &bits, 4);
    memcpy(&narrow, &half, 2);
    return type == F32 ? ((const float*)from)[at] : type == BF16 ? value : (float)narrow;
}

static void set(void* to, int type, size_t at, float value) {
    if (type == F32) {
        ((float*)to)[at] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t half = std::isnan(value) ? 0x7fff : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    _Float16 narrow = (_Float16)value;
    if (type == F16) {
        memcpy(&half, &narrow, 2);
    }
    ((uint16_t*)to)[at] = half;
}

EXPORT size_t cublasLtGetVersion() { return 130100; }
EXPORT const char* cublasLtGetStatusString(int status) { return status == EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED" : "CUBLAS_STATUS"; }
EXPORT int cublasLtCreate(void** handle) { *handle = new char; return SUCCESS; }
EXPORT int cublasLtDestroy(void* handle) { delete (char*)handle; return SUCCESS; }
EXPORT int cublasLtMatmulDescCreate(Attributes** descriptor, int compute, int scale) {
    *descriptor = new Attributes;
    return compute == computeF32 && scale == F32 ? SUCCESS : NOT_SUPPORTED;
}
EXPORT int cublasLtMatmulDescSetAttribute(Attributes* descriptor, int attribute, const void* value, size_t size) { return descriptor->put(attribute, value, size); }
EXPORT int cublasLtMatmulDescDestroy(Attributes* descriptor) { delete descriptor; return SUCCESS; }
EXPORT int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    *layout = new Layout{type, rows, columns, stride};
    return stride < (int64_t)rows ? INVALID_VALUE : SUCCESS;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) { delete layout; return SUCCESS; }
EXPORT int cublasLtMatmulPreferenceCreate(Attributes** preference) { *preference = new Attributes; return SUCCESS; }
EXPORT int cublasLtMatmulPreferenceSetAttribute(Attributes* preference, int attribute, const void* value, size_t size) { return preference->put(attribute, value, size); }
EXPORT int cublasLtMatmulPreferenceDestroy(Attributes* preference) { delete preference; return SUCCESS; }

static int bias_type(Attributes& how, Layout* d) { return how.count(BIAS_TYPE) ? how[BIAS_TYPE] : d->type; }

// What the documentation says of types: of two factors of 8 bits on a GPU of compute capability 9.0, with scales of rows and columns.
static bool takes(Attributes& how, Layout* a, Layout* b, Layout* d) {
    if (a->type != b->type || how[TRANS_A] != 1 || how[TRANS_B] != 0) {
        return false;
    }
    if (a->type != E4M3) {
        return !how[A_SCALE] && !how[B_SCALE] && bias_type(how, d) == d->type && (d->type == F32 || d->type == a->type);
    }
    return (d->type == F32 || d->type == BF16) && bias_type(how, d) == BF16 && a->rows % 16 == 0 && d->rows % 16 == 0 && a->stride % 16 == 0 &&
           b->stride % 16 == 0 && d->stride % 16 == 0 && how[A_SCALE_MODE] == outerVector && how[B_SCALE_MODE] == outerVector;
}

// One algorithm, for callers that do not promise more of their addresses than holds.
EXPORT int cublasLtMatmulAlgoGetHeuristic(void*, Attributes* how, Layout* a, Layout* b, Layout*, Layout* d, Attributes* preference, int requested, Result* results, int* found) {
    if (!takes(*how, a, b, d)) {
        return NOT_SUPPORTED;
    }
    *found = requested > 0 && preference->count(MAX_WORKSPACE);
    for (int i = 0; i < 4; i++) {
        if (!preference->count(MIN_ALIGNMENT_A + i) || (*preference)[MIN_ALIGNMENT_A + i] > alignment) {
            *found = 0;
        }
    }
    memset(results, 0, sizeof(Result));
    results->algorithm.data[7] = 7;
    return SUCCESS;
}

// A matmul with all that the caller may change or destroy before a device comes to it.
struct Matmul {
    Attributes how;
    float alpha, beta;
    const void *a, *b;
    void *d, *workspace;
    Layout al, bl, dl;
    size_t bytes;
};

static void multiply(void* work) {
    Matmul* m = (Matmul*)work;
    uint64_t inner = m->al.rows, rows = m->al.columns, columns = m->bl.columns;
    std::vector<float> left(rows * inner), right(columns * inner);
    for (uint64_t i = 0; i < left.size(); i++) {
        left[i] = get(m->a, m->al.type, i / inner * m->al.stride + i % inner);
    }
    for (uint64_t i = 0; i < right.size(); i++) {
        right[i] = get(m->b, m->bl.type, i / inner * m->bl.stride + i % inner);
    }
    const void* added = (const void*)m->how[BIAS_POINTER];
    const float *aScale = (const float*)m->how[A_SCALE], *bScale = (const float*)m->how[B_SCALE];
    for (uint64_t j = 0; j < columns; j++) {
        for (uint64_t i = 0; i < rows; i++) {
            float sum = 0;
            for (uint64_t k = 0; k < inner; k++) {
                sum += left[i * inner + k] * right[j * inner + k];
            }
            sum *= (aScale ? aScale[i] : 1) * (bScale ? bScale[j] : 1);
            size_t at = j * m->dl.stride + i;
            float value = m->alpha * sum + (m->beta ? m->beta * get(m->d, m->dl.type, at) : 0);
            value += m->how[EPILOGUE] & bias ? get(added, bias_type(m->how, &m->dl), i) : 0;
            if (m->how[EPILOGUE] & gelu) {
                value = 0.5f * value * (1 + std::tanh(0.7978845608 * (value + 0.044715 * value * value * value)));
            }
            set(m->d, m->dl.type, at, value);
        }
    }
    memset(m->workspace, 0xff, m->bytes);
    delete m;
}

EXPORT int cublasLtMatmul(void*, Attributes* how, const float* alpha, const void* a, Layout* al, const void* b, Layout* bl, const float* beta,
                          const void* c, Layout* cl, void* d, Layout* dl, const Algorithm* algorithm, void* workspace, size_t bytes, void*) {
    static long calls = 0;
    static const char* failing = getenv("FAKE_CUDA_CUBLAS");
    if (failing && ++calls == atol(failing)) {
        return EXECUTION_FAILED;
    }
    uint64_t addresses = (uint64_t)a | (uint64_t)b | (uint64_t)c | (uint64_t)d | (*how)[BIAS_POINTER] | (*how)[A_SCALE] | (*how)[B_SCALE];
    if (addresses % alignment || (uint64_t)workspace % workspaceAlignment || c != d || cl != dl || algorithm->data[7] != 7) {
        fprintf(stderr, "fake cublasLt: a call that it does not know, or addresses that are not aligned\n");
        return NOT_SUPPORTED;
    }
    if (bl->rows != al->rows || dl->rows != al->columns || dl->columns != bl->columns || !takes(*how, al, bl, dl)) {
        return INVALID_VALUE;
    }
    fake_later(multiply, new Matmul{*how, *alpha, *beta, a, b, d, workspace, *al, *bl, *dl, bytes});
    return SUCCESS;
}
