// What CUDA C has and C++ lacks, as far as TornadoVM's kernels use it.
#pragma once
#include <cmath>
#include <cstddef>
#include <utility>

struct Dim {
    unsigned x, y, z;
};

extern "C" __thread Dim threadIdx, blockIdx, blockDim, gridDim;
extern "C" void fake_barrier();
/** Work of a library, after all that is queued. */
extern "C" void fake_later(void (*work)(void*), void* data);

typedef void (*Kernel)(void** parameters);

/** A kernel as the driver finds it in its library. */
struct FakeKernel {
    Kernel entry;
    bool barriers;
    const size_t* sizes;  // of its parameters; 0 after the last
};

template <class... A>
const size_t* fake_sizes(void (*)(A...)) {
    static const size_t sizes[] = {sizeof(A)..., 0};
    return sizes;
}

template <class... A, size_t... I>
void fake_call(void (*kernel)(A...), void** parameters, std::index_sequence<I...>) {
    kernel(*(A*)parameters[I]...);
}

template <class... A>
void fake_call(void (*kernel)(A...), void** parameters) {
    fake_call(kernel, parameters, std::index_sequence_for<A...>());
}
