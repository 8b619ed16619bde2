// SwiGLU: y = silu(gate) up with silu(x) = x sigmoid(x), number by number; float32 inside.
#include "parallel.h"
#include "vector.h"

namespace {

template <class T>
void forward(const T* gate, const T* up, T* y, long count) {
    each_stretch(count, [=](long at, int n) {
        const Vector x = load(gate + at, n);
        store(y + at, x * sigmoid(x) * load(up + at, n), n);
    });
}

// silu'(x) = sigmoid(x) (1 + x (1 - sigmoid(x)))
template <class T>
void backward(const T* gradient, const T* gate, const T* up, T* gate_gradient, T* up_gradient, long count) {
    each_stretch(count, [=](long at, int n) {
        const Vector x = load(gate + at, n), dy = load(gradient + at, n), share = sigmoid(x);
        store(gate_gradient + at, dy * load(up + at, n) * share * (1.0f + x * (1.0f - share)), n);
        store(up_gradient + at, dy * x * share, n);
    });
}

}  // namespace

#define SWIGLU(T)                                                                                                      \
    extern "C" void swiglu_forward_##T(const T* gate, const T* up, T* y, long count) { forward(gate, up, y, count); }  \
    extern "C" void swiglu_backward_##T(const T* gradient, const T* gate, const T* up, T* gate_gradient,               \
                                        T* up_gradient, long count) {                                                  \
        backward(gradient, gate, up, gate_gradient, up_gradient, count);                                               \
    }

using float32 = float;
SWIGLU(float32)
SWIGLU(bfloat16)
