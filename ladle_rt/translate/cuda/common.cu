// What every kernel needs: constants, halves, rounding, resampling as OpenCV does it.
//
// The frame kernels are one source in four parts, common, before, steady, after, in this order,
// behind the constants that they share with the CPU path (`SHARED` in kernels.py): for NVRTC, nvcc
// and, behind a header that supplies CUDA's words, a C++ compiler for the host. It needs no header of
// its own. The CPU path (thermal/normalization.py, geometry.py, translate/steady.py,
// translate/detail.py, translate/colorize.py) is the reference: where OpenCV rounds, these kernels
// round the same way. Nothing is in double: consumer GPUs do that 64 times slower.
//
//   frame -> shrink -> small, levels -> normalize -> network input
//         -> (in shrink) gate image -> motion -> follow_motion -> gate map
//   network output, gate map -> picture, through planes at network size only where it must
//
// Images are row-major and dense. Names: `frame` is the camera's, `small` the frame scaled to its
// fit, `network` the padded fit, `gate` the frame at a quarter of its size. All launches of one
// translator run in the order of frames wherever they share state: before the network its
// TrackerState and the gate's part of SteadyState, after it the shown picture.

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;

constexpr int BINS = 256;  // Of a histogram; also the threads of the blocks that count.
constexpr int LEVELS = 3;  // Low, mid and high.


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

// Levels of a frame and its curve; lives as long as its frame: what `apply_levels` needs.
struct FrameLevels {
    float low;
    float per_count;
    float gamma;
    float per_step;     // 1 / the span that changes of the gate image are measured by.
    float curve[BINS];  // The whole mapping, for 8-bit frames only.
};

// What the host says about a frame, behind its pixels.
struct FrameClock {
    float follow;  // Share of the way from the levels so far to the measured ones; 1 takes them over.
    int begins;    // The picture before is none to be compared with.
};

// What the gate found; lives as long as its frame.
struct FrameGate {
    float still;  // Changes up to this are none.
    int begins;   // Shown as it is.
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

// What other blocks of this launch wrote: not from a cache of this multiprocessor.
template <typename Value>
__device__ inline Value fresh(const Value* value) {
    return *(const volatile Value*)value;
}

// Whether this block is the last of a launch to come here; all its threads ask. What the others
// wrote before is then visible through `fresh`.
__device__ inline bool last_block(uint32* arrived, uint32 blocks) {
    __shared__ int last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(arrived, 1u) == blocks - 1;
        if (last) *arrived = 0;
    }
    __syncthreads();
    if (last) __threadfence();
    return last != 0;
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

// A plane in memory, its border repeated.
template <typename Pixel>
struct Image {
    using Value = Pixel;
    const Pixel* pixels;
    int height;
    int width;
    __device__ Pixel at(int row, int column) const {
        return pixels[clamp(row, 0, height - 1) * width + clamp(column, 0, width - 1)];
    }
};

// The sum types of OpenCV's area resize by whole factors.
__device__ inline int zero_sum(uint8) { return 0; }
__device__ inline float zero_sum(uint16) { return 0.0f; }
__device__ inline float zero_sum(float) { return 0.0f; }

// Mean of the source pixels under one target pixel, before rounding. Products and sums are kept
// apart (no fused multiply-add): the reference rounds after each. Not inlined: a dozen copies would
// take the compiler seconds, and the loops outweigh the call.
template <typename Source>
__device__ __noinline__ float area_mean(Source image, int height, int width,
                                        int target_height, int target_width, int y, int x) {
    if (height % target_height == 0 && width % target_width == 0) {
        const int rows = height / target_height;
        const int columns = width / target_width;
        auto sum = zero_sum(typename Source::Value());
        for (int row = y * rows; row < (y + 1) * rows; ++row)
            for (int column = x * columns; column < (x + 1) * columns; ++column)
                sum += image.at(row, column);
        return __fmul_rn((float)sum, 1.0f / (float)(rows * columns));
    }
    const AreaSpan rows = area_span(y, height, target_height);
    const AreaSpan columns = area_span(x, width, target_width);
    float mean = 0.0f;
    for (int row = rows.first; row <= rows.last; ++row) {
        float sum = 0.0f;
        for (int column = columns.first; column <= columns.last; ++column)
            sum = __fadd_rn(sum, __fmul_rn((float)image.at(row, column), weight(columns, column)));
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

// cv2.INTER_LINEAR on float: outside the image its border pixel, which `source` repeats.
template <typename Source>
__device__ inline float linear(const Source& source, Position row, Position column) {
    const float upper_left = source.at(row.first, column.first);
    const float upper_right = source.at(row.first, column.first + 1);
    const float lower_left = source.at(row.first + 1, column.first);
    const float lower_right = source.at(row.first + 1, column.first + 1);
    const float upper = upper_left + column.fraction * (upper_right - upper_left);
    const float lower = lower_left + column.fraction * (lower_right - lower_left);
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
