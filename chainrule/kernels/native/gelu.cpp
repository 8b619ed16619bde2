// GELU in GPT-2's tanh form, which is x sigmoid(2 u) with u = sqrt(2/pi) (x + 0.044715 x^3); float32 inside.
#include "parallel.h"
#include "vector.h"

namespace {

constexpr float TWICE = 1.5957691216057308f;  // 2 sqrt(2/pi)
constexpr float CUBE = 0.044715f;

template <class T>
void forward(const T* x, T* y, long count) {
    each_stretch(count, [=](long at, int n) {
        const Vector one = load(x + at, n);
        store(y + at, one * sigmoid(TWICE * one * (1.0f + CUBE * one * one)), n);
    });
}

// With s = sigmoid(2 u): s + x s (1 - s) 2 u'
template <class T>
void backward(const T* gradient, const T* x, T* x_gradient, long count) {
    each_stretch(count, [=](long at, int n) {
        const Vector one = load(x + at, n), square = CUBE * one * one;
        const Vector share = sigmoid(TWICE * one * (1.0f + square));
        const Vector slope = TWICE * (1.0f + 3.0f * square);
        store(x_gradient + at, load(gradient + at, n) * share * (1.0f + one * (1.0f - share) * slope), n);
    });
}

}  // namespace

#define GELU(T)                                                                                                        \
    extern "C" void gelu_forward_##T(const T* x, T* y, long count) { forward(x, y, count); }                           \
    extern "C" void gelu_backward_##T(const T* gradient, const T* x, T* x_gradient, long count) {                      \
        backward(gradient, x, x_gradient, count);                                                                      \
    }

using float32 = float;
GELU(float32)
GELU(bfloat16)
