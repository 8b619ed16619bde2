// Cross-entropy of rows of logits: loss = ln(sum of e^x) - x at the target, and its gradient, softmax minus one there.
#include <cmath>

#include "parallel.h"
#include "vector.h"

namespace {

// Rows of one block: enough numbers that a thread is worth it, whatever the vocabulary.
constexpr long ROWS = 16;

template <class T>
inline float at(const T* x, long place) {
    return load(x + place, 1)[0];
}

// Losses and the logarithm of each row's sum; 0 where the target is `ignored`. Done unless a target is no place of a
// row: then that row is returned, and nothing is written.
template <class T>
long forward(const T* logits, const int64_t* targets, float* losses, float* sums, long n_rows, long width,
             long ignored) {
    for (long row = 0; row < n_rows; ++row)
        if (targets[row] != ignored && (targets[row] < 0 || targets[row] >= width)) return row;
    each_block(blocks_of(n_rows, ROWS), ROWS * width, [=](long block) {
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            const T* x = logits + row * width;
            Vector top = splat(-INFINITY);
            sweep(width, [&](long first, int n) {
                const Vector some = load_or_lowest(x + first, n);
                top = some > top ? some : top;
            });
            const float most = largest(top);
            Vector total{};
            sweep(width, [&](long first, int n) { total += exponential(load_or_lowest(x + first, n) - most); });
            sums[row] = most + std::log(sum(total));
            losses[row] = targets[row] == ignored ? 0.0f : sums[row] - at(x, targets[row]);
        }
    });
    return -1;
}

// gradient = (softmax - one at the target) share; 0 where the target is `ignored`. It may be written over the logits.
template <class T>
void backward(const T* logits, const int64_t* targets, const float* sums, const float* shares, T* gradient, long n_rows,
              long width, long ignored) {
    each_block(blocks_of(n_rows, ROWS), ROWS * width, [=](long block) {
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            const T* x = logits + row * width;
            T* to = gradient + row * width;
            if (targets[row] == ignored) {
                std::memset(to, 0, width * sizeof(T));
                continue;
            }
            const float share = shares[row], total = sums[row];
            const Vector there = exponential(splat(at(x, targets[row]) - total));
            sweep(width, [&](long first, int n) {
                store(to + first, exponential(load(x + first, n) - total) * share, n);
            });
            store(to + targets[row], (there - 1.0f) * share, 1);
        }
    });
}

}  // namespace

#define CROSS_ENTROPY(T)                                                                                               \
    extern "C" long cross_entropy_forward_##T(const T* logits, const int64_t* targets, float* losses, float* sums,     \
                                              long n_rows, long width, long ignored) {                                 \
        return forward(logits, targets, losses, sums, n_rows, width, ignored);                                            \
    }                                                                                                                  \
    extern "C" void cross_entropy_backward_##T(const T* logits, const int64_t* targets, const float* sums,             \
                                               const float* shares, T* gradient, long n_rows, long width,              \
                                               long ignored) {                                                         \
        backward(logits, targets, sums, shares, gradient, n_rows, width, ignored);                                     \
    }

using float32 = float;
CROSS_ENTROPY(float32)
CROSS_ENTROPY(bfloat16)
