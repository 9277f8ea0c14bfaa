// Stands in for NVIDIA's driver where there is no device: cuDNN compiles for a device that is described to it, but wants a driver to be there
// that takes the code.
#define EXPORT extern "C" __attribute__((visibility("default")))
#define NONE(function) EXPORT int function() { return 100; }
#define TAKES(function) EXPORT int function(void** result) { return *result = (void*)function, 0; }
#define DOES(function) EXPORT int function() { return 0; }

NONE(cuInit)
NONE(cuDriverGetVersion)
NONE(cuDeviceGet)
NONE(cuDeviceGetCount)
NONE(cuGetErrorName)
NONE(cuGetErrorString)
NONE(cuCtxGetCurrent)
NONE(cuCtxGetLimit)
NONE(cuCtxPopCurrent)
NONE(cuCtxPushCurrent)
NONE(cuStreamGetCtx)
DOES(cuKernelGetAttribute)
DOES(cuKernelSetAttribute)
NONE(cuLaunchCooperativeKernel)
NONE(cuLaunchKernel)
NONE(cuLaunchKernelEx)
TAKES(cuLibraryGetKernel)
TAKES(cuLibraryLoadData)
NONE(cuLibraryLoadFromFile)
DOES(cuLibraryUnload)
NONE(cuLinkAddData)
NONE(cuLinkComplete)
NONE(cuLinkCreate)
NONE(cuLinkDestroy)
NONE(cuOccupancyMaxPotentialClusterSize)
