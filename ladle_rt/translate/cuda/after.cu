// After the network: its output to a picture, with the thermal image's detail where asked for, and
// made steady. Where no side shrinks and no detail is added, `picture` reads the network's output
// itself, a tile for each block; otherwise through planes at network size.

// A plane's value in 16 bits with UNIT steps to one of the picture: half as many bytes as float.
// Not IEEE halves, whose 11 bits are off by up to 1/16 at bright luma, and show.
template <int UNIT>
struct Fixed {
    short value;
};

template <int UNIT>
__device__ inline float load(Fixed<UNIT> fixed) {
    return (float)fixed.value * (1.0f / UNIT);
}

template <int UNIT>
__device__ inline void store(Fixed<UNIT>* target, float value) {
    target->value = (short)clamp(__float2int_rn(value * UNIT), -32768, 32767);
}

using Luma = Fixed<64>;     // luma - slope thermal, within 219 + 176.
using Slope = Fixed<128>;   // Within 0.8 * 219.
using Chroma = Fixed<256>;  // Within 112.

// A plane that `picture` reads, its border repeated.
template <typename Stored>
struct Plane {
    using Value = float;
    const Stored* values;
    int height;
    int width;
    __device__ float at(int row, int column) const {
        return load(values[clamp(row, 0, height - 1) * width + clamp(column, 0, width - 1)]);
    }
};

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

// The network's output without its padding as planes; one thread per pixel.
template <typename Network>
__device__ void to_planes(const Network* rgb, Luma* luma, Chroma* cb, Chroma* cr, int height,
                          int width, int network_height, int network_width) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const Ycbcr colour = ycbcr_at(rgb, network_height * network_width, y * network_width + x);
    store(luma + y * width + x, colour.y);
    store(cb + y * width + x, colour.cb);
    store(cr + y * width + x, colour.cr);
}

#define TO_PLANES_KERNEL(NAME, NETWORK)                                                            \
    extern "C" __global__ void NAME(const NETWORK* __restrict__ rgb, Luma* __restrict__ luma,      \
                                    Chroma* __restrict__ cb, Chroma* __restrict__ cr, int height,  \
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
__device__ void fit_detail(const Network* rgb, const Network* input, Luma* base, Slope* slope,
                           Chroma* cb, Chroma* cr, int height, int width, int network_height,
                           int network_width) {
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
        thermal[row][column] = load(input[from_y * network_width + from_x]);
        luma[row][column] = colour.y * (1.0f / LUMA_RANGE);
        const bool inside_tile = y >= top && y < top + TILE_HEIGHT && x >= left &&
                                 x < left + TILE_WIDTH;
        if (inside_tile && y < height && x < width) {
            store(cb + y * width + x, colour.cb);
            store(cr + y * width + x, colour.cr);
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
        store(slope + y * width + x, steepness);
        store(base + y * width + x,
              LUMA_RANGE * luma[row + 2 * RADIUS][column + 2 * RADIUS] - steepness * t);
    }
}

#define FIT_DETAIL_KERNEL(NAME, NETWORK)                                                           \
    extern "C" __global__ void NAME(                                                               \
        const NETWORK* __restrict__ rgb, const NETWORK* __restrict__ input,                        \
        Luma* __restrict__ base, Slope* __restrict__ slope, Chroma* __restrict__ cb,               \
        Chroma* __restrict__ cr, int height, int width, int network_height, int network_width) {   \
        fit_detail<NETWORK>(rgb, input, base, slope, cb, cr, height, width, network_height,        \
                            network_width);                                                        \
    }

FIT_DETAIL_KERNEL(fit_detail_f32, float)
FIT_DETAIL_KERNEL(fit_detail_f16, Half)

// ---------------------------------------------------------------------------------------------
// At the picture's size
// ---------------------------------------------------------------------------------------------

// A thread makes QUAD x QUAD pixels: what one chroma sample of 4:2:0 covers.
constexpr int QUAD = 2;
constexpr int PICTURE_BLOCK_WIDTH = 32;
constexpr int PICTURE_BLOCK_HEIGHT = 8;
// Of the network's output: what the pixels of a block see where no side shrinks, with the cubic
// kernel's reach.
constexpr int SEEN_WIDTH = QUAD * PICTURE_BLOCK_WIDTH + CUBIC_TAPS;
constexpr int SEEN_HEIGHT = QUAD * PICTURE_BLOCK_HEIGHT + CUBIC_TAPS;

// One plane of what a block sees, in shared memory; beyond the image its border.
struct Seen {
    using Value = float;
    const float* values;
    int top;
    int left;
    __device__ float at(int row, int column) const {
        return values[(row - top) * SEEN_WIDTH + column - left];
    }
};

// Where luma and chroma come from. Detail has planes alone.
struct SeenSource {
    Seen luma;
    Seen cb;
    Seen cr;
    __device__ bool detailed() const { return false; }
    __device__ float slope_at(Position, Position) const { return 0.0f; }
};

struct PlaneSource {
    Plane<Luma> luma;
    Plane<Chroma> cb;
    Plane<Chroma> cr;
    Plane<Slope> slope;  // Null: no detail is added.
    __device__ bool detailed() const { return slope.values != nullptr; }
    __device__ float slope_at(Position row, Position column) const {
        return linear(slope, row, column);
    }
};

// What `picture` works on. `height` and `width` are those of the colour part alone.
template <typename Pixel>
struct PictureTask {
    const Pixel* frame;
    const FrameLevels* levels;
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
    // Flicker suppression; `shown` null: none.
    float* shown;  // The picture before, as float: planes, or RGB interleaved.
    const float* map;
    const FrameGate* gate;
    int gate_height;
    int gate_width;
    float keep_luma;
    float keep_chroma;

    __device__ int picture_width() const { return side_by_side ? 2 * width : width; }
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

template <typename Source>
__device__ inline QuadRow cubic_row(const Source& plane, int row, const Position* columns,
                                    const CubicWeights* weights) {
    QuadRow result;
    for (int i = 0; i < QUAD; ++i) {
        float sum = 0.0f;
        for (int k = 0; k < CUBIC_TAPS; ++k)
            sum += weights[i].tap[k] * plane.at(row, columns[i].first - 1 + k);
        result.at[i] = sum;
    }
    return result;
}

// Enlarged luma of a quad: bicubic base, and bilinear slope times thermal where there is detail.
// The window of four filtered source rows moves down with the quad's rows.
template <typename Pixel, typename Source>
__device__ void enlarge(const PictureTask<Pixel>& task, const Source& source, int y, int x,
                        Quad& quad) {
    Position columns[QUAD];
    CubicWeights across[QUAD];
    for (int i = 0; i < QUAD; ++i) {
        columns[i] = position(x + i, task.small_width, task.width);
        across[i] = cubic_weights(columns[i].fraction);
    }
    Position row = position(y, task.small_height, task.height);
    QuadRow window[CUBIC_TAPS];
    for (int k = 0; k < CUBIC_TAPS; ++k)
        window[k] = cubic_row(source.luma, row.first - 1 + k, columns, across);
    for (int j = 0; j < QUAD; ++j) {
        if (j > 0) {
            const int above = row.first;
            row = position(y + j, task.small_height, task.height);
            for (int centre = above + 1; centre <= row.first; ++centre) {
                for (int k = 0; k + 1 < CUBIC_TAPS; ++k) window[k] = window[k + 1];
                window[CUBIC_TAPS - 1] = cubic_row(source.luma, centre + 2, columns, across);
            }
        }
        const CubicWeights down = cubic_weights(row.fraction);
        for (int i = 0; i < QUAD; ++i) {
            float sum = 0.0f;
            for (int k = 0; k < CUBIC_TAPS; ++k) sum += down.tap[k] * window[k].at[i];
            if (source.detailed()) sum += quad.thermal[j][i] * source.slope_at(row, columns[i]);
            quad.luma[j][i] = sum;
        }
    }
}

// Pixels beyond an odd side repeat the last one; nobody writes them.
template <typename Pixel, typename Source>
__device__ Quad quad_at(const PictureTask<Pixel>& task, const Source& source, int y, int x) {
    Quad quad = {};
    if (source.detailed() || task.side_by_side)
        for (int j = 0; j < QUAD; ++j)
            for (int i = 0; i < QUAD; ++i) {
                const int row = min(y + j, task.frame_height - 1);
                const int column = min(x + i, task.frame_width - 1);
                quad.thermal[j][i] =
                    normalized(task.frame[row * task.frame_width + column], task.levels);
            }
    if (!task.shrinks_luma) {
        enlarge(task, source, y, x, quad);
        return quad;
    }
    for (int j = 0; j < QUAD; ++j)
        for (int i = 0; i < QUAD; ++i)
            quad.luma[j][i] = area_mean(source.luma, task.small_height, task.small_width,
                                        task.height, task.width, min(y + j, task.height - 1),
                                        min(x + i, task.width - 1));
    return quad;
}

// One chroma sample of a plane of height x width.
template <typename Pixel, typename Source>
__device__ float chroma_at(const PictureTask<Pixel>& task, const Source& plane, int height,
                           int width, int y, int x) {
    if (task.shrinks_chroma)
        return area_mean(plane, task.small_height, task.small_width, height, width, y, x);
    return linear(plane, position(y, task.small_height, height),
                  position(x, task.small_width, width));
}

// A byte of the picture at (row, column), or the label's where that covers it.
template <typename Pixel>
__device__ inline uint8 labelled(const PictureTask<Pixel>& task, int row, int column, uint8 value) {
    if (!task.label || row < task.label_top || column < task.label_left) return value;
    const int label_width = task.picture_width() - task.label_left;
    return task.label[(row - task.label_top) * label_width + column - task.label_left];
}

// How much a pixel of a plane of height x width moves.
template <typename Pixel>
__device__ inline float motion_at(const PictureTask<Pixel>& task, int height, int width, int row,
                                  int column) {
    return linear(Image<float>{task.map, task.gate_height, task.gate_width},
                  position(row, task.gate_height, height), position(column, task.gate_width, width));
}

// Blender._blend_planes for one byte of a plane of height x width whose shown values begin at
// `shown`.
template <typename Pixel>
__device__ inline uint8 blended(const PictureTask<Pixel>& task, float* shown, float keep, int height,
                                int width, int row, int column, uint8 value) {
    if (!task.shown) return value;
    float* target = shown + row * width + column;
    if (task.gate->begins) {
        *target = (float)value;
        return value;
    }
    const float take = motion_at(task, height, width, row, column) * keep + (1.0f - keep);
    const float now = *target + ((float)value - *target) * take;
    *target = now;
    return to_byte(now);
}

// A sample of U or V, `shown` and `output` being where its plane begins.
template <typename Pixel, typename Source>
__device__ inline void write_chroma(const PictureTask<Pixel>& task, const Source& plane,
                                    float* shown, uint8* output, int row, int column) {
    const int height = task.height / QUAD;
    const int width = task.width / QUAD;
    const int picture_width = task.picture_width() / QUAD;
    const uint8 value =
        to_byte(chroma_at(task, plane, height, width, row, column) + CHROMA_ZERO);
    uint8* line = output + row * picture_width;
    line[picture_width - width + column] =
        blended(task, shown, task.keep_chroma, height, width, row, column, value);
    if (task.side_by_side) line[column] = (uint8)CHROMA_ZERO;
}

// Planes Y, U, V one after another; sides are even.
template <typename Pixel, typename Source>
__device__ void write_yuv420p(const PictureTask<Pixel>& task, const Source& source, int y, int x) {
    const Quad quad = quad_at(task, source, y, x);
    const int picture_width = task.picture_width();
    const int colour_x = picture_width - task.width + x;
    for (int j = 0; j < QUAD; ++j) {
        uint8* line = task.output + (y + j) * picture_width;
        uint8 colour[QUAD];
        uint8 thermal[QUAD];
        for (int i = 0; i < QUAD; ++i) {
            const uint8 value = labelled(task, y + j, colour_x + i,
                                         to_byte(quad.luma[j][i] + LUMA_BLACK));
            colour[i] = blended(task, task.shown, task.keep_luma, task.height, task.width, y + j,
                                x + i, value);
            thermal[i] = labelled(task, y + j, x + i,
                                  to_byte(quad.thermal[j][i] * LUMA_RANGE + LUMA_BLACK));
        }
        *(uchar2*)(line + colour_x) = make_uchar2(colour[0], colour[1]);
        if (task.side_by_side) *(uchar2*)(line + x) = make_uchar2(thermal[0], thermal[1]);
    }
    const int samples = task.height * task.width / (QUAD * QUAD);
    float* shown = task.shown + task.height * task.width;
    uint8* output = task.output + task.height * picture_width;
    write_chroma(task, source.cb, shown, output, y / QUAD, x / QUAD);
    write_chroma(task, source.cr, shown + samples, output + task.height * picture_width / (QUAD * QUAD),
                 y / QUAD, x / QUAD);
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

// Blender._blend_rgb for one pixel of the colour part, in place.
template <typename Pixel>
__device__ inline void blend_rgb(const PictureTask<Pixel>& task, int row, int column, uint8* rgb) {
    float* shown = task.shown + (row * task.width + column) * RGB_BYTES;
    if (task.gate->begins) {
        for (int k = 0; k < RGB_BYTES; ++k) shown[k] = (float)rgb[k];
        return;
    }
    const float still = 1.0f - motion_at(task, task.height, task.width, row, column);
    float step[RGB_BYTES];
    for (int k = 0; k < RGB_BYTES; ++k) step[k] = (float)rgb[k] - shown[k];
    const float luma = RED_WEIGHT * step[0] + GREEN_WEIGHT * step[1] + BLUE_WEIGHT * step[2];
    const float common = luma * still * (task.keep_chroma - task.keep_luma);
    const float take = 1.0f - still * task.keep_chroma;
    for (int k = 0; k < RGB_BYTES; ++k) {
        // Luma and chroma from different moments may be a colour that does not exist.
        shown[k] = fmaxf(shown[k] + (step[k] * take + common), 0.0f);
        rgb[k] = to_byte(shown[k]);
    }
}

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
template <typename Pixel, typename Source>
__device__ void write_rgb24(const PictureTask<Pixel>& task, const Source& source, int y, int x) {
    const Quad quad = quad_at(task, source, y, x);
    const int picture_width = task.picture_width();
    const int colour_x = picture_width - task.width + x;
    const bool both = x + 1 < task.width;
    for (int j = 0; j < QUAD && y + j < task.height; ++j) {
        uint8 colour[QUAD * RGB_BYTES];
        uint8 thermal[QUAD * RGB_BYTES];
        for (int i = 0; i < (both ? QUAD : 1); ++i) {
            const int row = y + j;
            const int column = x + i;
            const float cb = chroma_at(task, source.cb, task.height, task.width, row, column);
            const float cr = chroma_at(task, source.cr, task.height, task.width, row, column);
            uint8* mine = colour + RGB_BYTES * i;
            to_rgb(quad.luma[j][i], cb, cr, mine);
            for (int k = 0; k < RGB_BYTES; ++k) mine[k] = labelled(task, row, colour_x + i, mine[k]);
            if (task.shown) blend_rgb(task, row, column, mine);
            if (!task.side_by_side) continue;
            // The same steps as a luma plane has, so that both formats show one picture.
            const float grey = to_byte(quad.thermal[j][i] * LUMA_RANGE + LUMA_BLACK);
            uint8* beside = thermal + RGB_BYTES * i;
            to_rgb(grey - LUMA_BLACK, 0.0f, 0.0f, beside);
            for (int k = 0; k < RGB_BYTES; ++k) beside[k] = labelled(task, row, column, beside[k]);
        }
        uint8* line = task.output + (y + j) * picture_width * RGB_BYTES;
        write_rgb(line + colour_x * RGB_BYTES, colour, both);
        if (task.side_by_side) write_rgb(line + x * RGB_BYTES, thermal, both);
    }
}

// The network's output as a block of `picture` sees it, converted once.
template <typename Network>
__device__ void see(const Network* rgb, int small_height, int small_width, int network_height,
                    int network_width, int top, int left, float* luma, float* cb, float* cr) {
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int i = thread; i < SEEN_HEIGHT * SEEN_WIDTH; i += blockDim.x * blockDim.y) {
        const int row = clamp(top + i / SEEN_WIDTH, 0, small_height - 1);
        const int column = clamp(left + i % SEEN_WIDTH, 0, small_width - 1);
        const Ycbcr colour =
            ycbcr_at(rgb, network_height * network_width, row * network_width + column);
        luma[i] = colour.y;
        cb[i] = colour.cb;
        cr[i] = colour.cr;
    }
}

#define PICTURE_ARGUMENTS(PIXEL)                                                                   \
    const PIXEL *__restrict__ frame, const FrameLevels *__restrict__ levels,                       \
        const uint8 *__restrict__ label, uint8 *__restrict__ output, int frame_height,             \
        int frame_width, int height, int width, int small_height, int small_width,                 \
        int shrinks_luma, int shrinks_chroma, int side_by_side, int label_top, int label_left,     \
        float *__restrict__ shown, const float *__restrict__ map,                                  \
        const FrameGate *__restrict__ gate, int gate_height, int gate_width, float keep_luma,      \
        float keep_chroma

#define PICTURE_TASK(PIXEL)                                                                        \
    const PictureTask<PIXEL> task = {frame,          levels,       label,       output,            \
                                     frame_height,   frame_width,  height,      width,             \
                                     small_height,   small_width,  shrinks_luma, shrinks_chroma,   \
                                     side_by_side,   label_top,    label_left,  shown,             \
                                     map,            gate,         gate_height, gate_width,        \
                                     keep_luma,      keep_chroma};                                 \
    const int x = QUAD * (blockIdx.x * blockDim.x + threadIdx.x);                                  \
    const int y = QUAD * (blockIdx.y * blockDim.y + threadIdx.y)

// Straight from the network's output; `half` tells its type. No side of the network's image is
// longer than the picture's.
#define PICTURE_KERNEL(NAME, PIXEL, WRITE)                                                         \
    extern "C" __global__ void NAME(const void* __restrict__ rgb, int half, int network_height,    \
                                    int network_width, PICTURE_ARGUMENTS(PIXEL)) {                 \
        __shared__ float seen[3][SEEN_HEIGHT * SEEN_WIDTH];                                        \
        PICTURE_TASK(PIXEL);                                                                       \
        const int top =                                                                            \
            position(QUAD * blockIdx.y * blockDim.y, small_height, height).first - 1;              \
        const int left = position(QUAD * blockIdx.x * blockDim.x, small_width, width).first - 1;   \
        if (half)                                                                                  \
            see((const Half*)rgb, small_height, small_width, network_height, network_width, top,   \
                left, seen[0], seen[1], seen[2]);                                                  \
        else                                                                                       \
            see((const float*)rgb, small_height, small_width, network_height, network_width, top,  \
                left, seen[0], seen[1], seen[2]);                                                  \
        __syncthreads();                                                                           \
        if (x >= width || y >= height) return;                                                     \
        const SeenSource source = {                                                                \
            {seen[0], top, left}, {seen[1], top, left}, {seen[2], top, left}};                     \
        WRITE(task, source, y, x);                                                                 \
    }

PICTURE_KERNEL(picture_yuv420p_u8, uint8, write_yuv420p)
PICTURE_KERNEL(picture_yuv420p_u16, uint16, write_yuv420p)
PICTURE_KERNEL(picture_rgb24_u8, uint8, write_rgb24)
PICTURE_KERNEL(picture_rgb24_u16, uint16, write_rgb24)

// From planes at network size; `slope` null: without detail.
#define PLANES_PICTURE_KERNEL(NAME, PIXEL, WRITE)                                                  \
    extern "C" __global__ void NAME(                                                               \
        const Luma* __restrict__ luma, const Chroma* __restrict__ cb,                              \
        const Chroma* __restrict__ cr, const Slope* __restrict__ slope, PICTURE_ARGUMENTS(PIXEL)) {\
        PICTURE_TASK(PIXEL);                                                                       \
        if (x >= width || y >= height) return;                                                     \
        const PlaneSource source = {{luma, small_height, small_width},                             \
                                    {cb, small_height, small_width},                               \
                                    {cr, small_height, small_width},                               \
                                    {slope, small_height, small_width}};                           \
        WRITE(task, source, y, x);                                                                 \
    }

PLANES_PICTURE_KERNEL(planes_picture_yuv420p_u8, uint8, write_yuv420p)
PLANES_PICTURE_KERNEL(planes_picture_yuv420p_u16, uint16, write_yuv420p)
PLANES_PICTURE_KERNEL(planes_picture_rgb24_u8, uint8, write_rgb24)
PLANES_PICTURE_KERNEL(planes_picture_rgb24_u16, uint16, write_rgb24)
