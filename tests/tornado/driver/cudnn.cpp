// Stands in for cuDNN's backend: attention as one operation, as plain loops over device memory, which is memory of the host.
//   FAKE_CUDA_CUDNN    the number of the attention that fails, from 1
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "device.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, EXECUTION_FAILED = 5000 };
enum Type { F32 = 0, F16 = 2, INT32 = 4, BF16 = 9 };
enum Kind { CONFIG = 3, HEURISTICS = 4, PLAN = 5, GRAPH = 15, PACK = 16, TENSOR = 17, SDPA = 41 };
enum Attribute {
    HEURISTICS_GRAPH = 201, HEURISTICS_RESULTS = 202, PLAN_CONFIG = 401, PLAN_WORKSPACE = 402, GRAPH_HANDLE = 800, GRAPH_OPERATIONS = 801,
    ALIGNMENT = 900, DATA_TYPE = 901, DIMENSIONS = 902, STRIDES = 903, ID = 906, PACK_IDS = 1000, PACK_POINTERS = 1001, PACK_WORKSPACE = 1003,
    Q = 2800, K = 2801, V = 2802, O = 2803, SCALE = 2805, K_TABLE = 2807, V_TABLE = 2808, QUERIES = 2809, KEYS = 2810
};
const int64_t workspaceBytes = 256;

struct Descriptor {
    int kind;
    bool finished;
    std::map<int, std::vector<int64_t>> values;

    bool has(std::initializer_list<int> all) {
        for (int each : all) {
            if (!values.count(each)) {
                return false;
            }
        }
        return true;
    }
};

static thread_local const char* lastError = "";

static Status refuse(Status status, const char* why) {
    lastError = why;
    return status;
}

// A tensor of an operation, with its address.
struct Tensor {
    int64_t type, dims[4], strides[4], alignment;
    char* at;

    float get(int64_t place) const {
        uint16_t half = type == F32 ? 0 : ((const uint16_t*)at)[place];
        uint32_t bits = (uint32_t)half << 16;
        float value;
        _Float16 narrow;
        memcpy(&value, &bits, 4);
        memcpy(&narrow, &half, 2);
        return type == F32 ? ((const float*)at)[place] : type == BF16 ? value : (float)narrow;
    }

    void set(int64_t place, float value) const {
        if (type == F32) {
            ((float*)at)[place] = value;
            return;
        }
        uint32_t bits;
        memcpy(&bits, &value, 4);
        uint16_t half = std::isnan(value) ? 0x7fff : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        _Float16 narrow = (_Float16)value;
        if (type == F16) {
            memcpy(&half, &narrow, 2);
        }
        ((uint16_t*)at)[place] = half;
    }

    int64_t place(int64_t a, int64_t b, int64_t c) const { return a * strides[0] + b * strides[1] + c * strides[2]; }
};

EXPORT size_t cudnnGetVersion() { return 92400; }
EXPORT void cudnnGetLastErrorString(char* text, size_t bytes) { snprintf(text, bytes, "%s", lastError); }
EXPORT int cudnnCreate(void** handle) { *handle = new char; return SUCCESS; }
EXPORT int cudnnDestroy(void* handle) { delete (char*)handle; return SUCCESS; }
EXPORT int cudnnSetStream(void*, void*) { return SUCCESS; }
EXPORT int cudnnBackendCreateDescriptor(int kind, Descriptor** descriptor) { *descriptor = new Descriptor{kind, false, {}}; return SUCCESS; }
EXPORT int cudnnBackendDestroyDescriptor(Descriptor* descriptor) { delete descriptor; return SUCCESS; }

EXPORT int cudnnBackendSetAttribute(Descriptor* to, int attribute, int type, int64_t count, const void* values) {
    if (to->finished) {
        return refuse(BAD_PARAM, "a descriptor that is finalized");
    }
    size_t size = type == 1 || type == 8 ? 4 : type == 2 ? 1 : 8;
    std::vector<int64_t> all(count);
    for (int64_t i = 0; i < count; i++) {
        memcpy(&all[i], (const char*)values + i * size, size);
    }
    to->values[attribute] = all;
    return SUCCESS;
}

static Descriptor* pointed(Descriptor* from, int attribute) { return (Descriptor*)from->values[attribute][0]; }

EXPORT int cudnnBackendFinalize(Descriptor* one) {
    bool whole = false;
    switch (one->kind) {
        case TENSOR: whole = one->has({ALIGNMENT, DATA_TYPE, DIMENSIONS, STRIDES, ID}); break;
        case SDPA: whole = one->has({Q, K, V, O, SCALE}) && one->has({QUERIES}) == one->has({KEYS}) && (one->has({KEYS}) || !one->has({K_TABLE})); break;
        case GRAPH: whole = one->has({GRAPH_HANDLE, GRAPH_OPERATIONS}) && pointed(one, GRAPH_OPERATIONS)->finished; break;
        case HEURISTICS: whole = one->has({HEURISTICS_GRAPH}) && pointed(one, HEURISTICS_GRAPH)->finished; break;
        case PLAN: whole = one->has({PLAN_CONFIG}) && pointed(one, PLAN_CONFIG)->finished; break;
        case PACK: whole = one->has({PACK_IDS, PACK_POINTERS, PACK_WORKSPACE}); break;
    }
    if (!whole) {
        return refuse(BAD_PARAM, "a descriptor that is not whole");
    }
    if (one->kind == SDPA && one->has({K_TABLE})) {
        int64_t block = pointed(one, K)->values[DIMENSIONS][2];
        if (block < 1 || block & (block - 1)) {
            return refuse(BAD_PARAM, "block size needs to be non-zero and a power of 2");
        }
    }
    one->finished = true;
    return SUCCESS;
}

EXPORT int cudnnBackendGetAttribute(Descriptor* from, int attribute, int, int64_t most, int64_t* count, void* values) {
    if (!from->finished || most < 1) {
        return refuse(NOT_INITIALIZED, "a descriptor that is not finalized");
    }
    *count = 1;
    if (from->kind == PLAN && attribute == PLAN_WORKSPACE) {
        *(int64_t*)values = workspaceBytes;
        return SUCCESS;
    }
    if (from->kind != HEURISTICS || attribute != HEURISTICS_RESULTS) {
        return refuse(BAD_PARAM, "an attribute that it does not know");
    }
    Descriptor* operation = pointed(pointed(from, HEURISTICS_GRAPH), GRAPH_OPERATIONS);
    for (int each : {Q, K, V}) {
        Descriptor* tensor = pointed(operation, each);
        bool fits = tensor->values[DATA_TYPE][0] == F16 && tensor->values[DIMENSIONS][3] % 8 == 0 && tensor->values[DIMENSIONS][3] <= 256;
        for (int i = 0; i < 3; i++) {
            fits = fits && tensor->values[STRIDES][i] % 8 == 0;
        }
        *count = fits ? *count : 0;
    }
    Descriptor* config = *(Descriptor**)values;
    config->values[HEURISTICS_GRAPH] = from->values[HEURISTICS_GRAPH];
    config->finished = true;
    return SUCCESS;
}

// An attention with all that the caller may change or destroy before a device comes to it.
struct Attention {
    std::map<int, Tensor> tensors;
    float scale;
    void* workspace;
};

static void attend(void* work) {
    Attention* a = (Attention*)work;
    Tensor &q = a->tensors[Q], &k = a->tensors[K], &v = a->tensors[V], &o = a->tensors[O];
    bool blocks = a->tensors.count(K_TABLE), valueBlocks = a->tensors.count(V_TABLE);
    int64_t channels = q.dims[3], columns = v.dims[3];
    for (int64_t sample = 0; sample < q.dims[0]; sample++) {
        int64_t keys = blocks ? ((int32_t*)a->tensors[KEYS].at)[sample] : k.dims[2];
        if (blocks && ((int32_t*)a->tensors[QUERIES].at)[sample] != q.dims[2]) {
            fprintf(stderr, "fake cuDNN: a number of queries that is not that of the tensor\n");
            abort();
        }
        for (int64_t head = 0; head < q.dims[1]; head++) {
            std::vector<float> ofK(keys * channels), ofV(keys * columns), weights(keys), row(channels);
            for (int64_t key = 0; key < keys; key++) {
                int64_t from = sample, token = key, fromV = sample, tokenV = key;
                if (blocks) {
                    from = ((int32_t*)a->tensors[K_TABLE].at)[sample * a->tensors[K_TABLE].dims[2] + key / k.dims[2]];
                    token = key % k.dims[2];
                }
                if (valueBlocks) {
                    fromV = from;
                    tokenV = token;
                }
                for (int64_t c = 0; c < channels; c++) {
                    ofK[key * channels + c] = k.get(k.place(from, head, token) + c);
                }
                for (int64_t c = 0; c < columns; c++) {
                    ofV[key * columns + c] = v.get(v.place(fromV, v.dims[1] == 1 ? 0 : head, tokenV) + c);
                }
            }
            for (int64_t query = 0; query < q.dims[2]; query++) {
                float most = -INFINITY, total = 0;
                std::vector<float> sums(columns);
                for (int64_t c = 0; c < channels; c++) {
                    row[c] = q.get(q.place(sample, head, query) + c);
                }
                for (int64_t key = 0; key < keys; key++) {
                    float dot = 0;
                    for (int64_t c = 0; c < channels; c++) {
                        dot += row[c] * ofK[key * channels + c];
                    }
                    weights[key] = dot * a->scale;
                    most = std::fmax(most, weights[key]);
                }
                for (int64_t key = 0; key < keys; key++) {
                    float weight = std::exp(weights[key] - most);
                    total += weight;
                    float rounded = (float)(_Float16)weight;
                    for (int64_t c = 0; c < columns; c++) {
                        sums[c] += rounded * ofV[key * columns + c];
                    }
                }
                for (int64_t c = 0; c < columns; c++) {
                    o.set(o.place(sample, head, query) + c, sums[c] / total);
                }
            }
        }
    }
    memset(a->workspace, 0xff, workspaceBytes);
    delete a;
}

EXPORT int cudnnBackendExecute(void*, Descriptor* plan, Descriptor* pack) {
    static long calls = 0;
    static const char* failing = getenv("FAKE_CUDA_CUDNN");
    if (failing && ++calls == atol(failing)) {
        return refuse(EXECUTION_FAILED, "told to fail");
    }
    if (!plan->finished || !pack->finished || pack->values[PACK_WORKSPACE][0] % workspaceBytes) {
        return refuse(NOT_INITIALIZED, "a plan or a pack that is not finalized, or a workspace that is not aligned");
    }
    std::map<int64_t, int64_t> addresses;
    for (size_t i = 0; i < pack->values[PACK_IDS].size(); i++) {
        addresses[pack->values[PACK_IDS][i]] = pack->values[PACK_POINTERS][i];
    }
    Attention* attention = new Attention;
    for (auto& [attribute, pointer] : pointed(pointed(pointed(plan, PLAN_CONFIG), HEURISTICS_GRAPH), GRAPH_OPERATIONS)->values) {
        Descriptor* described = (Descriptor*)pointer[0];
        Tensor tensor;
        tensor.type = described->values[DATA_TYPE][0];
        tensor.alignment = described->values[ALIGNMENT][0];
        for (int i = 0; i < 4; i++) {
            tensor.dims[i] = described->values[DIMENSIONS][i];
            tensor.strides[i] = described->values[STRIDES][i];
        }
        int64_t address = addresses[described->values[ID][0]];
        if (!address || address % tensor.alignment) {
            delete attention;
            return refuse(BAD_PARAM, "a tensor without an address, or one that is not aligned");
        }
        tensor.at = (char*)address;
        attention->tensors[attribute] = tensor;
    }
    attention->scale = *(float*)attention->tensors[SCALE].at;
    attention->workspace = (void*)pack->values[PACK_WORKSPACE][0];
    fake_later(attend, attention);
    return SUCCESS;
}
