// Stands in for NVIDIA's driver, for tests: device memory is memory of the host, kernels are libraries that compiler.cpp makes,
// and everything is done before a function returns, or as late as a device may do it. It has only what TornadoVM 5.2.0 calls.
//   FAKE_CUDA_LATE      1: launches, and transfers from pinned memory, are done when the host waits for them
//   FAKE_CUDA_MEMORY    bytes of the device
//   FAKE_CUDA_SKIP      the number of a launch that fails alone, from 1
//   FAKE_CUDA_DIES      the number of the launch that fails with all that follow
//   FAKE_CUDA_REPORT    the file that counts are written to when the process ends
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <csetjmp>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#include "device.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

typedef unsigned long long Pointer;
enum Result { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, NOT_FOUND = 500, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801 };

__thread Dim threadIdx, blockIdx, blockDim, gridDim;

namespace {
long number(const char* name, long otherwise) {
    const char* value = getenv(name);
    return value ? atol(value) : otherwise;
}

const long page = 4096;
const long memory = number("FAKE_CUDA_MEMORY", 64L << 30);
const long skipped = number("FAKE_CUDA_SKIP", 0);
const long dies = number("FAKE_CUDA_DIES", 0);

struct Block {
    char* map;
    size_t mapped, size;
};

std::recursive_mutex mutex;
std::map<Pointer, Block> blocks;
const bool late = number("FAKE_CUDA_LATE", 0);
std::map<const char*, size_t> pinned;
std::vector<std::function<Result()>> waiting;  // what a late device has still to do
long used, launches, sends, fetches, sentBytes, fetchedBytes, waits, faults;

bool dead() { return dies > 0 && launches >= dies; }

Result fault(const char* what) {
    faults++;
    fprintf(stderr, "fake driver: %s\n", what);
    return INVALID_VALUE;
}

bool inside(Pointer at, size_t size) {
    auto next = blocks.upper_bound(at);
    return next != blocks.begin() && at + size <= std::prev(next)->first + std::prev(next)->second.size;
}

bool isPinned(const void* at, size_t size) {
    auto next = pinned.upper_bound((const char*)at);
    return next != pinned.begin() && (const char*)at + size <= std::prev(next)->first + std::prev(next)->second;
}

Result finish() {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    Result result = OK;
    for (auto& work : waiting) {
        Result one = work();
        result = result ? result : one;
    }
    waiting.clear();
    return result;
}

Result wait() {
    waits++;
    Result result = finish();
    return dead() ? LAUNCH_FAILED : result;
}

struct Report {
    ~Report() {
        const char* path = getenv("FAKE_CUDA_REPORT");
        FILE* file = path ? fopen(path, "w") : nullptr;
        if (file) {
            fprintf(file, "launches %ld\nsends %ld\nsentBytes %ld\nfetches %ld\nfetchedBytes %ld\nwaits %ld\nfaults %ld\n",
                    launches, sends, sentBytes, fetches, fetchedBytes, waits, faults);
            fclose(file);
        }
    }
} report;

// Items of a group that has barriers take turns: each runs up to the next barrier. Their stacks serve all groups. Only the first step
// into a stack is by setcontext: it and swapcontext ask the kernel for signals each time, which setjmp does not.
struct Item {
    ucontext_t context;
    jmp_buf place;
    std::vector<char> stack;
    bool begun;
    bool done;
    int barriers;
};

jmp_buf scheduler;
std::deque<Item> items;
Item* running;
Kernel entry;
void** arguments;

void suspend() {
    if (!_setjmp(running->place)) {
        _longjmp(scheduler, 1);
    }
}

void runItem() {
    for (;;) {
        entry(arguments);
        running->done = true;
        suspend();
    }
}

void resume(Item& item) {
    running = &item;
    if (_setjmp(scheduler)) {
        return;
    }
    if (item.begun) {
        _longjmp(item.place, 1);
    }
    item.begun = true;
    item.stack.resize(64 << 10);
    getcontext(&item.context);
    item.context.uc_stack.ss_sp = item.stack.data();
    item.context.uc_stack.ss_size = item.stack.size();
    makecontext(&item.context, runItem, 0);
    setcontext(&item.context);
}

void select(unsigned item) {
    threadIdx = {item % blockDim.x, item / blockDim.x % blockDim.y, item / blockDim.x / blockDim.y};
}

bool runGroup(unsigned count, bool barriers) {
    if (!barriers) {
        for (unsigned i = 0; i < count; i++) {
            select(i);
            entry(arguments);
        }
        return true;
    }
    if (items.size() < count) {
        items.resize(count);
    }
    for (unsigned i = 0; i < count; i++) {
        items[i].done = false;
        items[i].barriers = 0;
    }
    for (;;) {
        unsigned done = 0;
        for (unsigned i = 0; i < count; i++) {
            select(i);
            resume(items[i]);
            done += items[i].done;
        }
        for (unsigned i = 1; i < count; i++) {
            if (items[i].barriers != items[0].barriers || items[i].done != items[0].done) {
                items.clear();  // some are in the middle of the kernel
                return false;
            }
        }
        if (done == count) {
            return true;
        }
    }
}
}  // namespace

EXPORT void fake_barrier() {
    running->barriers++;
    suspend();
}

EXPORT int cuInit(unsigned) { return OK; }
EXPORT int cuDriverGetVersion(int* version) { *version = 13000; return OK; }
EXPORT int cuDeviceGetCount(int* count) { *count = 1; return OK; }
EXPORT int cuDeviceGet(int* device, int which) { *device = which; return OK; }
EXPORT int cuDeviceGetName(char* name, int size, int) { snprintf(name, size, "fake device"); return OK; }
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = 64UL << 30; return OK; }
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
    static const std::map<int, int> values = {{1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {8, 49152}, {9, 65536}, {10, 32},
        {13, 1980000}, {16, 132}, {31, 1}, {40, 3}, {75, 9}, {76, 0}};  // CUdevice_attribute
    auto known = values.find(attribute);
    *value = known == values.end() ? 0 : known->second;
    return OK;
}
EXPORT int cuCtxCreate_v4(void** context, void*, unsigned, int) { *context = &blocks; return OK; }
EXPORT int cuCtxDestroy_v2(void*) { return OK; }
EXPORT int cuCtxSetCurrent(void*) { return OK; }
EXPORT int cuCtxSynchronize() { return wait(); }
EXPORT int cuStreamCreate(void** stream, unsigned) { *stream = new char; return OK; }
EXPORT int cuStreamDestroy_v2(void* stream) { delete (char*)stream; return OK; }
EXPORT int cuStreamSynchronize(void*) { return wait(); }
EXPORT int cuStreamWaitEvent(void*, void*, unsigned) { return OK; }
EXPORT int cuStreamIsCapturing(void*, int* status) { *status = 0; return OK; }
EXPORT int cuStreamBeginCapture_v2(void*, int) { return NOT_SUPPORTED; }
EXPORT int cuStreamEndCapture(void*, void**) { return NOT_SUPPORTED; }
EXPORT int cuGraphInstantiateWithFlags(void**, void*, unsigned long long) { return NOT_SUPPORTED; }
EXPORT int cuGraphLaunch(void*, void*) { return NOT_SUPPORTED; }
EXPORT int cuGraphDestroy(void*) { return OK; }
EXPORT int cuGraphExecDestroy(void*) { return OK; }
EXPORT int cuGraphExecUpdate_v2(void*, void*, void*) { return NOT_SUPPORTED; }
EXPORT int cuEventCreate(void** event, unsigned) { *event = new char; return OK; }
EXPORT int cuEventDestroy_v2(void* event) { delete (char*)event; return OK; }
EXPORT int cuEventRecord(void*, void*) { return OK; }
EXPORT int cuEventSynchronize(void*) { return finish(); }
EXPORT int cuEventQuery(void*) { return finish(); }
EXPORT int cuEventElapsedTime_v2(float* milliseconds, void*, void*) { *milliseconds = 0; return OK; }
EXPORT int cuGetErrorString(int, const char** text) { *text = "the fake driver was told to fail, or found a fault"; return OK; }
EXPORT int cuGetErrorName(int, const char** text) { *text = "FAKE_DRIVER_ERROR"; return OK; }

// Memory is full of NaN and ends right before a page that cannot be touched; another one lies before it.
EXPORT int cuMemAlloc_v2(Pointer* pointer, size_t size) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (used + (long)size > memory) {
        return OUT_OF_MEMORY;
    }
    size_t body = (size + page - 1) / page * page;
    char* map = (char*)mmap(nullptr, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, body, PROT_READ | PROT_WRITE)) {
        return OUT_OF_MEMORY;
    }
    memset(map + page, 0xff, body);
    *pointer = (Pointer)(map + page + (body - size) / 16 * 16);
    blocks[*pointer] = {map, body + 2 * page, size};
    used += size;
    return OK;
}
EXPORT int cuMemFree_v2(Pointer pointer) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    finish();
    auto block = blocks.find(pointer);
    if (block == blocks.end()) {
        return fault("what is freed was never allocated");
    }
    munmap(block->second.map, block->second.mapped);
    used -= block->second.size;
    blocks.erase(block);
    return OK;
}
EXPORT int cuMemAllocHost_v2(void** pointer, size_t size) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (posix_memalign(pointer, page, size)) {
        return OUT_OF_MEMORY;
    }
    pinned[(const char*)*pointer] = size;
    return OK;
}
EXPORT int cuMemFreeHost(void* pointer) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    finish();
    pinned.erase((const char*)pointer);
    free(pointer);
    return OK;
}
EXPORT int cuMemHostRegister_v2(void* at, size_t size, unsigned) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    pinned[(const char*)at] = size;
    return OK;
}
EXPORT int cuMemHostUnregister(void* at) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    finish();
    pinned.erase((const char*)at);
    return OK;
}
EXPORT int cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t size, void*) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (dead()) {
        return LAUNCH_FAILED;
    }
    if (!inside(to, size)) {
        return fault("a transfer to the device leaves its buffer");
    }
    sends++;
    sentBytes += size;
    if (late && isPinned(from, size)) {
        waiting.push_back([=] { memcpy((void*)to, from, size); return OK; });
        return OK;
    }
    finish();
    memcpy((void*)to, from, size);
    return OK;
}
EXPORT int cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t size, void*) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (dead()) {
        return LAUNCH_FAILED;
    }
    if (!inside(from, size)) {
        return fault("a transfer from the device leaves its buffer");
    }
    finish();
    fetches++;
    fetchedBytes += size;
    memcpy(to, (const void*)from, size);
    return OK;
}
EXPORT int cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t size) { finish(); memmove((void*)to, (const void*)from, size); return OK; }
EXPORT int cuMemsetD8_v2(Pointer to, unsigned char value, size_t size) { finish(); memset((void*)to, value, size); return OK; }

// An image is the path of a library.
EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned, void*, void*) {
    *module = dlopen((const char*)image, RTLD_NOW | RTLD_LOCAL);
    if (!*module) {
        fprintf(stderr, "fake driver: %s\n", dlerror());
    }
    return *module ? OK : INVALID_IMAGE;
}
EXPORT int cuModuleUnload(void*) { return OK; }
EXPORT int cuModuleGetFunction(void** function, void* module, const char*) {
    *function = dlsym(module, "fake_kernel");
    return *function ? OK : NOT_FOUND;
}
EXPORT int cuOccupancyMaxPotentialBlockSize(int* groups, int* group, void*, void*, size_t, int) { *groups = 132; *group = 256; return OK; }

static Result run(const FakeKernel* kernel, Dim grid, Dim block, void** parameters) {
    entry = kernel->entry;
    arguments = parameters;
    gridDim = grid;
    blockDim = block;
    for (unsigned long i = 0; i < (unsigned long)grid.x * grid.y * grid.z; i++) {
        blockIdx = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y)};
        if (!runGroup(block.x * block.y * block.z, kernel->barriers)) {
            return fault("a barrier that not all items of a group reach");
        }
    }
    return OK;
}

EXPORT void fake_later(void (*work)(void*), void* data) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!late) {
        work(data);
        return;
    }
    waiting.push_back([=] {
        work(data);
        return OK;
    });
}

EXPORT int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                          void*, void** parameters, void**) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    launches++;
    if (dead() || launches == skipped) {
        return LAUNCH_FAILED;
    }
    if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024) {
        return fault("a launch without items, or with more than 1024 in a group");
    }
    const FakeKernel* kernel = (const FakeKernel*)function;
    Dim grid = {gx, gy, gz}, block = {bx, by, bz};
    if (!late) {
        return run(kernel, grid, block, parameters);
    }
    std::vector<std::vector<char>> values;  // as they are now: a launch copies its parameters
    for (const size_t* size = kernel->sizes; *size; size++) {
        const char* value = (const char*)parameters[values.size()];
        values.emplace_back(value, value + *size);
    }
    waiting.push_back([=]() mutable {
        std::vector<void*> all;
        for (auto& value : values) {
            all.push_back(value.data());
        }
        return run(kernel, grid, block, all.data());
    });
    return OK;
}
