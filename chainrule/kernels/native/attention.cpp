// What lies between the products of attention: the softmax of scores that look back alone, and its gradient, in place.
#include "parallel.h"
#include "vector.h"

namespace {

// Rows of one block.
constexpr long ROWS = 16;

// A row's `first` places are seen, from `most - length + 1` of them for the first row of a text to `most` for its last.
inline long seen(long row, long length, long most) { return most - length + 1 + row % length; }

// scores become softmax(scale x) over what is seen, and 0 elsewhere; rows of `most` numbers.
template <class T>
void forward(T* scores, long n_rows, long length, long most, float scale) {
    each_block(blocks_of(n_rows, ROWS), ROWS * most, [=](long block) {
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            T* x = scores + row * most;
            const long n_seen = seen(row, length, most);
            Vector top = splat(-__builtin_inff());
            sweep(n_seen, [&](long at, int n) {
                const Vector some = load_or_lowest(x + at, n);
                top = some > top ? some : top;
            });
            const float highest = largest(top) * scale;
            Vector total{};
            sweep(n_seen, [&](long at, int n) { total += exponential(load_or_lowest(x + at, n) * scale - highest); });
            // NaN of a row is lost in the maximum, but not in this sum.
            const float share = 1.0f / sum(total);
            sweep(n_seen, [&](long at, int n) {
                store(x + at, exponential(load(x + at, n) * scale - highest) * share, n);
            });
            std::memset(x + n_seen, 0, (most - n_seen) * sizeof(T));
        }
    });
}

// With p the weights and dp their gradient, which becomes that of the scores: scale p (dp - sum(p dp)).
template <class T>
void backward(const T* weights, T* gradient, long n_rows, long length, long most, float scale) {
    each_block(blocks_of(n_rows, ROWS), ROWS * most, [=](long block) {
        for (long row = block * ROWS; row < smaller(n_rows, (block + 1) * ROWS); ++row) {
            const T* p = weights + row * most;
            T* to = gradient + row * most;
            const long n_seen = seen(row, length, most);
            Vector products{};
            sweep(n_seen, [&](long at, int n) { products += load(p + at, n) * load(to + at, n); });
            const float mean = sum(products);
            sweep(n_seen, [&](long at, int n) {
                store(to + at, load(p + at, n) * (load(to + at, n) - mean) * scale, n);
            });
            std::memset(to + n_seen, 0, (most - n_seen) * sizeof(T));
        }
    });
}

}  // namespace

#define LOOKING_BACK(T)                                                                                                \
    extern "C" void looking_back_forward_##T(T* scores, long n_rows, long length, long most, float scale) {            \
        forward(scores, n_rows, length, most, scale);                                                                  \
    }                                                                                                                  \
    extern "C" void looking_back_backward_##T(const T* weights, T* gradient, long n_rows, long length, long most,      \
                                              float scale) {                                                           \
        backward(weights, gradient, n_rows, length, most, scale);                                                      \
    }

using float32 = float;
LOOKING_BACK(float32)
LOOKING_BACK(bfloat16)
