// Work in blocks on torch's own threads: a second pool would fight with it for the cores.
#pragma once

#include "vector.h"

// The OpenMP runtime that torch has loaded; all null: one thread.
struct Runtime {
    void (*parallel)(void (*work)(void*), void* with, unsigned threads, unsigned flags);
    int (*thread)();
    int (*team)();
    int (*threads)();
    bool (*inside)();
};
extern Runtime runtime;

// Numbers below which a further thread costs more than it brings.
constexpr long ENOUGH = 32768;

// work(block) for every block. Which blocks there are never depends on the threads, and so no bit of a result does.
template <class Work>
void each_block(long n_blocks, long block_numbers, Work work) {
    long threads = 1;
    if (runtime.parallel && n_blocks > 1 && !runtime.inside()) {
        const long worth = n_blocks * block_numbers / ENOUGH;
        threads = runtime.threads();
        if (threads > worth) threads = worth;
        if (threads > n_blocks) threads = n_blocks;
    }
    if (threads <= 1) {
        for (long block = 0; block < n_blocks; ++block) work(block);
        return;
    }
    struct Job {
        long n_blocks;
        Work* work;
    } job{n_blocks, &work};
    runtime.parallel(
        [](void* with) {
            const Job& job = *static_cast<Job*>(with);
            const long thread = runtime.thread(), team = runtime.team();
            const long end = (thread + 1) * job.n_blocks / team;
            for (long block = thread * job.n_blocks / team; block < end; ++block) (*job.work)(block);
        },
        &job, unsigned(threads), 0);
}

// The blocks of `count` things, `size` at a time.
constexpr long blocks_of(long count, long size) { return (count + size - 1) / size; }
constexpr long smaller(long a, long b) { return a < b ? a : b; }

// step(first, n) for all of `count` numbers, LANES of them or fewer at a time: for what is done number by number.
template <class Step>
void each_stretch(long count, Step step) {
    constexpr long NUMBERS = 8192;
    each_block(blocks_of(count, NUMBERS), NUMBERS, [=](long block) {
        const long first = block * NUMBERS;
        sweep(smaller(NUMBERS, count - first), [&](long at, int n) { step(first + at, n); });
    });
}
