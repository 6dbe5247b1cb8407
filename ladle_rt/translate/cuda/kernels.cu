// A thermal frame's way to the network, and the network's output back to a picture.
//
// One source for NVRTC, nvcc and, behind a header that supplies CUDA's words, a C++ compiler for
// the host. It needs no header of its own. The CPU path (thermal/normalization.py, geometry.py,
// translate/detail.py, translate/colorize.py) is the reference: where OpenCV rounds, these
// kernels round the same way.
//
//   frame -> shrink -> small, histogram -> follow_levels -> levels -> normalize -> network input
//   network output -> to_planes | fit_detail -> planes at network size -> picture
//
// Images are row-major and dense. Names: `frame` is the camera's, `small` the frame scaled to its
// fit, `network` the padded fit. All launches of one translator's `shrink`, `follow_levels` and
// `normalize` run in the order of frames: they share its TrackerState.

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;

constexpr int BINS = 256;  // Of a histogram; also the threads of the blocks that count.
constexpr int LEVELS = 3;  // Low, mid and high.

// LevelTracker.CUT_OVERLAP
constexpr double CUT_OVERLAP = 0.3;

// translate/detail.py: RADIUS, EPSILON, MAX_SLOPE
constexpr int RADIUS = 2;
constexpr float EPSILON = 0.02f * 0.02f;
constexpr float MAX_SLOPE = 0.8f;

// Rec. ITU-R BT.709-6: luma weights; Cb = (B - Y) / 1.8556, Cr = (R - Y) / 1.5748; limited range
// spans 219 steps of luma from 16 and 224 of chroma around 128.
constexpr float RED_WEIGHT = 0.2126f;
constexpr float GREEN_WEIGHT = 0.7152f;
constexpr float BLUE_WEIGHT = 0.0722f;
constexpr float CB_SPAN = 1.8556f;
constexpr float CR_SPAN = 1.5748f;
constexpr float LUMA_RANGE = 219.0f;
constexpr float LUMA_BLACK = 16.0f;
constexpr float CHROMA_RANGE = 224.0f;
constexpr float CHROMA_ZERO = 128.0f;
constexpr float FULL_RANGE = 255.0f;

// OpenCV's bicubic kernel and the fixed point of its 8-bit bilinear resize.
constexpr float CUBIC_A = -0.75f;
constexpr float LINEAR_ONE = 2048.0f;

// OpenCV's INTER_AREA leaves out source pixels that a target pixel covers by less than this.
constexpr int AREA_THRESHOLD_INVERSE = 1000;

// Lives as long as the translator. Begins as zeros. `fine` exists for 16-bit frames only.
struct TrackerState {
    double level[LEVELS];
    double time_s;
    int started;
    int unused;
    uint32 coarse[BINS];       // By the pixel's upper (or only) byte; all zero between frames.
    uint32 fine[BINS * BINS];  // By the whole pixel; all zero between frames.
};

// Lives as long as its frame: what `apply_levels` needs.
struct FrameLevels {
    float low;
    float per_count;
    float gamma;
    float unused;
    float curve[BINS];  // The whole mapping, for 8-bit frames only.
};

// An IEEE 754 half as it lies in memory; NVRTC has no cuda_fp16.h by default.
struct Half {
    uint16 bits;
};

#ifndef LADLE_HOST
__device__ inline float half_to_float(uint16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ inline uint16 float_to_half(float value) {
    uint16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

__device__ inline float load(float value) { return value; }
__device__ inline float load(Half value) { return half_to_float(value.bits); }
__device__ inline void store(float* target, float value) { *target = value; }
__device__ inline void store(Half* target, float value) { target->bits = float_to_half(value); }

__device__ inline int clamp(int value, int low, int high) { return min(max(value, low), high); }

// Half to even, as OpenCV's saturate_cast<uchar>.
__device__ inline uint8 to_byte(float value) { return (uint8)clamp(__float2int_rn(value), 0, 255); }

// cv2.BORDER_REFLECT_101 for any position: ...2 1 0 1 2 ... n-2 n-1 n-2...
__device__ inline int reflect_101(int position, int size) {
    if (0 <= position && position < size) return position;
    if (size == 1) return 0;
    const int period = 2 * (size - 1);
    const int folded = abs(position) % period;
    return folded < size ? folded : period - folded;
}

// ---------------------------------------------------------------------------------------------
// Resampling. Positions are exact fractions in integers: pixel i of `target` is centred at
// ((2 i + 1) source - target) / (2 target) in pixels of `source`.
// ---------------------------------------------------------------------------------------------

// One target pixel's cover of the source along one axis (cv2.INTER_AREA).
struct AreaSpan {
    int first;
    int last;
    float head;  // Weight of `first`.
    float body;
    float tail;  // Weight of `last`.
};

__device__ inline AreaSpan area_span(int i, int source, int target) {
    // In units of 1 / target of a source pixel.
    const int begin = i * source;
    const int end = begin + source;
    const int first = begin / target;
    const int last = (end - 1) / target;
    const int head = min((first + 1) * target, end) - begin;
    const int tail = end - max(last * target, begin);
    const float body = (float)target / (float)source;
    AreaSpan span = {first, last, (float)head / (float)source, body, (float)tail / (float)source};
    if (head * AREA_THRESHOLD_INVERSE <= target) {
        span.first += 1;
        span.head = body;
    }
    if (tail * AREA_THRESHOLD_INVERSE <= target) {
        span.last -= 1;
        span.tail = span.last == span.first ? span.head : body;
    }
    if (span.first == span.last) span.head = span.tail;
    return span;
}

__device__ inline float weight(const AreaSpan& span, int position) {
    return position == span.first ? span.head : position == span.last ? span.tail : span.body;
}

// The sum types of OpenCV's area resize by whole factors.
__device__ inline int zero_sum(uint8) { return 0; }
__device__ inline float zero_sum(uint16) { return 0.0f; }
__device__ inline float zero_sum(float) { return 0.0f; }

// Mean of the source pixels under one target pixel, before rounding. Products and sums are kept
// apart (no fused multiply-add): the reference rounds after each. Not inlined: a dozen copies would
// take the compiler seconds, and the loops outweigh the call.
template <typename Pixel>
__device__ __noinline__ float area_mean(const Pixel* __restrict__ image, int height, int width,
                                        int target_height, int target_width, int y, int x) {
    if (height % target_height == 0 && width % target_width == 0) {
        const int rows = height / target_height;
        const int columns = width / target_width;
        auto sum = zero_sum(Pixel());
        for (int row = y * rows; row < (y + 1) * rows; ++row)
            for (int column = x * columns; column < (x + 1) * columns; ++column)
                sum += image[row * width + column];
        return __fmul_rn((float)sum, 1.0f / (float)(rows * columns));
    }
    const AreaSpan rows = area_span(y, height, target_height);
    const AreaSpan columns = area_span(x, width, target_width);
    float mean = 0.0f;
    for (int row = rows.first; row <= rows.last; ++row) {
        const Pixel* line = image + row * width;
        float sum = 0.0f;
        for (int column = columns.first; column <= columns.last; ++column)
            sum = __fadd_rn(sum, __fmul_rn((float)line[column], weight(columns, column)));
        mean = __fadd_rn(mean, __fmul_rn(sum, weight(rows, row)));
    }
    return mean;
}

// Where an enlarged pixel falls: between `first` and `first + 1`, `fraction` of the way.
struct Position {
    int first;
    float fraction;
};

__device__ inline Position position(int i, int source, int target) {
    const int step = 2 * target;
    const int centre = (2 * i + 1) * source - target;
    const float per_step = 1.0f / (float)step;
    // The quotient in float may be one off; the remainder tells. An integer division takes longer.
    int first = (int)floorf((float)centre * per_step);
    int rest = centre - first * step;
    if (rest < 0) {
        first -= 1;
        rest += step;
    } else if (rest >= step) {
        first += 1;
        rest -= step;
    }
    return {first, (float)rest * per_step};
}

// cv2.INTER_LINEAR on float: outside the image its border pixel.
__device__ inline float linear(const float* __restrict__ plane, int height, int width, Position row,
                               Position column) {
    const float* above = plane + clamp(row.first, 0, height - 1) * width;
    const float* below = plane + clamp(row.first + 1, 0, height - 1) * width;
    const int left = clamp(column.first, 0, width - 1);
    const int right = clamp(column.first + 1, 0, width - 1);
    const float upper = above[left] + column.fraction * (above[right] - above[left]);
    const float lower = below[left] + column.fraction * (below[right] - below[left]);
    return upper + row.fraction * (lower - upper);
}

constexpr int CUBIC_TAPS = 4;

struct CubicWeights {
    float tap[CUBIC_TAPS];  // Of the source pixels first - 1 ... first + 2.
};

// cv::interpolateCubic
__device__ inline CubicWeights cubic_weights(float x) {
    const float a = CUBIC_A;
    const float left = x + 1.0f;
    const float right = 1.0f - x;
    CubicWeights weights;
    weights.tap[0] = ((a * left - 5.0f * a) * left + 8.0f * a) * left - 4.0f * a;
    weights.tap[1] = ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
    weights.tap[2] = ((a + 2.0f) * right - (a + 3.0f)) * right * right + 1.0f;
    weights.tap[3] = 1.0f - weights.tap[0] - weights.tap[1] - weights.tap[2];
    return weights;
}

// ---------------------------------------------------------------------------------------------
// Before the network
// ---------------------------------------------------------------------------------------------

// One axis of cv2.INTER_LINEAR on integers. For 8 bit it computes positions in double and keeps
// them in float, and weights turn on that rounding; for 16 bit they are exact. `scale` is source
// pixels per target pixel.
__device__ inline Position pixel_position(uint8, int i, int, int, double scale) {
    const float centre = (float)((i + 0.5) * scale - 0.5);
    const int first = (int)floorf(centre);
    return {first, centre - (float)first};
}

__device__ inline Position pixel_position(uint16, int i, int source, int target, double) {
    return position(i, source, target);
}

// 8 bit: weights of 11 bits, two sums shortened on the way (VResizeLinear<uchar>).
__device__ inline uint8 linear_pixel(const uint8* above, const uint8* below, int left, int right,
                                     float across, float down) {
    const int weight_left = __float2int_rn((1.0f - across) * LINEAR_ONE);
    const int weight_right = __float2int_rn(across * LINEAR_ONE);
    const int weight_above = __float2int_rn((1.0f - down) * LINEAR_ONE);
    const int weight_below = __float2int_rn(down * LINEAR_ONE);
    const int upper = above[left] * weight_left + above[right] * weight_right;
    const int lower = below[left] * weight_left + below[right] * weight_right;
    const int sum = ((weight_above * (upper >> 4)) >> 16) + ((weight_below * (lower >> 4)) >> 16);
    return (uint8)((sum + 2) >> 2);
}

// 16 bit: float, rounded half to even.
__device__ inline uint16 linear_pixel(const uint16* above, const uint16* below, int left, int right,
                                      float across, float down) {
    const float upper = above[left] + across * (float)(above[right] - above[left]);
    const float lower = below[left] + across * (float)(below[right] - below[left]);
    return (uint16)__float2int_rn(upper + down * (lower - upper));
}

// geometry.shrink: area average where no side grows, bilinear otherwise.
template <typename Pixel>
__device__ Pixel shrunk_pixel(const Pixel* __restrict__ frame, int height, int width,
                              int small_height, int small_width, double scale_y, double scale_x,
                              int y, int x) {
    if (height == 2 * small_height && width == 2 * small_width) {
        // OpenCV's own case: halves are rounded up.
        const Pixel* above = frame + 2 * y * width + 2 * x;
        const Pixel* below = above + width;
        return (Pixel)((above[0] + above[1] + below[0] + below[1] + 2) >> 2);
    }
    if (height >= small_height && width >= small_width)
        return (Pixel)__float2int_rn(
            area_mean(frame, height, width, small_height, small_width, y, x));
    const Position row = pixel_position(Pixel(), y, height, small_height, scale_y);
    const Position column = pixel_position(Pixel(), x, width, small_width, scale_x);
    return linear_pixel(frame + clamp(row.first, 0, height - 1) * width,
                        frame + clamp(row.first + 1, 0, height - 1) * width,
                        clamp(column.first, 0, width - 1), clamp(column.first + 1, 0, width - 1),
                        column.fraction, row.fraction);
}

__device__ inline void count_pixel(uint8 value, uint32* counts, TrackerState*) {
    atomicAdd(&counts[value], 1u);
}

__device__ inline void count_pixel(uint16 value, uint32* counts, TrackerState* state) {
    atomicAdd(&counts[value / BINS], 1u);
    atomicAdd(&state->fine[value], 1u);
}

// Scales the frame and counts its values; blocks of BINS threads, one small pixel each.
template <typename Pixel>
__device__ void shrink(const Pixel* frame, Pixel* small, TrackerState* state, int height, int width,
                       int small_height, int small_width, double scale_y, double scale_x) {
    __shared__ uint32 counts[BINS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    counts[thread] = 0;
    __syncthreads();
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < small_width && y < small_height) {
        const Pixel value = shrunk_pixel(frame, height, width, small_height, small_width, scale_y,
                                         scale_x, y, x);
        small[y * small_width + x] = value;
        count_pixel(value, counts, state);
    }
    __syncthreads();
    if (counts[thread] != 0) atomicAdd(&state->coarse[thread], counts[thread]);
}

#define SHRINK_KERNEL(NAME, PIXEL)                                                                 \
    extern "C" __global__ void NAME(const PIXEL* __restrict__ frame, PIXEL* __restrict__ small,    \
                                    TrackerState* state, int height, int width, int small_height,  \
                                    int small_width, double scale_y, double scale_x) {             \
        shrink<PIXEL>(frame, small, state, height, width, small_height, small_width, scale_y,      \
                      scale_x);                                                                    \
    }

SHRINK_KERNEL(shrink_u8, uint8)
SHRINK_KERNEL(shrink_u16, uint16)

// The bin that holds each rank (1 is the smallest pixel) among BINS counts, one per thread, and
// how many pixels lie below that bin.
__device__ void find_ranks(uint32 count, const int* rank, int ranks, int* bin, int* below) {
    __shared__ uint32 cumulative[BINS];
    const int thread = threadIdx.x;
    cumulative[thread] = count;
    __syncthreads();
    for (int step = 1; step < BINS; step *= 2) {
        const uint32 left = thread >= step ? cumulative[thread - step] : 0;
        __syncthreads();
        cumulative[thread] += left;
        __syncthreads();
    }
    const int upto = (int)cumulative[thread];
    const int before = upto - (int)count;
    for (int i = 0; i < ranks; ++i)
        if (before < rank[i] && rank[i] <= upto) {
            bin[i] = thread;
            below[i] = before;
        }
    __syncthreads();
}

struct LevelRules {
    double mid_target;
    double gamma_limit;
    double min_span;
    double smoothing_s;
    double fixed_low;   // With fixed_high above it, the levels of every frame.
    double fixed_high;
};

// thermal.normalization._overlap of (low, high) pairs.
__device__ inline double overlap(const double* a, const double* b, double min_span) {
    const double a_high = fmax(a[2], a[0] + min_span);
    const double b_high = fmax(b[2], b[0] + min_span);
    const double shared = fmin(a_high, b_high) - fmax(a[0], b[0]);
    return fmax(shared, 0.0) / fmax(fmax(a[2] - a[0], b[2] - b[0]), min_span);
}

// LevelTracker.update
__device__ void follow(TrackerState* state, const double* measured, double time_s,
                       const LevelRules& rules) {
    const double elapsed_s = time_s - state->time_s;
    const bool restart = !state->started || rules.smoothing_s == 0.0 || elapsed_s < 0.0 ||
                         overlap(state->level, measured, rules.min_span) < CUT_OVERLAP;
    const double keep = restart ? 0.0 : exp(-elapsed_s / rules.smoothing_s);
    for (int i = 0; i < LEVELS; ++i)
        state->level[i] =
            restart ? measured[i] : keep * state->level[i] + (1.0 - keep) * measured[i];
    state->time_s = time_s;
    state->started = 1;
}

// thermal.normalization.gamma_for
__device__ double gamma_for(const double* level, double span, const LevelRules& rules) {
    const double mid = (level[1] - level[0]) / span;
    if (!(0.0 < mid && mid < 1.0)) return 1.0;
    const double wanted = log(rules.mid_target) / log(mid);
    return fmin(fmax(wanted, 1.0 / rules.gamma_limit), rules.gamma_limit);
}

// thermal.normalization._curve below the power.
__device__ inline float unit_at(float value, float low, float per_count) {
    return fminf(fmaxf((value - low) * per_count, 0.0f), 1.0f);
}

// One block of BINS threads: percentiles of the histogram, the tracker's step, the frame's curve.
// Leaves the coarse histogram zero.
template <bool WIDE>
__device__ void follow_levels(TrackerState* state, FrameLevels* levels, const double* time_s,
                              int low_rank, int mid_rank, int high_rank, const LevelRules& rules) {
    __shared__ int rank[LEVELS];
    __shared__ int bin[LEVELS];
    __shared__ int below[LEVELS];
    __shared__ FrameLevels result;
    const int thread = threadIdx.x;
    if (thread == 0) {
        rank[0] = low_rank;
        rank[1] = mid_rank;
        rank[2] = high_rank;
    }
    const uint32 count = state->coarse[thread];
    state->coarse[thread] = 0;
    find_ranks(count, rank, LEVELS, bin, below);
    if (WIDE) {
        for (int i = 0; i < LEVELS; ++i) {
            const int base = bin[i] * BINS;
            const uint32 fine = state->fine[base + thread];
            if (thread == 0) rank[i] -= below[i];
            find_ranks(fine, rank + i, 1, bin + i, below + i);
            if (thread == 0) bin[i] += base;
        }
    }
    if (thread == 0) {
        double measured[LEVELS] = {(double)bin[0], (double)bin[1], (double)bin[2]};
        if (rules.fixed_low < rules.fixed_high) {
            measured[0] = rules.fixed_low;
            measured[1] = fmin(fmax(measured[1], rules.fixed_low), rules.fixed_high);
            measured[2] = rules.fixed_high;
        }
        follow(state, measured, *time_s, rules);
        const double span = fmax(state->level[2] - state->level[0], rules.min_span);
        result.low = (float)state->level[0];
        result.per_count = (float)(1.0 / span);
        result.gamma = (float)gamma_for(state->level, span, rules);
        levels->low = result.low;
        levels->per_count = result.per_count;
        levels->gamma = result.gamma;
    }
    __syncthreads();
    if (!WIDE)
        levels->curve[thread] =
            powf(unit_at((float)thread, result.low, result.per_count), result.gamma);
}

#define FOLLOW_LEVELS_KERNEL(NAME, WIDE)                                                           \
    extern "C" __global__ void NAME(TrackerState* state, FrameLevels* levels,                      \
                                    const double* time_s, int low_rank, int mid_rank,              \
                                    int high_rank, double mid_target, double gamma_limit,          \
                                    double min_span, double smoothing_s, double fixed_low,         \
                                    double fixed_high) {                                           \
        follow_levels<WIDE>(                                                                       \
            state, levels, time_s, low_rank, mid_rank, high_rank,                                  \
            {mid_target, gamma_limit, min_span, smoothing_s, fixed_low, fixed_high});              \
    }

FOLLOW_LEVELS_KERNEL(follow_levels_u8, false)
FOLLOW_LEVELS_KERNEL(follow_levels_u16, true)

// apply_levels for one pixel.
__device__ inline float normalized(uint8 value, const FrameLevels* __restrict__ levels) {
    return levels->curve[value];
}

// The fast power is off by about 1e-6 here, a few thousandths of a step of the picture.
__device__ inline float normalized(uint16 value, const FrameLevels* __restrict__ levels) {
    return __powf(unit_at((float)value, levels->low, levels->per_count), levels->gamma);
}

__device__ inline void clear_count(uint8, TrackerState*) {}
__device__ inline void clear_count(uint16 value, TrackerState* state) { state->fine[value] = 0; }

// apply_levels and geometry.pad; one thread per network pixel. Leaves the fine histogram zero.
// `thermal_small` (the same values without padding, always float) may be null.
template <typename Pixel, typename Network>
__device__ void normalize(const Pixel* small, const FrameLevels* levels, TrackerState* state,
                          Network* network, float* thermal_small, int small_height, int small_width,
                          int network_height, int network_width, int reflects) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= network_width || y >= network_height) return;
    const int row = reflects ? reflect_101(y, small_height) : min(y, small_height - 1);
    const int column = reflects ? reflect_101(x, small_width) : min(x, small_width - 1);
    const Pixel pixel = small[row * small_width + column];
    const float value = normalized(pixel, levels);
    store(network + y * network_width + x, value);
    if (y < small_height && x < small_width) {
        clear_count(pixel, state);
        if (thermal_small) thermal_small[y * small_width + x] = value;
    }
}

#define NORMALIZE_KERNEL(NAME, PIXEL, NETWORK)                                                     \
    extern "C" __global__ void NAME(                                                               \
        const PIXEL* __restrict__ small, const FrameLevels* __restrict__ levels,                   \
        TrackerState* state, NETWORK* __restrict__ network, float* __restrict__ thermal_small,     \
        int small_height, int small_width, int network_height, int network_width, int reflects) {  \
        normalize<PIXEL, NETWORK>(small, levels, state, network, thermal_small, small_height,      \
                                  small_width, network_height, network_width, reflects);           \
    }

NORMALIZE_KERNEL(normalize_u8_f32, uint8, float)
NORMALIZE_KERNEL(normalize_u8_f16, uint8, Half)
NORMALIZE_KERNEL(normalize_u16_f32, uint16, float)
NORMALIZE_KERNEL(normalize_u16_f16, uint16, Half)

// ---------------------------------------------------------------------------------------------
// After the network, at network size
// ---------------------------------------------------------------------------------------------

// BT.709 in 8-bit limited-range steps, before the offsets: colorize.RGB_TO_YCBCR.
struct Ycbcr {
    float y;
    float cb;
    float cr;
};

__device__ inline Ycbcr ycbcr(float red, float green, float blue) {
    const float y = RED_WEIGHT * red + GREEN_WEIGHT * green + BLUE_WEIGHT * blue;
    return {LUMA_RANGE * y, (blue - y) * (CHROMA_RANGE / CB_SPAN),
            (red - y) * (CHROMA_RANGE / CR_SPAN)};
}

template <typename Network>
__device__ inline Ycbcr ycbcr_at(const Network* __restrict__ rgb, int plane, int offset) {
    return ycbcr(load(rgb[offset]), load(rgb[plane + offset]), load(rgb[2 * plane + offset]));
}

// The network's output without its padding as three float planes; one thread per pixel.
template <typename Network>
__device__ void to_planes(const Network* rgb, float* luma, float* cb, float* cr, int height,
                          int width, int network_height, int network_width) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const Ycbcr colour = ycbcr_at(rgb, network_height * network_width, y * network_width + x);
    luma[y * width + x] = colour.y;
    cb[y * width + x] = colour.cb;
    cr[y * width + x] = colour.cr;
}

#define TO_PLANES_KERNEL(NAME, NETWORK)                                                            \
    extern "C" __global__ void NAME(const NETWORK* __restrict__ rgb, float* __restrict__ luma,     \
                                    float* __restrict__ cb, float* __restrict__ cr, int height,    \
                                    int width, int network_height, int network_width) {            \
        to_planes<NETWORK>(rgb, luma, cb, cr, height, width, network_height, network_width);       \
    }

TO_PLANES_KERNEL(to_planes_f32, float)
TO_PLANES_KERNEL(to_planes_f16, Half)

// fit_detail's tile of the network-size image, and that tile with one and two windows' margins.
constexpr int TILE_WIDTH = 32;
constexpr int TILE_HEIGHT = 16;
constexpr int FIT_WIDTH = TILE_WIDTH + 2 * RADIUS;
constexpr int FIT_HEIGHT = TILE_HEIGHT + 2 * RADIUS;
constexpr int LOAD_WIDTH = FIT_WIDTH + 2 * RADIUS;
constexpr int LOAD_HEIGHT = FIT_HEIGHT + 2 * RADIUS;
constexpr int WINDOW = 2 * RADIUS + 1;
constexpr float WINDOW_AREA = WINDOW * WINDOW;

struct Moments {
    float thermal;
    float luma;
    float thermal_thermal;
    float thermal_luma;
};

// The fast guided filter's coefficients (translate/detail.py) beside the conversion of
// `to_planes`: `slope` is a, smoothed, in luma steps; `base` is luma - a thermal. One block per
// tile. Both box filters reflect at the border: the image continued by reflection is symmetric
// there, so that filtering the continued image is the same as continuing the filtered one.
template <typename Network>
__device__ void fit_detail(const Network* rgb, const float* thermal_small, float* base,
                           float* slope, float* cb, float* cr, int height, int width,
                           int network_height, int network_width) {
    __shared__ float thermal[LOAD_HEIGHT][LOAD_WIDTH];
    __shared__ float luma[LOAD_HEIGHT][LOAD_WIDTH];
    __shared__ Moments row_sums[LOAD_HEIGHT][FIT_WIDTH];
    __shared__ float fitted[FIT_HEIGHT][FIT_WIDTH];
    __shared__ float fitted_sums[FIT_HEIGHT][TILE_WIDTH];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    const int threads = blockDim.x * blockDim.y;
    const int left = blockIdx.x * TILE_WIDTH;
    const int top = blockIdx.y * TILE_HEIGHT;

    for (int i = thread; i < LOAD_HEIGHT * LOAD_WIDTH; i += threads) {
        const int row = i / LOAD_WIDTH;
        const int column = i % LOAD_WIDTH;
        const int y = top + row - 2 * RADIUS;
        const int x = left + column - 2 * RADIUS;
        const int from_y = reflect_101(y, height);
        const int from_x = reflect_101(x, width);
        const Ycbcr colour =
            ycbcr_at(rgb, network_height * network_width, from_y * network_width + from_x);
        thermal[row][column] = thermal_small[from_y * width + from_x];
        luma[row][column] = colour.y * (1.0f / LUMA_RANGE);
        const bool inside_tile = y >= top && y < top + TILE_HEIGHT && x >= left &&
                                 x < left + TILE_WIDTH;
        if (inside_tile && y < height && x < width) {
            cb[y * width + x] = colour.cb;
            cr[y * width + x] = colour.cr;
        }
    }
    __syncthreads();

    for (int i = thread; i < LOAD_HEIGHT * FIT_WIDTH; i += threads) {
        const int row = i / FIT_WIDTH;
        const int column = i % FIT_WIDTH;
        Moments sums = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int k = column; k < column + WINDOW; ++k) {
            const float t = thermal[row][k];
            const float y = luma[row][k];
            sums.thermal += t;
            sums.luma += y;
            sums.thermal_thermal += t * t;
            sums.thermal_luma += t * y;
        }
        row_sums[row][column] = sums;
    }
    __syncthreads();

    for (int i = thread; i < FIT_HEIGHT * FIT_WIDTH; i += threads) {
        const int row = i / FIT_WIDTH;
        const int column = i % FIT_WIDTH;
        Moments sums = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int k = row; k < row + WINDOW; ++k) {
            const Moments part = row_sums[k][column];
            sums.thermal += part.thermal;
            sums.luma += part.luma;
            sums.thermal_thermal += part.thermal_thermal;
            sums.thermal_luma += part.thermal_luma;
        }
        const float mean_thermal = sums.thermal / WINDOW_AREA;
        const float mean_luma = sums.luma / WINDOW_AREA;
        const float variance = sums.thermal_thermal / WINDOW_AREA - mean_thermal * mean_thermal;
        const float covariance = sums.thermal_luma / WINDOW_AREA - mean_thermal * mean_luma;
        const float steepness = covariance / (fmaxf(variance, 0.0f) + EPSILON);
        fitted[row][column] = fminf(fmaxf(steepness, -MAX_SLOPE), MAX_SLOPE);
    }
    __syncthreads();

    for (int i = thread; i < FIT_HEIGHT * TILE_WIDTH; i += threads) {
        const int row = i / TILE_WIDTH;
        const int column = i % TILE_WIDTH;
        float sum = 0.0f;
        for (int k = column; k < column + WINDOW; ++k) sum += fitted[row][k];
        fitted_sums[row][column] = sum;
    }
    __syncthreads();

    for (int i = thread; i < TILE_HEIGHT * TILE_WIDTH; i += threads) {
        const int row = i / TILE_WIDTH;
        const int column = i % TILE_WIDTH;
        const int y = top + row;
        const int x = left + column;
        if (y >= height || x >= width) continue;
        float sum = 0.0f;
        for (int k = row; k < row + WINDOW; ++k) sum += fitted_sums[k][column];
        const float steepness = LUMA_RANGE * (sum / WINDOW_AREA);
        const float t = thermal[row + 2 * RADIUS][column + 2 * RADIUS];
        slope[y * width + x] = steepness;
        base[y * width + x] =
            LUMA_RANGE * luma[row + 2 * RADIUS][column + 2 * RADIUS] - steepness * t;
    }
}

#define FIT_DETAIL_KERNEL(NAME, NETWORK)                                                           \
    extern "C" __global__ void NAME(                                                               \
        const NETWORK* __restrict__ rgb, const float* __restrict__ thermal_small,                  \
        float* __restrict__ base, float* __restrict__ slope, float* __restrict__ cb,               \
        float* __restrict__ cr, int height, int width, int network_height, int network_width) {    \
        fit_detail<NETWORK>(rgb, thermal_small, base, slope, cb, cr, height, width,                \
                            network_height, network_width);                                        \
    }

FIT_DETAIL_KERNEL(fit_detail_f32, float)
FIT_DETAIL_KERNEL(fit_detail_f16, Half)

// ---------------------------------------------------------------------------------------------
// After the network, at the picture's size
// ---------------------------------------------------------------------------------------------

// A thread makes QUAD x QUAD pixels: what one chroma sample of 4:2:0 covers.
constexpr int QUAD = 2;

// What `picture` works on. `height` and `width` are those of the colour part alone.
template <typename Pixel>
struct PictureTask {
    const Pixel* frame;
    const FrameLevels* levels;
    const float* luma;   // Network size, like the three below.
    const float* slope;  // Null: no detail is added.
    const float* cb;
    const float* cr;
    const uint8* label;  // Null: none. Covers the picture from (label_top, label_left) on.
    uint8* output;
    int frame_height;
    int frame_width;
    int height;
    int width;
    int small_height;
    int small_width;
    int shrinks_luma;    // Area average; bicubic otherwise.
    int shrinks_chroma;  // Area average; bilinear otherwise.
    int side_by_side;
    int label_top;
    int label_left;
};

// Luma - 16 of the colour picture and the thermal image on [0,1].
struct Quad {
    float luma[QUAD][QUAD];
    float thermal[QUAD][QUAD];
};

// One source row at the horizontal positions of a quad.
struct QuadRow {
    float at[QUAD];
};

__device__ inline QuadRow cubic_row(const float* __restrict__ plane, int row, int height, int width,
                                    const Position* columns, const CubicWeights* weights) {
    const float* line = plane + clamp(row, 0, height - 1) * width;
    QuadRow result;
    for (int i = 0; i < QUAD; ++i) {
        float sum = 0.0f;
        for (int k = 0; k < CUBIC_TAPS; ++k)
            sum += weights[i].tap[k] * line[clamp(columns[i].first - 1 + k, 0, width - 1)];
        result.at[i] = sum;
    }
    return result;
}

// Enlarged luma of a quad: bicubic base, and bilinear slope times thermal where there is detail.
// The window of four filtered source rows moves down with the quad's rows.
template <typename Pixel>
__device__ void enlarge(const PictureTask<Pixel>& task, int y, int x, Quad& quad) {
    Position columns[QUAD];
    CubicWeights across[QUAD];
    for (int i = 0; i < QUAD; ++i) {
        columns[i] = position(x + i, task.small_width, task.width);
        across[i] = cubic_weights(columns[i].fraction);
    }
    Position row = position(y, task.small_height, task.height);
    QuadRow window[CUBIC_TAPS];
    for (int k = 0; k < CUBIC_TAPS; ++k)
        window[k] = cubic_row(task.luma, row.first - 1 + k, task.small_height, task.small_width,
                              columns, across);
    for (int j = 0; j < QUAD; ++j) {
        if (j > 0) {
            const int above = row.first;
            row = position(y + j, task.small_height, task.height);
            for (int centre = above + 1; centre <= row.first; ++centre) {
                for (int k = 0; k + 1 < CUBIC_TAPS; ++k) window[k] = window[k + 1];
                window[CUBIC_TAPS - 1] = cubic_row(task.luma, centre + 2, task.small_height,
                                                   task.small_width, columns, across);
            }
        }
        const CubicWeights down = cubic_weights(row.fraction);
        for (int i = 0; i < QUAD; ++i) {
            float sum = 0.0f;
            for (int k = 0; k < CUBIC_TAPS; ++k) sum += down.tap[k] * window[k].at[i];
            if (task.slope)
                sum += quad.thermal[j][i] *
                       linear(task.slope, task.small_height, task.small_width, row, columns[i]);
            quad.luma[j][i] = sum;
        }
    }
}

// Pixels beyond an odd side repeat the last one; nobody writes them.
template <typename Pixel>
__device__ Quad quad_at(const PictureTask<Pixel>& task, int y, int x) {
    Quad quad = {};
    if (task.slope || task.side_by_side)
        for (int j = 0; j < QUAD; ++j)
            for (int i = 0; i < QUAD; ++i) {
                const int row = min(y + j, task.frame_height - 1);
                const int column = min(x + i, task.frame_width - 1);
                quad.thermal[j][i] =
                    normalized(task.frame[row * task.frame_width + column], task.levels);
            }
    if (!task.shrinks_luma) {
        enlarge(task, y, x, quad);
        return quad;
    }
    for (int j = 0; j < QUAD; ++j)
        for (int i = 0; i < QUAD; ++i)
            quad.luma[j][i] =
                area_mean(task.luma, task.small_height, task.small_width, task.height, task.width,
                          min(y + j, task.height - 1), min(x + i, task.width - 1));
    return quad;
}

// One chroma sample of a plane of height x width.
template <typename Pixel>
__device__ float chroma_at(const PictureTask<Pixel>& task, const float* __restrict__ plane,
                           int height, int width, int y, int x) {
    if (task.shrinks_chroma)
        return area_mean(plane, task.small_height, task.small_width, height, width, y, x);
    return linear(plane, task.small_height, task.small_width,
                  position(y, task.small_height, height), position(x, task.small_width, width));
}

// Writes what the label covers of a quad at (y, x) of the whole picture over what the same thread
// wrote there; `bytes` per pixel.
template <typename Pixel>
__device__ void draw_label(const PictureTask<Pixel>& task, int picture_width, int bytes, int y,
                           int x) {
    if (!task.label || y + QUAD <= task.label_top || x + QUAD <= task.label_left) return;
    const int label_width = picture_width - task.label_left;
    const int right = min(x + QUAD, picture_width);
    for (int row = max(y, task.label_top); row < min(y + QUAD, task.height); ++row)
        for (int column = max(x, task.label_left); column < right; ++column) {
            const uint8 value =
                task.label[(row - task.label_top) * label_width + column - task.label_left];
            uint8* target = task.output + (row * picture_width + column) * bytes;
            for (int k = 0; k < bytes; ++k) target[k] = value;
        }
}

// Planes Y, U, V one after another; sides are even.
template <typename Pixel>
__device__ void write_yuv420p(const PictureTask<Pixel>& task, int y, int x) {
    const Quad quad = quad_at(task, y, x);
    const int picture_width = task.side_by_side ? 2 * task.width : task.width;
    const int colour_x = picture_width - task.width + x;
    for (int j = 0; j < QUAD; ++j) {
        uint8* line = task.output + (y + j) * picture_width;
        uint8 colour[QUAD];
        uint8 thermal[QUAD];
        for (int i = 0; i < QUAD; ++i) {
            colour[i] = to_byte(quad.luma[j][i] + LUMA_BLACK);
            thermal[i] = to_byte(quad.thermal[j][i] * LUMA_RANGE + LUMA_BLACK);
        }
        *(uchar2*)(line + colour_x) = make_uchar2(colour[0], colour[1]);
        if (task.side_by_side) *(uchar2*)(line + x) = make_uchar2(thermal[0], thermal[1]);
    }
    const int chroma_height = task.height / QUAD;
    const int chroma_width = task.width / QUAD;
    const int row = y / QUAD;
    const int column = x / QUAD;
    const float* planes[] = {task.cb, task.cr};
    uint8* output = task.output + task.height * picture_width;
    for (int c = 0; c < 2; ++c) {
        const float chroma = chroma_at(task, planes[c], chroma_height, chroma_width, row, column);
        uint8* line = output + (c * chroma_height + row) * (picture_width / QUAD);
        line[colour_x / QUAD] = to_byte(chroma + CHROMA_ZERO);
        if (task.side_by_side) line[column] = (uint8)CHROMA_ZERO;
    }
    draw_label(task, picture_width, 1, y, colour_x);
    if (task.side_by_side) draw_label(task, picture_width, 1, y, x);
}

// BT.709 limited range to RGB on [0,255]: colorize.YCBCR_TO_RGB.
__device__ inline void to_rgb(float y, float cb, float cr, uint8* rgb) {
    const float luma = y * (FULL_RANGE / LUMA_RANGE);
    const float red = cr * (CR_SPAN * FULL_RANGE / CHROMA_RANGE);
    const float blue = cb * (CB_SPAN * FULL_RANGE / CHROMA_RANGE);
    rgb[0] = to_byte(luma + red);
    rgb[1] = to_byte(luma - (RED_WEIGHT * red + BLUE_WEIGHT * blue) / GREEN_WEIGHT);
    rgb[2] = to_byte(luma + blue);
}

constexpr int RGB_BYTES = 3;

// One row of a quad; bytes in pairs where the picture's layout keeps them aligned.
__device__ inline void write_rgb(uint8* target, const uint8* values, bool both) {
    if (both && (unsigned long long)target % 2 == 0) {
        for (int k = 0; k < RGB_BYTES; ++k)
            ((uchar2*)target)[k] = make_uchar2(values[2 * k], values[2 * k + 1]);
        return;
    }
    for (int k = 0; k < (both ? QUAD : 1) * RGB_BYTES; ++k) target[k] = values[k];
}

// Interleaved; sides of any parity.
template <typename Pixel>
__device__ void write_rgb24(const PictureTask<Pixel>& task, int y, int x) {
    const Quad quad = quad_at(task, y, x);
    const int picture_width = task.side_by_side ? 2 * task.width : task.width;
    const int colour_x = picture_width - task.width + x;
    const bool both = x + 1 < task.width;
    for (int j = 0; j < QUAD && y + j < task.height; ++j) {
        uint8 colour[QUAD * RGB_BYTES];
        uint8 thermal[QUAD * RGB_BYTES];
        for (int i = 0; i < QUAD; ++i) {
            const int column = min(x + i, task.width - 1);
            const float cb = chroma_at(task, task.cb, task.height, task.width, y + j, column);
            const float cr = chroma_at(task, task.cr, task.height, task.width, y + j, column);
            to_rgb(quad.luma[j][i], cb, cr, colour + RGB_BYTES * i);
            // The same steps as a luma plane has, so that both formats show one picture.
            const float shown = to_byte(quad.thermal[j][i] * LUMA_RANGE + LUMA_BLACK);
            to_rgb(shown - LUMA_BLACK, 0.0f, 0.0f, thermal + RGB_BYTES * i);
        }
        uint8* line = task.output + (y + j) * picture_width * RGB_BYTES;
        write_rgb(line + colour_x * RGB_BYTES, colour, both);
        if (task.side_by_side) write_rgb(line + x * RGB_BYTES, thermal, both);
    }
    draw_label(task, picture_width, RGB_BYTES, y, colour_x);
    if (task.side_by_side) draw_label(task, picture_width, RGB_BYTES, y, x);
}

#define PICTURE_KERNEL(NAME, PIXEL, WRITE)                                                         \
    extern "C" __global__ void NAME(                                                               \
        const PIXEL* __restrict__ frame, const FrameLevels* __restrict__ levels,                   \
        const float* __restrict__ luma, const float* __restrict__ slope,                           \
        const float* __restrict__ cb, const float* __restrict__ cr,                                \
        const uint8* __restrict__ label, uint8* __restrict__ output, int frame_height,             \
        int frame_width, int height, int width, int small_height, int small_width,                 \
        int shrinks_luma, int shrinks_chroma, int side_by_side, int label_top, int label_left) {   \
        const int x = QUAD * (blockIdx.x * blockDim.x + threadIdx.x);                              \
        const int y = QUAD * (blockIdx.y * blockDim.y + threadIdx.y);                              \
        if (x >= width || y >= height) return;                                                     \
        const PictureTask<PIXEL> task = {                                                          \
            frame,        levels,         luma,         slope,     cb,                             \
            cr,           label,          output,       frame_height, frame_width,                 \
            height,       width,          small_height, small_width, shrinks_luma,                 \
            shrinks_chroma, side_by_side, label_top,    label_left};                               \
        WRITE(task, y, x);                                                                         \
    }

PICTURE_KERNEL(picture_yuv420p_u8, uint8, write_yuv420p)
PICTURE_KERNEL(picture_yuv420p_u16, uint16, write_yuv420p)
PICTURE_KERNEL(picture_rgb24_u8, uint8, write_rgb24)
PICTURE_KERNEL(picture_rgb24_u16, uint16, write_rgb24)
