// From a layer's projection to what attention compares: heads apart, queries and keys normalised (RMSNorm) and rotated.
#include <cmath>

#include "parallel.h"
#include "vector.h"

namespace {

// Tokens of one block, whose shares of the weights' gradients are added up before they meet those of others.
constexpr long TOKENS = 32;
constexpr long WIDEST = 512;

struct Shape {
    long n_texts, length, n_queries, n_keys, width;
    long heads() const { return n_queries + 2 * n_keys; }
};

// Where head `head` of a token lies among the queries, keys and values, each [texts, heads, length, width].
template <class T>
inline T* place(const Shape& shape, T* q, T* k, T* v, long token, long head) {
    const long text = token / shape.length, at = token % shape.length;
    const bool is_query = head < shape.n_queries;
    const long n_heads = is_query ? shape.n_queries : shape.n_keys;
    const long within = is_query ? head : (head - shape.n_queries) % shape.n_keys;
    T* from = is_query ? q : head < shape.n_queries + shape.n_keys ? k : v;
    return from + ((text * n_heads + within) * shape.length + at) * shape.width;
}

// `weights`: that of the queries, then that of the keys, or null: nothing is normalised. `cosine` and `sine` have a row
// for each place of a text; `scales` has a number for each query and key of a token.
template <class T>
void forward(const T* x, const float* cosine, const float* sine, const float* weights, T* q, T* k, T* v, float* scales,
             Shape shape, float eps) {
    const long width = shape.width, half = width / 2, n_turned = shape.n_queries + shape.n_keys;
    const long n_tokens = shape.n_texts * shape.length;
    each_block(blocks_of(n_tokens, TOKENS), TOKENS * shape.heads() * width, [=](long block) {
        for (long token = block * TOKENS; token < smaller(n_tokens, (block + 1) * TOKENS); ++token) {
            const float* turn = cosine + token % shape.length * width;
            const float* lift = sine + token % shape.length * width;
            for (long head = 0; head < shape.heads(); ++head) {
                const T* from = x + (token * shape.heads() + head) * width;
                T* to = place(shape, q, k, v, token, head);
                if (head >= n_turned) {
                    std::memcpy(to, from, width * sizeof(T));
                    continue;
                }
                float scale = 1.0f;
                const float* weight = nullptr;
                if (weights) {
                    weight = weights + (head < shape.n_queries ? 0 : width);
                    Vector squares{};
                    sweep(width, [&](long at, int n) {
                        const Vector one = load(from + at, n);
                        squares += one * one;
                    });
                    scale = 1.0f / std::sqrt(sum(squares) / float(width) + eps);
                    scales[token * n_turned + head] = scale;
                }
                sweep(half, [&](long at, int n) {
                    Vector one = load(from + at, n), other = load(from + half + at, n);
                    if (weight) {
                        one *= scale * load(weight + at, n);
                        other *= scale * load(weight + half + at, n);
                    }
                    store(to + at, one * load(turn + at, n) - other * load(lift + at, n), n);
                    store(to + half + at, other * load(turn + half + at, n) + one * load(lift + half + at, n), n);
                });
            }
        }
    });
}

// The rotation turned back, then as RMSNorm: with g = dn w, dx = s g - x s^3 mean(g x) and dw the sum of dn x s.
// `shares` has two rows, of the queries and of the keys, for each block.
template <class T>
void backward(const T* q, const T* k, const T* v, const T* x, const float* cosine, const float* sine,
              const float* weights, const float* scales, T* x_gradient, float* weight_gradients, float* shares,
              Shape shape) {
    const long width = shape.width, half = width / 2, n_turned = shape.n_queries + shape.n_keys;
    const long n_tokens = shape.n_texts * shape.length, n_blocks = blocks_of(n_tokens, TOKENS);
    each_block(n_blocks, TOKENS * shape.heads() * width, [=](long block) {
        float back[WIDEST];
        if (weights) std::memset(shares + block * 2 * width, 0, 2 * width * sizeof(float));
        for (long token = block * TOKENS; token < smaller(n_tokens, (block + 1) * TOKENS); ++token) {
            const float* turn = cosine + token % shape.length * width;
            const float* lift = sine + token % shape.length * width;
            for (long head = 0; head < shape.heads(); ++head) {
                const T* from = x + (token * shape.heads() + head) * width;
                const T* dy = place(shape, q, k, v, token, head);
                T* to = x_gradient + (token * shape.heads() + head) * width;
                if (head >= n_turned) {
                    std::memcpy(to, dy, width * sizeof(T));
                    continue;
                }
                if (!weights) {
                    sweep(half, [&](long at, int n) {
                        const Vector one = load(dy + at, n), other = load(dy + half + at, n);
                        store(to + at, one * load(turn + at, n) + other * load(lift + half + at, n), n);
                        store(to + half + at, other * load(turn + half + at, n) - one * load(lift + at, n), n);
                    });
                    continue;
                }
                const float scale = scales[token * n_turned + head];
                const float* weight = weights + (head < shape.n_queries ? 0 : width);
                float* share = shares + (block * 2 + (head < shape.n_queries ? 0 : 1)) * width;
                Vector products{};
                const auto learn = [&](long at, int n, Vector normal) {
                    const Vector input = load(from + at, n), pulled = normal * load(weight + at, n);
                    store(share + at, load(share + at, n) + normal * input * scale, n);
                    store(back + at, pulled, n);
                    products += pulled * input;
                };
                sweep(half, [&](long at, int n) {
                    const Vector one = load(dy + at, n), other = load(dy + half + at, n);
                    learn(at, n, one * load(turn + at, n) + other * load(lift + half + at, n));
                    learn(half + at, n, other * load(turn + half + at, n) - one * load(lift + at, n));
                });
                const float pull = sum(products) / float(width) * scale * scale * scale;
                sweep(width, [&](long at, int n) {
                    store(to + at, load(back + at, n) * scale - load(from + at, n) * pull, n);
                });
            }
        }
    });
    if (!weights) return;
    std::memset(weight_gradients, 0, 2 * width * sizeof(float));
    for (long block = 0; block < n_blocks; ++block)
        sweep(2 * width, [&](long at, int n) {
            store(weight_gradients + at, load(weight_gradients + at, n) + load(shares + block * 2 * width + at, n), n);
        });
}

}  // namespace

#define HEADS(T)                                                                                                       \
    extern "C" void heads_forward_##T(const T* x, const float* cosine, const float* sine, const float* weights, T* q,  \
                                      T* k, T* v, float* scales, long n_texts, long length, long n_queries,            \
                                      long n_keys, long width, float eps) {                                            \
        forward(x, cosine, sine, weights, q, k, v, scales, {n_texts, length, n_queries, n_keys, width}, eps);          \
    }                                                                                                                  \
    extern "C" void heads_backward_##T(const T* q, const T* k, const T* v, const T* x, const float* cosine,            \
                                       const float* sine, const float* weights, const float* scales, T* x_gradient,    \
                                       float* weight_gradients, float* shares, long n_texts, long length,              \
                                       long n_queries, long n_keys, long width) {                                      \
        backward(q, k, v, x, cosine, sine, weights, scales, x_gradient, weight_gradients, shares,                      \
                 {n_texts, length, n_queries, n_keys, width});                                                         \
    }

using float32 = float;
HEADS(float32)
HEADS(bfloat16)
