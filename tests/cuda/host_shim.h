// CUDA's words for a C++ compiler on the host, so that kernels.cu runs without a GPU.
//
// Blocks run one after another. The threads of a block are fibers on one OS thread: each runs to
// its next __syncthreads() or its end, then the next one goes on. Fewer arrivals at a barrier
// than threads that are still alive is what would hang or corrupt on a GPU: it ends the launch
// with an error. Blocks and threads can run last to first: results that change show a race.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#define LADLE_HOST
#define __global__
#define __device__
#define __noinline__ __attribute__((noinline))
#define __shared__ static

struct uint3 {
    unsigned int x, y, z;
};
struct alignas(2) uchar2 {
    unsigned char x, y;
};
inline uchar2 make_uchar2(unsigned char x, unsigned char y) { return {x, y}; }

static uint3 threadIdx, blockIdx, blockDim, gridDim;

using std::abs;
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __powf(float base, float exponent) { return std::pow(base, exponent); }
inline int __float2int_rn(float value) { return (int)std::nearbyintf(value); }

inline unsigned int atomicAdd(unsigned int* target, unsigned int value) {
    const unsigned int before = *target;
    *target += value;
    return before;
}

inline unsigned long long atomicAdd(unsigned long long* target, unsigned long long value) {
    const unsigned long long before = *target;
    *target += value;
    return before;
}

inline float half_to_float(unsigned short bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                       : exponent     ? std::ldexp((float)(mantissa + 1024), exponent - 25)
                                      : std::ldexp((float)mantissa, -24);
    return bits >> 15 ? -size : size;
}

// Rounds half to even by letting float do it: a step of the half's precision is added and removed.
inline unsigned short float_to_half(float value) {
    const unsigned short sign = std::signbit(value) ? 0x8000 : 0;
    const float size = std::fabs(value);
    if (size == 0.0f) return sign;
    if (std::isnan(size)) return sign | 0x7e00;
    if (size >= 65520.0f) return sign | 0x7c00;
    int exponent = 0;
    std::frexp(size, &exponent);
    const int lowest = exponent - 11 < -24 ? -24 : exponent - 11;
    const long mantissa = (long)std::nearbyint(std::ldexp((double)size, -lowest));
    if (lowest == -24) return sign | (unsigned short)mantissa;
    return sign | (unsigned short)(((lowest + 24) << 10) + mantissa);
}

namespace host {

constexpr std::size_t STACK_BYTES = 64 * 1024;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(STACK_BYTES);
    bool alive = false;
};

static ucontext_t scheduler;
static std::vector<Fiber> fibers;
static int current = 0;
static bool backwards = false;
static void (*kernel_body)(void**) = nullptr;
static void** kernel_args = nullptr;

static void fiber_main() {
    for (;;) {
        kernel_body(kernel_args);
        fibers[current].alive = false;
        swapcontext(&fibers[current].context, &scheduler);
    }
}

inline void barrier() { swapcontext(&fibers[current].context, &scheduler); }

inline void resize(int threads) {
    const int before = (int)fibers.size();
    if (threads <= before) return;
    // Contexts point into themselves: they are made after the vector has its place.
    fibers = std::vector<Fiber>(threads);
    for (Fiber& fiber : fibers) {
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, fiber_main, 0);
    }
}

// 0, or 1 if some threads of a block ended while others waited at a barrier.
inline int run_block(int threads) {
    for (int i = 0; i < threads; ++i) fibers[i].alive = true;
    for (int living = threads; living > 0;) {
        for (int turn = 0; turn < threads; ++turn) {
            current = backwards ? threads - 1 - turn : turn;
            threadIdx = {current % blockDim.x, current / blockDim.x % blockDim.y,
                         current / (blockDim.x * blockDim.y)};
            swapcontext(&scheduler, &fibers[current].context);
        }
        living = 0;
        for (int i = 0; i < threads; ++i) living += fibers[i].alive;
        if (living != 0 && living != threads) return 1;
    }
    return 0;
}

template <typename... Args, std::size_t... I>
void unpack(void (*kernel)(Args...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<Args>*>(args[I])...);
}

template <auto KERNEL>
void call(void** args);

template <typename... Args>
constexpr std::size_t count_args(void (*)(Args...)) {
    return sizeof...(Args);
}

template <auto KERNEL>
void call(void** args) {
    unpack(KERNEL, args, std::make_index_sequence<count_args(KERNEL)>());
}

template <typename... Args>
std::vector<std::size_t> arg_sizes(void (*)(Args...)) {
    return {sizeof(Args)...};
}

struct Entry {
    const char* name;
    void (*body)(void**);
    std::vector<std::size_t> sizes;
};

}  // namespace host

#define __syncthreads() host::barrier()
#define __threadfence()
#define HOST_KERNEL(NAME) host::Entry{#NAME, host::call<NAME>, host::arg_sizes(NAME)}

extern "C" void run_backwards(int on) { host::backwards = on != 0; }

// Ends the translation unit: `KERNEL_TABLE` is a list of HOST_KERNEL(name).
#define HOST_LAUNCHER(...)                                                                      \
    static const host::Entry entries[] = {__VA_ARGS__};                                         \
    /* 0; 1: a barrier that not all threads reach; 2: no such kernel; 3: wrong arguments. */    \
    extern "C" int launch(const char* name, const unsigned int* grid, const unsigned int* block, \
                          void** args, const std::size_t* sizes, std::size_t count) {           \
        for (const host::Entry& entry : entries) {                                              \
            if (std::strcmp(entry.name, name) != 0) continue;                                   \
            if (entry.sizes != std::vector<std::size_t>(sizes, sizes + count)) return 3;        \
            gridDim = {grid[0], grid[1], grid[2]};                                              \
            blockDim = {block[0], block[1], block[2]};                                          \
            const int threads = (int)(block[0] * block[1] * block[2]);                          \
            host::resize(threads);                                                              \
            host::kernel_body = entry.body;                                                     \
            host::kernel_args = args;                                                           \
            const unsigned int blocks = grid[0] * grid[1] * grid[2];                            \
            for (unsigned int turn = 0; turn < blocks; ++turn) {                                \
                const unsigned int i = host::backwards ? blocks - 1 - turn : turn;              \
                blockIdx = {i % grid[0], i / grid[0] % grid[1], i / (grid[0] * grid[1])};       \
                if (host::run_block(threads) != 0) return 1;                                    \
            }                                                                                   \
            return 0;                                                                           \
        }                                                                                       \
        return 2;                                                                               \
    }
