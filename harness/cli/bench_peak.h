/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do, to hold kernels against: one thread's rates, measured. */
#ifndef ATT_BENCH_PEAK_H
#define ATT_BENCH_PEAK_H

/* GFLOP/s of independent f32 multiply-adds in registers at an ISA level ("plain", "v3", "v4"). */
double att_peak_fma(const char *isa);
/* GFLOP/s of OpenBLAS's sgemm at n x n x n, one BLAS thread; 0 without memory. */
double att_peak_sgemm(int n);
/* GB/s of reading memory far larger than the caches, in order; 0 without memory. */
double att_peak_read(void);

#endif
