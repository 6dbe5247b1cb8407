// A CUDA driver on the host, as far as PycudaGpu calls one: `kernels.cu` behind `host_shim.h`
// runs at once, in the order of enqueuing. To be included behind HOST_LAUNCHER.
//
// It counts what is live, and makes one function fail on request, from some call on: pycuda tries
// again when memory is short.

#include <dlfcn.h>

#include <functional>
#include <map>
#include <string>

#define DRIVER extern "C" __attribute__((visibility("default")))
#define CALL(NAME) \
    if (const int status = fake::call(#NAME)) return status

namespace fake {

using Work = std::function<void()>;

struct Stream {
    bool capturing = false;
    std::vector<Work> captured;
};

static std::map<std::string, int> live;
static std::map<std::string, int> calls;
static std::string failing;
static int failing_turn = -1;
static int failing_status = 0;
static int device_context = 0;

static int call(const char* name) {
    const int turn = calls[name]++;
    return failing == name && turn >= failing_turn ? failing_status : 0;
}

static void enqueue(void* handle, Work work) {
    Stream* stream = static_cast<Stream*>(handle);
    if (stream && stream->capturing)
        stream->captured.push_back(std::move(work));
    else
        work();
}

static int run(const host::Entry& entry, const unsigned int* grid, const unsigned int* block,
               std::vector<char> packed) {
    std::vector<void*> args;
    std::size_t offset = 0;
    for (const std::size_t size : entry.sizes) {
        offset = (offset + size - 1) / size * size;
        args.push_back(packed.data() + offset);
        offset += size;
    }
    if (offset > packed.size()) return 1;
    return launch(entry.name, grid, block, args.data(), entry.sizes.data(), args.size());
}

}  // namespace fake

// For the tests.
DRIVER void fake_fail(const char* name, int turn, int status) {
    fake::calls.clear();
    fake::failing = name;
    fake::failing_turn = turn;
    fake::failing_status = status;
}
DRIVER int fake_live(char* text, int size) {
    std::string all;
    int total = 0;
    for (const auto& [name, count] : fake::live) {
        total += std::abs(count);
        if (count) all += name + "=" + std::to_string(count) + " ";
    }
    std::snprintf(text, size, "%s", all.c_str());
    return total;
}

DRIVER int cuInit(unsigned int) {
    CALL(cuInit);
    return 0;
}
DRIVER int cuDriverGetVersion(int* version) {
    *version = 13000;
    return 0;
}
DRIVER int cuGetErrorString(int status, const char** text) {
    *text = status == 2 ? "out of memory" : status == 700 ? "an illegal memory access" : "other";
    return 0;
}
DRIVER int cuGetErrorName(int status, const char** text) {
    *text = status == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
    return 0;
}
DRIVER int cuGetProcAddress_v2(const char* name, void** found, int, std::uint64_t, int* status) {
    *found = dlsym(RTLD_DEFAULT, (std::string(name) + "_v2").c_str());
    if (!*found) *found = dlsym(RTLD_DEFAULT, name);
    if (status) *status = *found ? 0 : 1;
    return *found ? 0 : 500;
}
DRIVER int cuDeviceGetCount(int* count) {
    *count = 1;
    return 0;
}
DRIVER int cuDeviceGet(int* device, int) {
    *device = 0;
    return 0;
}
DRIVER int cuDeviceGetName(char* name, int size, int) {
    std::snprintf(name, size, "Host");
    return 0;
}
DRIVER int cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : 0;
    return 0;
}
DRIVER int cuDevicePrimaryCtxRetain(void** context, int) {
    CALL(cuDevicePrimaryCtxRetain);
    ++fake::live["retained"];
    *context = &fake::device_context;
    return 0;
}
DRIVER int cuDevicePrimaryCtxRelease_v2(int) {
    --fake::live["retained"];
    return 0;
}
DRIVER int cuCtxPushCurrent_v2(void*) {
    CALL(cuCtxPushCurrent);
    ++fake::live["current"];
    return 0;
}
DRIVER int cuCtxPopCurrent_v2(void** context) {
    --fake::live["current"];
    *context = &fake::device_context;
    return 0;
}
DRIVER int cuCtxGetDevice(int* device) {
    *device = 0;
    return 0;
}
DRIVER int cuCtxSynchronize() {
    CALL(cuCtxSynchronize);
    return 0;
}
DRIVER int cuModuleLoadDataEx(void** module, const void*, unsigned int, void*, void**) {
    CALL(cuModuleLoadDataEx);
    ++fake::live["module"];
    *module = &fake::live;
    return 0;
}
DRIVER int cuModuleUnload(void*) {
    --fake::live["module"];
    return 0;
}
DRIVER int cuModuleGetFunction(void** function, void*, const char* name) {
    for (const host::Entry& entry : entries)
        if (std::strcmp(entry.name, name) == 0) {
            *function = const_cast<host::Entry*>(&entry);
            return 0;
        }
    return 500;
}
DRIVER int cuFuncSetBlockShape(void*, int, int, int) { return 0; }
DRIVER int cuLaunchKernel(void* function, unsigned int grid_x, unsigned int grid_y,
                          unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                          unsigned int block_z, unsigned int, void* stream, void**, void** extra) {
    CALL(cuLaunchKernel);
    // Pairs of a tag and a value: the packed arguments, their size.
    const char* data = nullptr;
    std::size_t size = 0;
    for (; *extra; extra += 2) {
        if (*extra == (void*)1) data = static_cast<const char*>(extra[1]);
        if (*extra == (void*)2) size = *static_cast<std::size_t*>(extra[1]);
    }
    const std::vector<char> packed(data, data + size);
    const host::Entry* entry = static_cast<const host::Entry*>(function);
    fake::enqueue(stream, [=] {
        const unsigned int grid[] = {grid_x, grid_y, grid_z};
        const unsigned int block[] = {block_x, block_y, block_z};
        if (fake::run(*entry, grid, block, packed)) std::abort();
    });
    return 0;
}
DRIVER int cuStreamCreate(void** stream, unsigned int) {
    CALL(cuStreamCreate);
    ++fake::live["stream"];
    *stream = new fake::Stream;
    return 0;
}
DRIVER int cuStreamDestroy_v2(void* stream) {
    --fake::live["stream"];
    delete static_cast<fake::Stream*>(stream);
    return 0;
}
DRIVER int cuStreamSynchronize(void*) {
    CALL(cuStreamSynchronize);
    return 0;
}
DRIVER int cuStreamWaitEvent(void*, void*, unsigned int) {
    CALL(cuStreamWaitEvent);
    return 0;
}
DRIVER int cuEventCreate(void** event, unsigned int) {
    CALL(cuEventCreate);
    ++fake::live["event"];
    *event = new int;
    return 0;
}
DRIVER int cuEventDestroy_v2(void* event) {
    --fake::live["event"];
    delete static_cast<int*>(event);
    return 0;
}
DRIVER int cuEventRecord(void*, void*) {
    CALL(cuEventRecord);
    return 0;
}
DRIVER int cuEventSynchronize(void*) {
    CALL(cuEventSynchronize);
    return 0;
}
DRIVER int cuEventQuery(void*) { return 0; }
DRIVER int cuEventElapsedTime_v2(float* ms, void*, void*) {
    *ms = 1.5f;
    return 0;
}
DRIVER int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    *free = 1 << 20;
    *total = 1 << 21;
    return 0;
}
DRIVER int cuMemAlloc_v2(void** pointer, std::size_t size) {
    CALL(cuMemAlloc);
    ++fake::live["device memory"];
    *pointer = std::aligned_alloc(256, (size + 255) / 256 * 256);
    return 0;
}
DRIVER int cuMemFree_v2(void* pointer) {
    --fake::live["device memory"];
    std::free(pointer);
    return 0;
}
DRIVER int cuMemHostAlloc(void** pointer, std::size_t size, unsigned int) {
    CALL(cuMemHostAlloc);
    ++fake::live["pinned memory"];
    *pointer = std::malloc(size);
    return 0;
}
DRIVER int cuMemFreeHost(void* pointer) {
    --fake::live["pinned memory"];
    std::free(pointer);
    return 0;
}
DRIVER int cuMemsetD8_v2(void* pointer, unsigned char value, std::size_t size) {
    CALL(cuMemsetD8);
    std::memset(pointer, value, size);
    return 0;
}
DRIVER int cuMemcpyHtoDAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    CALL(cuMemcpyHtoDAsync);
    fake::enqueue(stream, [=] { std::memcpy(to, from, size); });
    return 0;
}
DRIVER int cuMemcpyDtoHAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    CALL(cuMemcpyDtoHAsync);
    fake::enqueue(stream, [=] { std::memcpy(to, from, size); });
    return 0;
}
DRIVER int cuMemcpyDtoDAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    fake::enqueue(stream, [=] { std::memcpy(to, from, size); });
    return 0;
}
DRIVER int cuStreamBeginCapture_v2(void* stream, int) {
    CALL(cuStreamBeginCapture);
    static_cast<fake::Stream*>(stream)->capturing = true;
    return 0;
}
DRIVER int cuStreamEndCapture(void* handle, void** graph) {
    fake::Stream* stream = static_cast<fake::Stream*>(handle);
    CALL(cuStreamEndCapture);
    stream->capturing = false;
    ++fake::live["graph"];
    *graph = new std::vector<fake::Work>(std::move(stream->captured));
    stream->captured.clear();
    return 0;
}
DRIVER int cuGraphInstantiateWithFlags(void** executable, void* graph, std::uint64_t) {
    CALL(cuGraphInstantiate);
    ++fake::live["graph"];
    *executable = new std::vector<fake::Work>(*static_cast<std::vector<fake::Work>*>(graph));
    return 0;
}
DRIVER int cuGraphInstantiate(void** executable, void* graph, std::uint64_t flags) {
    return cuGraphInstantiateWithFlags(executable, graph, flags);
}
DRIVER int cuGraphLaunch(void* executable, void*) {
    CALL(cuGraphLaunch);
    for (const fake::Work& work : *static_cast<std::vector<fake::Work>*>(executable)) work();
    return 0;
}
DRIVER int cuGraphExecDestroy(void* executable) {
    --fake::live["graph"];
    delete static_cast<std::vector<fake::Work>*>(executable);
    return 0;
}
DRIVER int cuGraphDestroy(void* graph) {
    --fake::live["graph"];
    delete static_cast<std::vector<fake::Work>*>(graph);
    return 0;
}
