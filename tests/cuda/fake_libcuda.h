// A CUDA driver on the host, as far as the implementations of `Gpu` call one: the kernels behind
// `host_shim.h` runs at once, in the order of enqueuing. To be included behind HOST_LAUNCHER.
//
// It counts what is live, and makes one function fail on request, from some call on: pycuda tries
// again when memory is short. It is as strict about captures as any driver that is served:
//   - whoever waits for the whole device, in any thread, breaks every capture (900, then 901);
//   - the thread that captures may not allocate, free or wait for the stream (900);
//   - a kernel is not loaded inside a capture (900, as before CUDA 12.3).
// Freed memory is poisoned and never used again; a graph that refers to it does not run (700).
// Host memory has an address for kernels where that was asked for, as on a GPU that works in it.
// Kernels are "host N": compiled by CUDA N, refused where the driver is older (200).

#include <dlfcn.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#define DRIVER extern "C" __attribute__((visibility("default")))
#define CALL(NAME) \
    if (const int status = fake::call(#NAME)) return status

namespace fake {

using Work = std::function<void()>;
using Pointers = std::vector<const char*>;

struct Graph {
    std::vector<Work> work;
    Pointers used;
};

struct Stream {
    bool capturing = false;
    bool broken = false;
    std::thread::id owner;
    Graph captured;
};

constexpr int UNSUPPORTED = 900;
constexpr int INVALIDATED = 901;
constexpr int POISON = 0xDB;

static std::recursive_mutex lock;
static int version = 13000;
static int integrated = 0;
static std::set<Stream*> streams;
static std::map<const char*, std::size_t> memory;
static std::map<const char*, std::size_t> freed;
static std::set<const void*> mapped;
static std::set<const void*> loaded;
static std::map<std::string, int> live;
static std::map<std::string, int> calls;
static std::string failing;
static int failing_turn = -1;
static int failing_status = 0;
static int device_context = 0;

static int call(const char* name) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    const int turn = calls[name]++;
    return failing == name && turn >= failing_turn ? failing_status : 0;
}

static bool lies_in(const std::map<const char*, std::size_t>& blocks, const char* pointer) {
    auto after = blocks.upper_bound(pointer);
    if (after == blocks.begin()) return false;
    const auto& [start, size] = *--after;
    return pointer < start + size;
}

static void enqueue(void* handle, Work work, const Pointers& used) {
    Stream* stream = static_cast<Stream*>(handle);
    if (stream && stream->capturing) {
        const std::lock_guard<std::recursive_mutex> guard(lock);
        stream->captured.work.push_back(std::move(work));
        for (const char* pointer : used)
            if (lies_in(memory, pointer)) stream->captured.used.push_back(pointer);
    } else {
        work();
    }
}

// Waiting for everything breaks whatever is captured, in whichever thread.
static int wait_for_all() {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    int status = 0;
    for (Stream* stream : streams)
        if (stream->capturing) {
            stream->broken = true;
            status = UNSUPPORTED;
        }
    return status;
}

// Whether this very thread captures: it may not allocate meanwhile.
static int forbidden_here() {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    for (Stream* stream : streams)
        if (stream->capturing && stream->owner == std::this_thread::get_id()) {
            stream->broken = true;
            return UNSUPPORTED;
        }
    return 0;
}

static int load(void** module, const void* image) {
    int major = 0;
    if (std::sscanf(static_cast<const char*>(image), "host %d", &major) != 1) return 200;
    if (major > version / 1000) return 200;
    ++live["module"];
    *module = &live;
    return 0;
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
DRIVER void fake_version(int version) { fake::version = version; }
DRIVER void fake_integrated(int integrated) { fake::integrated = integrated; }
DRIVER int fake_calls(const char* name) { return fake::calls[name]; }
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
    *version = fake::version;
    return 0;
}
DRIVER int cuGetErrorString(int status, const char** text) {
    *text = status == 2 ? "out of memory" : status == 700   ? "an illegal memory access"
            : status == 200 ? "device kernel image is invalid"
                            : "other";
    return 0;
}
DRIVER int cuGetErrorName(int status, const char** text) {
    *text = status == 2     ? "CUDA_ERROR_OUT_OF_MEMORY"
            : status == 200 ? "CUDA_ERROR_INVALID_IMAGE"
                            : "CUDA_ERROR_OTHER";
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
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : attribute == 18 ? fake::integrated : 0;
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
    return fake::wait_for_all();
}
DRIVER int cuModuleLoadData(void** module, const void* image) {
    CALL(cuModuleLoadData);
    return fake::load(module, image);
}
DRIVER int cuModuleLoadDataEx(void** module, const void* image, unsigned int, void*, void**) {
    CALL(cuModuleLoadDataEx);
    return fake::load(module, image);
}
DRIVER int cuModuleUnload(void*) {
    fake::loaded.clear();
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
                          unsigned int block_z, unsigned int, void* handle, void** params,
                          void** extra) {
    CALL(cuLaunchKernel);
    const host::Entry* entry = static_cast<const host::Entry*>(function);
    std::vector<char> packed;
    fake::Pointers used;
    if (params) {
        for (std::size_t index = 0; index < entry->sizes.size(); ++index) {
            const std::size_t size = entry->sizes[index];
            const char* value = static_cast<const char*>(params[index]);
            packed.resize((packed.size() + size - 1) / size * size);
            packed.insert(packed.end(), value, value + size);
        }
    } else {
        // Pairs of a tag and a value: the packed arguments, their size.
        const char* data = nullptr;
        std::size_t size = 0;
        for (; *extra; extra += 2) {
            if (*extra == (void*)1) data = static_cast<const char*>(extra[1]);
            if (*extra == (void*)2) size = *static_cast<std::size_t*>(extra[1]);
        }
        packed.assign(data, data + size);
    }
    // What is no address of ours is left out later.
    for (std::size_t at = 0; at + sizeof(void*) <= packed.size(); at += sizeof(void*)) {
        const char* pointer;
        std::memcpy(&pointer, packed.data() + at, sizeof pointer);
        used.push_back(pointer);
    }
    fake::Stream* stream = static_cast<fake::Stream*>(handle);
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    if (fake::loaded.insert(function).second && stream->capturing) {
        stream->broken = true;
        return fake::UNSUPPORTED;
    }
    fake::enqueue(
        handle,
        [=] {
            const unsigned int grid[] = {grid_x, grid_y, grid_z};
            const unsigned int block[] = {block_x, block_y, block_z};
            if (fake::run(*entry, grid, block, packed)) std::abort();
        },
        used);
    return 0;
}
DRIVER int cuStreamCreate(void** stream, unsigned int) {
    CALL(cuStreamCreate);
    ++fake::live["stream"];
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    fake::Stream* made = new fake::Stream;
    fake::streams.insert(made);
    *stream = made;
    return 0;
}
DRIVER int cuStreamDestroy_v2(void* stream) {
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    --fake::live["stream"];
    fake::streams.erase(static_cast<fake::Stream*>(stream));
    delete static_cast<fake::Stream*>(stream);
    return 0;
}
DRIVER int cuStreamSynchronize(void* handle) {
    CALL(cuStreamSynchronize);
    fake::Stream* stream = static_cast<fake::Stream*>(handle);
    if (!stream->capturing) return 0;
    stream->broken = true;
    return fake::UNSUPPORTED;
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
    if (const int status = fake::forbidden_here()) return status;
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    ++fake::live["device memory"];
    *pointer = std::aligned_alloc(256, (size + 255) / 256 * 256);
    fake::memory[static_cast<char*>(*pointer)] = size;
    return 0;
}
DRIVER int cuMemFree_v2(void* pointer) {
    if (const int status = fake::forbidden_here()) return status;
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    const auto block = fake::memory.find(static_cast<char*>(pointer));
    if (block == fake::memory.end()) return 1;
    --fake::live["device memory"];
    std::memset(pointer, fake::POISON, block->second);
    fake::freed.insert(fake::memory.extract(block));
    return 0;
}
DRIVER int cuMemHostAlloc(void** pointer, std::size_t size, unsigned int flags) {
    CALL(cuMemHostAlloc);
    if (const int status = fake::forbidden_here()) return status;
    ++fake::live["pinned memory"];
    *pointer = std::aligned_alloc(256, (size + 255) / 256 * 256);
    // CU_MEMHOSTALLOC_DEVICEMAP
    if (flags & 2) fake::mapped.insert(*pointer);
    return 0;
}
DRIVER int cuMemHostGetDevicePointer_v2(void** pointer, void* host, unsigned int) {
    CALL(cuMemHostGetDevicePointer);
    if (!fake::mapped.count(host)) return 1;
    *pointer = host;
    return 0;
}
DRIVER int cuMemFreeHost(void* pointer) {
    --fake::live["pinned memory"];
    fake::mapped.erase(pointer);
    std::free(pointer);
    return 0;
}
DRIVER int cuMemsetD8_v2(void* pointer, unsigned char value, std::size_t size) {
    CALL(cuMemsetD8);
    // The legacy stream waits for all.
    if (const int status = fake::wait_for_all()) return status;
    std::memset(pointer, value, size);
    return 0;
}
DRIVER int cuMemsetD8Async(void* pointer, unsigned char value, std::size_t size, void* stream) {
    CALL(cuMemsetD8Async);
    fake::enqueue(
        stream, [=] { std::memset(pointer, value, size); }, {static_cast<char*>(pointer)});
    return 0;
}
DRIVER int cuMemcpyHtoDAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    CALL(cuMemcpyHtoDAsync);
    fake::enqueue(
        stream, [=] { std::memcpy(to, from, size); },
        {static_cast<char*>(to), static_cast<const char*>(from)});
    return 0;
}
DRIVER int cuMemcpyDtoHAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    CALL(cuMemcpyDtoHAsync);
    fake::enqueue(
        stream, [=] { std::memcpy(to, from, size); },
        {static_cast<char*>(to), static_cast<const char*>(from)});
    return 0;
}
DRIVER int cuMemcpyDtoDAsync_v2(void* to, const void* from, std::size_t size, void* stream) {
    fake::enqueue(
        stream, [=] { std::memcpy(to, from, size); },
        {static_cast<char*>(to), static_cast<const char*>(from)});
    return 0;
}
DRIVER int cuStreamBeginCapture_v2(void* handle, int) {
    CALL(cuStreamBeginCapture);
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    fake::Stream* stream = static_cast<fake::Stream*>(handle);
    stream->capturing = true;
    stream->owner = std::this_thread::get_id();
    return 0;
}
DRIVER int cuStreamEndCapture(void* handle, void** graph) {
    const std::lock_guard<std::recursive_mutex> guard(fake::lock);
    fake::Stream* stream = static_cast<fake::Stream*>(handle);
    CALL(cuStreamEndCapture);
    const fake::Graph captured = std::move(stream->captured);
    const bool broken = stream->broken;
    stream->captured = {};
    stream->capturing = stream->broken = false;
    *graph = nullptr;
    if (broken) return fake::INVALIDATED;
    ++fake::live["graph"];
    *graph = new fake::Graph(captured);
    return 0;
}
DRIVER int cuGraphInstantiateWithFlags(void** executable, void* graph, std::uint64_t) {
    CALL(cuGraphInstantiate);
    ++fake::live["graph"];
    *executable = new fake::Graph(*static_cast<fake::Graph*>(graph));
    return 0;
}
DRIVER int cuGraphInstantiate(void** executable, void* graph, std::uint64_t flags) {
    return cuGraphInstantiateWithFlags(executable, graph, flags);
}
DRIVER int cuGraphLaunch(void* executable, void*) {
    CALL(cuGraphLaunch);
    const fake::Graph& graph = *static_cast<fake::Graph*>(executable);
    {
        const std::lock_guard<std::recursive_mutex> guard(fake::lock);
        for (const char* pointer : graph.used)
            if (fake::lies_in(fake::freed, pointer)) return 700;
    }
    for (const fake::Work& work : graph.work) work();
    return 0;
}
DRIVER int cuGraphExecDestroy(void* executable) {
    --fake::live["graph"];
    delete static_cast<fake::Graph*>(executable);
    return 0;
}
DRIVER int cuGraphDestroy(void* graph) {
    --fake::live["graph"];
    delete static_cast<fake::Graph*>(graph);
    return 0;
}
