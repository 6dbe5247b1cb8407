// The gate of flicker suppression (translate/steady.py, MotionGate): how much each part of the frame
// moves. Its noise is measured by `shrink`; the blending itself is part of `picture`.

// The sum over the gate image is one of integers: the same in any order of blocks.
constexpr int MOVING_ONE = 65536;

constexpr int GATE_TILE_WIDTH = 32;
constexpr int GATE_TILE_HEIGHT = 8;
constexpr int GATE_FLAT_WIDTH = GATE_TILE_WIDTH + 2 * REACH;
constexpr int GATE_FLAT_HEIGHT = GATE_TILE_HEIGHT + 2 * REACH;
constexpr int GATE_LOAD_WIDTH = GATE_FLAT_WIDTH + 2;
constexpr int GATE_LOAD_HEIGHT = GATE_FLAT_HEIGHT + 2;
constexpr float MEAN_OF_NINE = 1.0f / 9.0f;

// Change against the last frame and the still image, blurred, cut off below the noise, widened.
// One block per tile, of as many threads; the last one sees whether this is another scene.
template <typename Pixel>
__device__ void motion(const Pixel* now, const Pixel* before, const float* reference, float* moving,
                       const FrameLevels* levels, const FrameClock* clock, SteadyState* state,
                       FrameGate* gate, int height, int width) {
    __shared__ float change[GATE_LOAD_HEIGHT][GATE_LOAD_WIDTH];
    __shared__ float flat[GATE_FLAT_HEIGHT][GATE_FLAT_WIDTH];
    __shared__ float widened[GATE_FLAT_HEIGHT][GATE_TILE_WIDTH];
    __shared__ uint32 sum;
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    const int threads = blockDim.x * blockDim.y;
    const int left = blockIdx.x * GATE_TILE_WIDTH;
    const int top = blockIdx.y * GATE_TILE_HEIGHT;
    const float per_step = levels->per_step;
    const float still = gate->still;
    if (thread == 0) sum = 0;

    for (int i = thread; i < GATE_LOAD_HEIGHT * GATE_LOAD_WIDTH; i += threads) {
        const int row = i / GATE_LOAD_WIDTH;
        const int column = i % GATE_LOAD_WIDTH;
        const int at = reflect_101(top + row - REACH - 1, height) * width +
                       reflect_101(left + column - REACH - 1, width);
        const float value = (float)now[at];
        change[row][column] =
            fmaxf(fabsf(value - (float)before[at]), fabsf(value - reference[at])) * per_step;
    }
    __syncthreads();

    for (int i = thread; i < GATE_FLAT_HEIGHT * GATE_FLAT_WIDTH; i += threads) {
        const int row = i / GATE_FLAT_WIDTH;
        const int column = i % GATE_FLAT_WIDTH;
        const int y = top + row - REACH;
        const int x = left + column - REACH;
        float total = 0.0f;
        for (int j = 0; j < 3; ++j)
            for (int k = 0; k < 3; ++k) total += change[row + j][column + k];
        const float above = (total * MEAN_OF_NINE - still) / still;
        // Beyond the border nothing moves: the widest of what is inside counts.
        const bool inside = 0 <= y && y < height && 0 <= x && x < width;
        flat[row][column] = inside ? fminf(fmaxf(above, 0.0f), 1.0f) : 0.0f;
    }
    __syncthreads();

    for (int i = thread; i < GATE_FLAT_HEIGHT * GATE_TILE_WIDTH; i += threads) {
        const int row = i / GATE_TILE_WIDTH;
        const int column = i % GATE_TILE_WIDTH;
        float most = 0.0f;
        for (int k = 0; k <= 2 * REACH; ++k) most = fmaxf(most, flat[row][column + k]);
        widened[row][column] = most;
    }
    __syncthreads();

    const int y = top + threadIdx.y;
    const int x = left + threadIdx.x;
    if (y < height && x < width) {
        float most = 0.0f;
        for (int k = 0; k <= 2 * REACH; ++k)
            most = fmaxf(most, widened[threadIdx.y + k][threadIdx.x]);
        moving[y * width + x] = most;
        atomicAdd(&sum, (uint32)__float2int_rn(most * MOVING_ONE));
    }
    __syncthreads();
    if (thread == 0) atomicAdd(&state->moving, (unsigned long long)sum);
    if (!last_block(&state->arrived, gridDim.x * gridDim.y) || thread != 0) return;
    const unsigned long long pixels = (unsigned long long)height * width;
    const bool cut = fresh(&state->moving) * CUT_UNDER > CUT_OVER * MOVING_ONE * pixels;
    state->moving = 0;
    gate->begins = clock->begins || cut;
}

#define MOTION_KERNEL(NAME, PIXEL)                                                                 \
    extern "C" __global__ void NAME(                                                               \
        const PIXEL* __restrict__ now, const PIXEL* __restrict__ before,                           \
        const float* __restrict__ reference, float* __restrict__ moving,                           \
        const FrameLevels* levels, const FrameClock* clock, SteadyState* state, FrameGate* gate,   \
        int height, int width) {                                                                   \
        motion<PIXEL>(now, before, reference, moving, levels, clock, state, gate, height, width);  \
    }

MOTION_KERNEL(motion_u8, uint8)
MOTION_KERNEL(motion_u16, uint16)

// The map that pictures are blended by, and the images that the next frame is compared with; one
// thread per gate pixel.
template <typename Pixel>
__device__ void follow_motion(const Pixel* now, const float* moving, const FrameGate* gate,
                              Pixel* before, float* reference, float* map, int height, int width) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const int at = y * width + x;
    const float value = (float)now[at];
    before[at] = now[at];
    if (gate->begins) {
        reference[at] = value;
        return;
    }
    const float rate = REFERENCE_RATE + (1.0f - REFERENCE_RATE) * moving[at];
    reference[at] += rate * (value - reference[at]);
    float total = 0.0f;
    for (int j = -1; j <= 1; ++j)
        for (int k = -1; k <= 1; ++k)
            total += moving[reflect_101(y + j, height) * width + reflect_101(x + k, width)];
    map[at] = total * MEAN_OF_NINE;
}

#define FOLLOW_MOTION_KERNEL(NAME, PIXEL)                                                          \
    extern "C" __global__ void NAME(const PIXEL* __restrict__ now,                                 \
                                    const float* __restrict__ moving, const FrameGate* gate,       \
                                    PIXEL* __restrict__ before, float* __restrict__ reference,     \
                                    float* __restrict__ map, int height, int width) {              \
        follow_motion<PIXEL>(now, moving, gate, before, reference, map, height, width);            \
    }

FOLLOW_MOTION_KERNEL(follow_motion_u8, uint8)
FOLLOW_MOTION_KERNEL(follow_motion_u16, uint16)
