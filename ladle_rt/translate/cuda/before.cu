// Before the network: the frame made small, its levels followed, its grey levels.

// LevelTracker.CUT_OVERLAP
constexpr float CUT_OVERLAP = 0.3f;

// Lives as long as the translator. Begins as zeros. `fine` exists for 16-bit frames only.
struct TrackerState {
    float level[LEVELS];
    float rest[LEVELS];        // What `level` lacks for its rounding: slow changes must not get lost.
    uint32 arrived;            // Blocks of `shrink`; zero between frames, as are both histograms.
    uint32 unused;
    uint32 coarse[BINS];       // By the pixel's upper (or only) byte.
    uint32 fine[BINS * BINS];  // By the whole pixel.
};

// Lives as long as the translator and one size of frame. Begins as zeros. Behind it lie, each
// aligned, the last frame's gate image, the still image and the picture as shown.
struct SteadyState {
    unsigned long long moving;  // Sum over the gate image; zero between frames, as is `arrived`.
    uint32 arrived;             // Blocks of `motion`.
    float noise;
};

// translate/steady.py: STILL, NOISE_FACTOR; every third pixel along both sides tells the noise.
constexpr float STILL = 0.016f;
constexpr float NOISE_FACTOR = 4.0f;
constexpr float NOISE_KEEP = 0.9f;
constexpr float NOISE_LEAST = 1e-30f;  // Zero says that none was measured yet.
constexpr int NOISE_STEP = 3;
// Counts; the least span that changes are measured by.
constexpr float LEAST_SPAN = 8.0f;

// One axis of cv2.INTER_LINEAR on integers. For 8 bit it keeps positions in float, and weights turn
// on that rounding; for 16 bit they are exact.
__device__ inline Position pixel_position(uint8, int i, int source, int target) {
    const int step = 2 * target;
    const int first = position(i, source, target).first;
    const int rest = (2 * i + 1) * source - target - first * step;
    const float centre = (float)first + (float)rest / (float)step;
    const int rounded = (int)floorf(centre);
    return {rounded, centre - (float)rounded};
}

__device__ inline Position pixel_position(uint16, int i, int source, int target) {
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
__device__ Pixel shrunk_pixel(const Image<Pixel>& frame, int small_height, int small_width, int y,
                              int x) {
    const int height = frame.height;
    const int width = frame.width;
    if (height == 2 * small_height && width == 2 * small_width) {
        // OpenCV's own case: halves are rounded up.
        const Pixel* above = frame.pixels + 2 * y * width + 2 * x;
        const Pixel* below = above + width;
        return (Pixel)((above[0] + above[1] + below[0] + below[1] + 2) >> 2);
    }
    if (height >= small_height && width >= small_width)
        return (Pixel)__float2int_rn(
            area_mean(frame, height, width, small_height, small_width, y, x));
    const Position row = pixel_position(Pixel(), y, height, small_height);
    const Position column = pixel_position(Pixel(), x, width, small_width);
    return linear_pixel(frame.pixels + clamp(row.first, 0, height - 1) * width,
                        frame.pixels + clamp(row.first + 1, 0, height - 1) * width,
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
// The bin that holds each rank (1 is the smallest pixel) among BINS counts, one per thread, and
// how many pixels lie below that bin.
__device__ void find_ranks(uint32 count, const int* rank, int ranks, int* bin, int* below,
                           int thread) {
    __shared__ uint32 cumulative[BINS];
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
    int low_rank;
    int mid_rank;
    int high_rank;
    float log_mid_target;
    float gamma_limit;
    float min_span;
    float fixed_low;  // With fixed_high above it, the levels of every frame.
    float fixed_high;
};

// thermal.normalization._overlap of (low, mid, high).
__device__ inline float overlap(const float* a, const float* b, float min_span) {
    const float a_high = fmaxf(a[2], a[0] + min_span);
    const float b_high = fmaxf(b[2], b[0] + min_span);
    const float shared = fminf(a_high, b_high) - fmaxf(a[0], b[0]);
    return fmaxf(shared, 0.0f) / fmaxf(fmaxf(a[2] - a[0], b[2] - b[0]), min_span);
}

// LevelTracker.update, each level in two floats: about 45 bits, where one would stand still as soon
// as a step is less than half of its last place.
__device__ void follow(TrackerState* state, const float* measured, float share, float min_span) {
    const bool restart = share >= 1.0f || overlap(state->level, measured, min_span) < CUT_OVERLAP;
    for (int i = 0; i < LEVELS; ++i) {
        const float level = state->level[i];
        const float part = state->rest[i] + share * ((measured[i] - level) - state->rest[i]);
        // Knuth's exact sum (The Art of Computer Programming 2, 4.2.2, theorem B).
        const float sum = __fadd_rn(level, part);
        const float added = __fadd_rn(sum, -level);
        const float lost =
            __fadd_rn(__fadd_rn(level, -__fadd_rn(sum, -added)), __fadd_rn(part, -added));
        state->level[i] = restart ? measured[i] : sum;
        state->rest[i] = restart ? 0.0f : lost;
    }
}

// thermal.normalization.gamma_for
__device__ inline float gamma_for(float mid, const LevelRules& rules) {
    if (!(0.0f < mid && mid < 1.0f)) return 1.0f;
    const float wanted = rules.log_mid_target / logf(mid);
    return fminf(fmaxf(wanted, 1.0f / rules.gamma_limit), rules.gamma_limit);
}

// thermal.normalization._curve below the power.
__device__ inline float unit_at(float value, float low, float per_count) {
    return fminf(fmaxf((value - low) * per_count, 0.0f), 1.0f);
}

// By the last block of `shrink`: percentiles of the histogram, the tracker's step, the frame's
// curve. Leaves the coarse histogram zero.
template <bool WIDE>
__device__ void follow_levels(TrackerState* state, FrameLevels* levels, float share,
                              const LevelRules& rules, int thread) {
    __shared__ int rank[LEVELS];
    __shared__ int bin[LEVELS];
    __shared__ int below[LEVELS];
    __shared__ FrameLevels result;
    if (thread == 0) {
        rank[0] = rules.low_rank;
        rank[1] = rules.mid_rank;
        rank[2] = rules.high_rank;
    }
    const uint32 count = fresh(&state->coarse[thread]);
    state->coarse[thread] = 0;
    find_ranks(count, rank, LEVELS, bin, below, thread);
    if (WIDE) {
        for (int i = 0; i < LEVELS; ++i) {
            const int base = bin[i] * BINS;
            const uint32 fine = fresh(&state->fine[base + thread]);
            if (thread == 0) rank[i] -= below[i];
            find_ranks(fine, rank + i, 1, bin + i, below + i, thread);
            if (thread == 0) bin[i] += base;
        }
    }
    if (thread == 0) {
        float measured[LEVELS] = {(float)bin[0], (float)bin[1], (float)bin[2]};
        if (rules.fixed_low < rules.fixed_high) {
            measured[0] = rules.fixed_low;
            measured[1] = fminf(fmaxf(measured[1], rules.fixed_low), rules.fixed_high);
            measured[2] = rules.fixed_high;
        }
        follow(state, measured, share, rules.min_span);
        const float* level = state->level;
        const float* rest = state->rest;
        const float range = (level[2] - level[0]) + (rest[2] - rest[0]);
        const float span = fmaxf(range, rules.min_span);
        result.low = level[0];
        result.per_count = 1.0f / span;
        result.gamma = gamma_for(((level[1] - level[0]) + (rest[1] - rest[0])) / span, rules);
        result.per_step = 1.0f / fmaxf(range, LEAST_SPAN);
        levels->low = result.low;
        levels->per_count = result.per_count;
        levels->gamma = result.gamma;
        levels->per_step = result.per_step;
    }
    __syncthreads();
    if (!WIDE)
        levels->curve[thread] =
            powf(unit_at((float)thread, result.low, result.per_count), result.gamma);
}

// MotionGate: the gate image, the last frame's, and how the usual change of one to the other is
// measured. Without flicker suppression `now` is null.
template <typename Pixel>
struct GateImages {
    Pixel* now;
    const Pixel* before;
    int height;
    int width;
};

// By the last block of `shrink`: the median change and what follows from it.
template <typename Pixel>
__device__ void measure_noise(const GateImages<Pixel>& images, SteadyState* state, FrameGate* gate,
                              const FrameClock* clock, float per_step, int thread) {
    constexpr bool WIDE = sizeof(Pixel) > 1;
    __shared__ uint32 counts[BINS];
    __shared__ int rank[2];
    __shared__ int bin[2];
    __shared__ int below[2];
    if (clock->begins) {
        if (thread == 0) {
            state->noise = 0.0f;
            gate->still = STILL;
        }
        return;
    }
    const int columns = (images.width + NOISE_STEP - 1) / NOISE_STEP;
    const int samples = columns * ((images.height + NOISE_STEP - 1) / NOISE_STEP);
    int base = -1;
    // The two in the middle; of an odd number both are the same.
    for (int turn = 0; turn < (WIDE ? 3 : 1); ++turn) {
        counts[thread] = 0;
        __syncthreads();
        for (int i = thread; i < samples; i += BINS) {
            const int at = NOISE_STEP * (i / columns * images.width + i % columns);
            const int step = abs((int)fresh(&images.now[at]) - (int)images.before[at]);
            if (!WIDE || turn == 0)
                atomicAdd(&counts[WIDE ? step / BINS : step], 1u);
            else if (step / BINS == base)
                atomicAdd(&counts[step % BINS], 1u);
        }
        __syncthreads();
        if (turn == 0) {
            if (thread == 0) {
                rank[0] = (samples - 1) / 2 + 1;
                rank[1] = samples / 2 + 1;
            }
            find_ranks(counts[thread], rank, 2, bin, below, thread);
            if (thread < 2) rank[thread] -= below[thread];
        } else {
            find_ranks(counts[thread], rank + turn - 1, 1, bin + turn - 1, below + turn - 1, thread);
            if (thread == 0) bin[turn - 1] += base * BINS;
        }
        if (turn < 2) base = bin[turn];
        __syncthreads();
    }
    if (thread == 0) {
        const float usual = 0.5f * (float)(bin[0] + bin[1]) * per_step;
        const float noise = state->noise;
        const float mixed = NOISE_KEEP * noise + (1.0f - NOISE_KEEP) * usual;
        state->noise = noise == 0.0f ? usual : fmaxf(mixed, NOISE_LEAST);
        gate->still = fmaxf(STILL, NOISE_FACTOR * fminf(state->noise, STILL));
    }
}

// Scales the frame to the network's size and to the gate's, counts the former's values, and follows
// the levels and the noise: blocks of BINS threads, one pixel each; z is 1 for the gate's.
template <typename Pixel>
__device__ void shrink(const Image<Pixel>& frame, Pixel* small, int small_height, int small_width,
                       TrackerState* state, FrameLevels* levels, const FrameClock* clock,
                       const LevelRules& rules, const GateImages<Pixel>& images,
                       SteadyState* steady, FrameGate* gate) {
    __shared__ uint32 counts[BINS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    counts[thread] = 0;
    __syncthreads();
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    const bool for_gate = blockIdx.z != 0;
    const int height = for_gate ? images.height : small_height;
    const int width = for_gate ? images.width : small_width;
    if (x < width && y < height) {
        const Pixel value = shrunk_pixel(frame, height, width, y, x);
        (for_gate ? images.now : small)[y * width + x] = value;
        if (!for_gate) count_pixel(value, counts, state);
    }
    __syncthreads();
    if (counts[thread] != 0) atomicAdd(&state->coarse[thread], counts[thread]);
    if (!last_block(&state->arrived, gridDim.x * gridDim.y * gridDim.z)) return;
    follow_levels<(sizeof(Pixel) > 1)>(state, levels, clock->follow, rules, thread);
    __syncthreads();
    if (images.now) measure_noise(images, steady, gate, clock, levels->per_step, thread);
}

#define SHRINK_KERNEL(NAME, PIXEL)                                                                 \
    extern "C" __global__ void NAME(                                                               \
        const PIXEL* __restrict__ frame, PIXEL* small, TrackerState* state, FrameLevels* levels,   \
        const FrameClock* clock, int height, int width, int small_height, int small_width,         \
        int low_rank, int mid_rank, int high_rank, float log_mid_target, float gamma_limit,        \
        float min_span, float fixed_low, float fixed_high, PIXEL* gate_now,                        \
        const PIXEL* gate_before, SteadyState* steady, FrameGate* gate, int gate_height,           \
        int gate_width) {                                                                          \
        const LevelRules rules = {low_rank, mid_rank,   high_rank, log_mid_target, gamma_limit,      \
                                  min_span, fixed_low, fixed_high};                                \
        shrink<PIXEL>({frame, height, width}, small, small_height, small_width, state, levels,     \
                      clock, rules, {gate_now, gate_before, gate_height, gate_width}, steady,      \
                      gate);                                                                       \
    }

SHRINK_KERNEL(shrink_u8, uint8)
SHRINK_KERNEL(shrink_u16, uint16)


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
template <typename Pixel, typename Network>
__device__ void normalize(const Pixel* small, const FrameLevels* levels, TrackerState* state,
                          Network* network, int small_height, int small_width, int network_height,
                          int network_width, int reflects) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= network_width || y >= network_height) return;
    const int row = reflects ? reflect_101(y, small_height) : min(y, small_height - 1);
    const int column = reflects ? reflect_101(x, small_width) : min(x, small_width - 1);
    const Pixel pixel = small[row * small_width + column];
    store(network + y * network_width + x, normalized(pixel, levels));
    if (y < small_height && x < small_width) clear_count(pixel, state);
}

#define NORMALIZE_KERNEL(NAME, PIXEL, NETWORK)                                                     \
    extern "C" __global__ void NAME(const PIXEL* __restrict__ small,                               \
                                    const FrameLevels* __restrict__ levels, TrackerState* state,   \
                                    NETWORK* __restrict__ network, int small_height,               \
                                    int small_width, int network_height, int network_width,        \
                                    int reflects) {                                                \
        normalize<PIXEL, NETWORK>(small, levels, state, network, small_height, small_width,        \
                                  network_height, network_width, reflects);                        \
    }

NORMALIZE_KERNEL(normalize_u8_f32, uint8, float)
NORMALIZE_KERNEL(normalize_u8_f16, uint8, Half)
NORMALIZE_KERNEL(normalize_u16_f32, uint16, float)
NORMALIZE_KERNEL(normalize_u16_f16, uint16, Half)
