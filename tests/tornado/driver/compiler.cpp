// Stands in for NVRTC: makes a library of the host from a kernel's source. What it gives as the compiled program is the library's path.
//   FAKE_CUDA_FOLDER    with device.h, kernel.h and the driver; libraries go there too
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

struct Program {
    std::string source, log, path;
};

EXPORT const char* nvrtcGetErrorString(int result) { return result ? "the fake compiler failed" : "no error"; }
EXPORT int nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 0; return 0; }
EXPORT int nvrtcGetNumSupportedArchs(int* count) { *count = 1; return 0; }
EXPORT int nvrtcGetSupportedArchs(int* all) { *all = 90; return 0; }
EXPORT int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*, const char* const*) {
    *program = new Program{source, "", ""};
    return 0;
}
EXPORT int nvrtcDestroyProgram(Program** program) { delete *program; *program = nullptr; return 0; }

// Calls of kernel.h in the place of the instructions of tensor cores.
static std::string withoutAssembly(std::string source) {
    auto replace = [&](const char* pattern, const char* with) {
        source = std::regex_replace(source, std::regex(pattern), with);
    };
    const char* result = R"((?:[^:;]|;")*: "=[rf]"\((\w+)\[0\]\)[^:]*)";
    replace(R"(unsigned __smem;)", "const char* __smem;");
    replace(R"(asm volatile\("\{ \.reg[^:]*: "=r"\(__smem\) : "l"\((.*)\)\);)", "__smem = $1;");
    std::string load = std::string(R"(asm volatile\("ldmatrix\.sync\.aligned\.m8n8\.)");
    std::string end = std::string(result) + R"(: "r"\(__smem\)\);)";
    replace((load + R"(x4\.shared\.b16)" + end).c_str(), "fake_load(4, false, $1, __smem);");
    replace((load + R"(x2\.trans\.shared\.b16)" + end).c_str(), "fake_load(2, true, $1, __smem);");
    std::string factors = R"(: "r"\((\w+)\[0\]\)(?:, "r"\(\w+\[[123]\]\)){3}, "r"\((\w+)\[0\]\), "r"\(\w+\[1\]\), "f"\((\w+)\[0\]\)[^;]*;)";
    std::string multiply = R"(asm volatile\("mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.)";
    replace((multiply + "bf16" + result + factors).c_str(), "fake_multiply(true, $1, $2, $3, $4);");
    replace((multiply + "f16" + result + factors).c_str(), "fake_multiply(false, $1, $2, $3, $4);");
    return source;
}

EXPORT int nvrtcCompileProgram(Program* program, int, const char* const*) {
    const char* folder = getenv("FAKE_CUDA_FOLDER");
    std::smatch name;
    if (!folder || !std::regex_search(program->source, name, std::regex("__global__ void (\\w+)\\("))) {
        program->log = folder ? "no kernel in the source" : "FAKE_CUDA_FOLDER is not set";
        return 6;
    }
    std::string base = std::string(folder) + "/" + name.str(1) + "-" + std::to_string(std::hash<std::string>()(program->source));
    program->path = base + ".so";
    if (!access(program->path.c_str(), R_OK)) {
        return 0;
    }
    bool barriers = program->source.find("__syncthreads") != std::string::npos
        || program->source.find("mma.sync") != std::string::npos;
    std::ofstream(base + ".cpp") << "#include \"kernel.h\"\n" << withoutAssembly(program->source) << "\nstatic void entry(void** parameters) { fake_call(&"
        << name.str(1) << ", parameters); }\nextern \"C\" { FakeKernel fake_kernel = {entry, " << barriers << ", fake_sizes(&" << name.str(1)
        << ")}; }\n";
    std::string quoted = std::string("'") + folder + "'";
    std::string command = "c++ -std=c++17 -O1 -w -fpermissive -fno-strict-aliasing -shared -fPIC -I" + quoted + " -o '" + program->path
        + "' '" + base + ".cpp' -L" + quoted + " -l:libcuda.so.1 > '" + base + ".log' 2>&1";
    if (system(command.c_str())) {
        std::ifstream log(base + ".log");
        program->log.assign(std::istreambuf_iterator<char>(log), {});
        fprintf(stderr, "fake compiler: %s\n", program->log.substr(0, 2000).c_str());
        return 6;
    }
    return 0;
}
EXPORT int nvrtcGetPTXSize(Program* program, size_t* size) { *size = program->path.size() + 1; return 0; }
EXPORT int nvrtcGetPTX(Program* program, char* to) { strcpy(to, program->path.c_str()); return 0; }
EXPORT int nvrtcGetCUBINSize(Program* program, size_t* size) { return nvrtcGetPTXSize(program, size); }
EXPORT int nvrtcGetCUBIN(Program* program, char* to) { return nvrtcGetPTX(program, to); }
EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* size) { *size = program->log.size() + 1; return 0; }
EXPORT int nvrtcGetProgramLog(Program* program, char* to) { strcpy(to, program->log.c_str()); return 0; }
