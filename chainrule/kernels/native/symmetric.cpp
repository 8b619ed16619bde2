// Products of matrices that are known to be symmetric: what lies on and above the diagonal is computed, the rest copied.
#include <cmath>
#include <utility>
#include <vector>

#include "parallel.h"
#include "vector.h"

namespace {

// A tile is as many accumulators as there are registers, less a few: 12 x 2 vectors of 32, 6 x 2 of 16.
#if defined(__AVX512F__)
constexpr int TILE_ROWS = 12;
#else
constexpr int TILE_ROWS = 6;
#endif
constexpr int TILE_COLUMNS = 2 * LANES;
// Terms of a sum at a time, so that a panel of the right matrix stays in the first cache.
constexpr long DEPTH = 256;

struct Strided {
    const float* at;
    long row, column;
};

// tile = the product of TILE_ROWS rows of `left` with a panel, whose rows are TILE_COLUMNS numbers.
inline void multiply(const Strided& left, const float* panel, long depth, float* tile) {
    Vector sums[TILE_ROWS][2] = {};
    for (long k = 0; k < depth; ++k) {
        Vector first, second;
        std::memcpy(&first, panel + k * TILE_COLUMNS, sizeof first);
        std::memcpy(&second, panel + k * TILE_COLUMNS + LANES, sizeof second);
        const float* from = left.at + k * left.column;
#pragma GCC unroll 12
        for (int row = 0; row < TILE_ROWS; ++row) {
            const Vector one = Vector{} + from[row * left.row];
            sums[row][0] += one * first;
            sums[row][1] += one * second;
        }
    }
    std::memcpy(tile, sums, sizeof sums);
}

// The same for matrices that have fewer rows than a tile.
inline void multiply_few(const Strided& left, const float* panel, long depth, long n_rows, float* tile) {
    std::memset(tile, 0, TILE_ROWS * TILE_COLUMNS * sizeof(float));
    for (long k = 0; k < depth; ++k)
        for (long row = 0; row < n_rows; ++row) {
            const float number = left.at[row * left.row + k * left.column];
            for (int at = 0; at < TILE_COLUMNS; ++at)
                tile[row * TILE_COLUMNS + at] += number * panel[k * TILE_COLUMNS + at];
        }
}

// Rows of `right`, `some` from `start` on, side by side in the columns of a panel.
inline void pack(const Strided& right, long start, long some, long begin, long n_columns, float* panel) {
    if (n_columns < TILE_COLUMNS) std::memset(panel, 0, some * TILE_COLUMNS * sizeof(float));
    if (right.column == 1) {
        for (long k = 0; k < some; ++k)
            std::memcpy(panel + k * TILE_COLUMNS, right.at + (start + k) * right.row + begin, n_columns * sizeof(float));
        return;
    }
    for (long column = 0; column < n_columns; ++column)
        for (long k = 0; k < some; ++k)
            panel[k * TILE_COLUMNS + column] = right.at[(start + k) * right.row + (begin + column) * right.column];
}

struct Numbers {
    float scale, share, diagonal;
};

// Columns `begin` on of to = scale left right + share add + diagonal I: from the top to the square on the diagonal, which
// is computed whole; what lies above that is mirrored.
void panel_of(Strided left, Strided right, const float* add, float* to, long n, long depth, long begin,
              Numbers numbers) {
    alignas(64) float panel[DEPTH * TILE_COLUMNS], tile[TILE_ROWS * TILE_COLUMNS];
    const long n_columns = smaller(TILE_COLUMNS, n - begin), n_rows = begin + n_columns;
    for (long start = 0; start < depth; start += DEPTH) {
        const long some = smaller(DEPTH, depth - start);
        const bool last = start + DEPTH >= depth;
        pack(right, start, some, begin, n_columns, panel);
        for (long top = 0; top < n_rows; top += TILE_ROWS) {
            // The last tile begins earlier, so that it is a whole one: its first rows are there already.
            const long base = n < TILE_ROWS ? 0 : smaller(top, n - TILE_ROWS);
            const Strided rows{left.at + base * left.row + start * left.column, left.row, left.column};
            if (n < TILE_ROWS)
                multiply_few(rows, panel, some, n, tile);
            else
                multiply(rows, panel, some, tile);
            const long end = smaller(n_rows, top + TILE_ROWS);
            for (long row = top; row < end; ++row) {
                float *line = to + row * n + begin, *sums = tile + (row - base) * TILE_COLUMNS;
                sweep(n_columns, [&](long at, int count) {
                    Vector sum = load(sums + at, count) * numbers.scale;
                    if (start) sum += load(line + at, count);
                    if (last && add) sum += load(add + row * n + begin + at, count) * numbers.share;
                    store(sums + at, sum, count);
                    store(line + at, sum, count);
                });
                if (last && row >= begin) line[row - begin] += numbers.diagonal;
            }
            if (!last || top >= begin) continue;
            const long above = smaller(end, begin);
            for (long at = 0; at < n_columns; ++at)
                for (long row = top; row < above; ++row)
                    to[(begin + at) * n + row] = tile[(row - base) * TILE_COLUMNS + at];
        }
    }
}

void product_of(const Strided& left, const Strided& right, const float* add, float* to, long n, long depth,
                Numbers numbers) {
    for (long begin = 0; begin < n; begin += TILE_COLUMNS) panel_of(left, right, add, to, n, depth, begin, numbers);
}

struct Step {
    float a, b, c;
};

// See `short_side_factors`; x is [n, depth]. `room` has five matrices of n x n: they stay in the cache.
void factor_of(const Strided& x, long n, long depth, const Step* steps, long n_steps, float least_norm,
               float least_bound, float* room, float* factor) {
    const long count = n * n;
    float *square = room, *polynomial = room + count, *product = polynomial, *spare = room + 2 * count,
          *following = room + 3 * count;
    const auto times = [=](const float* one, const float* other, float* to) {
        product_of({one, n, 1}, {other, n, 1}, nullptr, to, n, n, {1.0f, 0.0f, 0.0f});
    };
    product_of(x, {x.at, x.column, x.row}, nullptr, square, n, depth, {1.0f, 0.0f, 0.0f});
    float norm = 0.0f;
    for (long row = 0; row < n; ++row) norm += square[row * n + row];
    norm = norm > least_norm || norm != norm ? norm : least_norm;
    sweep(count, [&](long at, int some) { store(square + at, load(square + at, some) / norm, some); });
    times(square, square, polynomial);
    Vector squares{};
    sweep(count, [&](long at, int some) {
        const Vector one = load(polynomial + at, some);
        squares += one * one;
    });
    float bound = std::sqrt(std::sqrt(sum(squares)));
    bound = bound > least_bound || bound != bound ? bound : least_bound;
    const Step first = steps[0];
    const float of_fourth = first.c / (bound * bound);
    sweep(count, [&](long at, int some) {
        const Vector one = load(square + at, some) / bound;
        store(square + at, one, some);
        store(polynomial + at, load(polynomial + at, some) * of_fourth + one * first.b, some);
    });
    for (long row = 0; row < n; ++row) polynomial[row * n + row] += first.a;
    for (long number = 1; number < n_steps; ++number) {
        const Step& step = steps[number];
        times(polynomial, square, spare);
        times(spare, polynomial, square);
        product_of({square, n, 1}, {square, n, 1}, square, following, n, n, {step.c, step.b, step.a});
        times(product, following, spare);
        std::swap(product, spare);
        polynomial = following;
        following = room + (number % 2 ? 4 : 3) * count;
    }
    const float scale = 1.0f / std::sqrt(bound * norm);
    sweep(count, [&](long at, int some) { store(factor + at, load(product + at, some) * scale, some); });
}

}  // namespace

// For each of `n_matrices`: left is [n, depth], right [depth, n], their strides given in numbers; `add`, if there is
// one, and `to` are [n, n], `to` apart from all others. What lies below the diagonal is never computed.
extern "C" void symmetric_products_float32(const float* left, long left_next, long left_row, long left_column,
                                           const float* right, long right_next, long right_row, long right_column,
                                           const float* add, float* to, long n_matrices, long n, long depth,
                                           float scale, float share, float diagonal) {
    const long n_panels = blocks_of(n, TILE_COLUMNS);
    each_block(n_matrices * n_panels, TILE_COLUMNS * n * depth / 32, [=](long block) {
        const long matrix = block / n_panels, turn = block % n_panels;
        // A short panel beside a long one, so that threads have as much to do as each other.
        const long panel = turn % 2 ? n_panels - 1 - turn / 2 : turn / 2;
        panel_of({left + matrix * left_next, left_row, left_column}, {right + matrix * right_next, right_row, right_column},
                 add ? add + matrix * n * n : nullptr, to + matrix * n * n, n, depth, panel * TILE_COLUMNS,
                 {scale, share, diagonal});
    });
}

// For each of `n_matrices` X [n, depth]: the symmetric F with F X near orthogonal, by the polynomials a + b G + c G^2 of
// G = X X', each of what the one before leaves; the first after G was brought to a norm of at most 1.
extern "C" void short_side_factors_float32(const float* x, long next, long row, long column, float* factors,
                                           const float* steps, long n_steps, long n_matrices, long n, long depth,
                                           float least_norm, float least_bound) {
    each_block(n_matrices, n * n * n, [=](long matrix) {
        std::vector<float> room(5 * n * n);
        factor_of({x + matrix * next, row, column}, n, depth, reinterpret_cast<const Step*>(steps), n_steps, least_norm,
                  least_bound, room.data(), factors + matrix * n * n);
    });
}
