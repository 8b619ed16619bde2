// RMSNorm: y = x s w with s = 1 / sqrt(mean(x^2) + eps), one row at a time; float32 inside.
#include <cmath>

#include "parallel.h"
#include "vector.h"

namespace {

// Rows whose shares of the weight's gradient are added up before they meet those of other rows.
constexpr long ROWS = 64;

template <class T>
void forward(const T* x, long x_stride, const float* weight, T* y, float* scales, long n_rows, long width, float eps) {
    each_block(blocks_of(n_rows, ROWS), ROWS * width, [=](long block) {
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            const T* from = x + row * x_stride;
            T* to = y + row * width;
            Vector squares{};
            sweep(width, [&](long at, int n) {
                const Vector one = load(from + at, n);
                squares += one * one;
            });
            const float scale = 1.0f / std::sqrt(sum(squares) / float(width) + eps);
            scales[row] = scale;
            sweep(width, [&](long at, int n) { store(to + at, load(from + at, n) * scale * load(weight + at, n), n); });
        }
    });
}

// With g = dy w: dx = s g - x s^3 mean(g x), and dw = the sum over rows of dy x s. `shares` has a row for each block.
template <class T>
void backward(const T* gradient, const T* x, long x_stride, const float* weight, const float* scales, T* x_gradient,
              float* weight_gradient, float* shares, long n_rows, long width) {
    const long n_blocks = blocks_of(n_rows, ROWS);
    each_block(n_blocks, ROWS * width, [=](long block) {
        float* share = shares + block * width;
        std::memset(share, 0, width * sizeof(float));
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            const T *dy = gradient + row * width, *from = x + row * x_stride;
            T* to = x_gradient + row * width;
            const float scale = scales[row];
            Vector products{};
            sweep(width, [&](long at, int n) {
                const Vector both = load(dy + at, n) * load(from + at, n);
                products += both * load(weight + at, n);
                store(share + at, load(share + at, n) + both * scale, n);
            });
            const float pull = sum(products) / float(width) * scale * scale * scale;
            sweep(width, [&](long at, int n) {
                store(to + at, load(dy + at, n) * load(weight + at, n) * scale - load(from + at, n) * pull, n);
            });
        }
    });
    std::memset(weight_gradient, 0, width * sizeof(float));
    for (long block = 0; block < n_blocks; ++block)
        sweep(width, [&](long at, int n) {
            store(weight_gradient + at, load(weight_gradient + at, n) + load(shares + block * width + at, n), n);
        });
}

}  // namespace

#define RMS_NORM(T)                                                                                                    \
    extern "C" void rms_norm_forward_##T(const T* x, long x_stride, const float* weight, T* y, float* scales,          \
                                         long n_rows, long width, float eps) {                                         \
        forward(x, x_stride, weight, y, scales, n_rows, width, eps);                                                   \
    }                                                                                                                  \
    extern "C" void rms_norm_backward_##T(const T* gradient, const T* x, long x_stride, const float* weight,           \
                                          const float* scales, T* x_gradient, float* weight_gradient, float* shares,   \
                                          long n_rows, long width) {                                                   \
        backward(gradient, x, x_stride, weight, scales, x_gradient, weight_gradient, shares, n_rows, width);           \
    }

using float32 = float;
RMS_NORM(float32)
RMS_NORM(bfloat16)
