// Vectors of float32 in the notation that GCC and Clang share; the compiler's flags decide how wide they are.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;  // SSE2 and NEON
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

struct bfloat16 {
    uint16_t bits;
};

inline Vector splat(float value) { return value - Vector{}; }

// `n` numbers, the other lanes 0. Called with LANES itself wherever there are so many: then it is one instruction.
inline Vector load(const float* from, int n) {
    Vector x{};
    std::memcpy(&x, from, n * sizeof(float));
    return x;
}

inline Vector load(const bfloat16* from, int n) {
    Halves x{};
    std::memcpy(&x, from, n * sizeof(bfloat16));
    return (Vector)(__builtin_convertvector(x, Words) << 16);
}

// The same with minus infinity in the other lanes, which neither a maximum nor a sum of powers of e notices.
inline Vector load_or_lowest(const float* from, int n) {
    Vector x = splat(-__builtin_inff());
    std::memcpy(&x, from, n * sizeof(float));
    return x;
}

inline Vector load_or_lowest(const bfloat16* from, int n) {
    Halves x = Halves{} + uint16_t(0xff80);
    std::memcpy(&x, from, n * sizeof(bfloat16));
    return (Vector)(__builtin_convertvector(x, Words) << 16);
}

inline void store(float* to, Vector x, int n) { std::memcpy(to, &x, n * sizeof(float)); }

// To the nearest, ties to even; what is not a number stays so.
inline void store(bfloat16* to, Vector x, int n) {
    const Words bits = (Words)x;
    const Words nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Words not_a_number = Words{} + 0x7fc0;
    const Halves rounded = __builtin_convertvector(x != x ? not_a_number : nearest, Halves);
    std::memcpy(to, &rounded, n * sizeof(bfloat16));
}

// step(first, n) for stretches of LANES numbers, and for the rest.
template <class Step>
inline void sweep(long count, Step step) {
    long first = 0;
    for (; first + LANES <= count; first += LANES) step(first, LANES);
    if (first < count) step(first, int(count - first));
}

inline float sum(Vector x) {
    float lanes[LANES];
    std::memcpy(lanes, &x, sizeof lanes);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

inline float largest(Vector x) {
    float lanes[LANES];
    std::memcpy(lanes, &x, sizeof lanes);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            if (lanes[lane + half] > lanes[lane]) lanes[lane] = lanes[lane + half];
    return lanes[0];
}

inline Vector power_of_two(Integers exponent) { return (Vector)((exponent + 127) << 23); }

// e^x to 2 ulp, by Cephes' polynomial on |r| <= ln 2 / 2: 0 below LEAST, infinity from 88.73 up, NaN stays NaN.
// Below LEAST results and steps on the way would be subnormal, at a hundred cycles each.
inline Vector exponential(Vector given) {
    constexpr float LEAST = -86.6f, MOST = 89.0f;
    Vector x = given < LEAST ? splat(LEAST) : given;
    x = x > MOST ? splat(MOST) : x;
    constexpr float TO_WHOLE = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to a whole number
    const Vector whole = (x * 1.44269504088896341f + TO_WHOLE) - TO_WHOLE;
    // ln 2 in two parts, the first so short that its product with a whole number is exact
    const Vector r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
    Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // in two factors, because 2^128 is no number of this format
    const Vector y = p * power_of_two(__builtin_convertvector(whole, Integers) - 1) * 2.0f;
    return given < LEAST ? Vector{} : y;
}

// 1 / (1 + e^-x)
inline Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }
