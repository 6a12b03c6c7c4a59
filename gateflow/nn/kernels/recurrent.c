/* Gated recurrent layers over whole sequences, forward and backward, with any gates.
 *
 * Time is sequential, batch rows are not: a call runs its rows from the first step to the last, so that threads meet
 * only at the end. What makes it fast:
 *
 *   - a product of matrices with its sums in registers, MR rows by NV vectors, over weights packed in the order of use;
 *   - hidden units in blocks of UNITS: all pre-activations of a block, then its gates, while they are in cache;
 *   - the forward pass keeps local factors, products such as i (1 - g^2), so that the backward pass is multiplications:
 *     it knows no gate, and one function serves all cells;
 *   - gradients of weights are gathered from CHUNK rows at a time, those of h, x and the bias in one product.
 *
 * Layout of a blocked array of n rows: [block][row][UNITS]. Compile with -DDOUBLE for double precision.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#endif

typedef int64_t Int;

#ifdef DOUBLE
typedef double real;
typedef int64_t bits;
typedef uint64_t ubits;
#define MANTISSA 52
#define BIAS 1023
#define DEGREE 7
#define EXP_LEAST 746.0
#define EXPONENT_STEP 1000
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define TANH_MOST 40.0
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: added and taken away, it rounds to integers */
#define LARGEST 0x1.fffffffffffffp+1023
#else
typedef float real;
typedef int32_t bits;
typedef uint32_t ubits;
#define MANTISSA 23
#define BIAS 127
#define DEGREE 3
#define EXP_LEAST 105.0f
#define EXPONENT_STEP 100
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define TANH_MOST 20.0f
#define MAGIC 12582912.0f
#define LARGEST 0x1.fffffep+127f
#endif
#define SIGN ((bits)((uint64_t)1 << (8 * sizeof(bits) - 1)))
#define LOG2E ((real)1.4426950408889634)
#define SMALL ((bits)8 << MANTISSA) /* a float, as an integer, below which places in cells are as in its octave */
#define HUGE_SIZE ((2 * (bits)BIAS - 2) << MANTISSA) /* and one beyond which steps are scaled as in its octave */

#if defined(__AVX512F__)
#define WIDE 64
#define MR 8
#elif defined(__AVX__)
#define WIDE 32
#define MR 6
#elif defined(__aarch64__)
#define WIDE 16
#define MR 8
#else
#define WIDE 16
#define MR 4
#endif
#define NV 2 /* vectors side by side in a product */
#define LINE 64 /* bytes of a line of cache */
#define AHEAD 2 /* lines fetched ahead for each four steps of a product */

#define LANES ((int)(WIDE / sizeof(real)))
#define UNITS (NV * LANES)
#define STRIP 8 /* rows of a gradient of weights that are summed together */

typedef real vec __attribute__((vector_size(WIDE)));
typedef bits ivec __attribute__((vector_size(WIDE)));
typedef ubits uvec __attribute__((vector_size(WIDE))); /* for sums that pass the largest integer */
typedef bits anyivec __attribute__((vector_size(WIDE), aligned(sizeof(bits)), may_alias));
typedef real anyvec __attribute__((vector_size(WIDE), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))

enum { MOST_BLOCKS = 5, MOST_FACTORS = 8, ZONES = 16, BREAKS = 8 };

/* --- what is asked for ------------------------------------------------------------------------------------------- */

/* A gate in cells of |z|, each a stretch of 2^shift neighbouring floats; those of z < 0 come after those of z >= 0. Of
 * |z| as an integer, the number of its zone is z >> grain, counted from `first` and no less than 0, no more than the
 * last; its row is base + (z >> shift). A row holds the value at the cell's anchor, its start or a break within, and the
 * coefficients of its mean slope from there on: see looked_up. A gate without a table is logistic. */
typedef struct {
    bits shift[ZONES], base[ZONES];
    bits narrow[ZONES]; /* less that of z, the exponent, as an integer, of one over the width of a cell */
    const real *phi, *complement;
    Int negative; /* number of the first row of z < 0 */
    Int grain, first, breaks;
    real at[BREAKS], near[BREAKS]; /* where a cell is divided, and the start of that cell */
    real anchor[BREAKS];           /* what both its rows count from */
} __attribute__((aligned(LINE))) Gate;

enum Cell { LSTM, TIED_LSTM, JANET, GRU, REFINE, TIED_REFINE };

typedef struct {
    Int cell, blocks, factors, hidden, inputs, steps, batch, reverse, threads;
    Int h_first, h_last, x_first, x_last; /* the blocks that the state, and the input, have weights for */
    Int from_output;                      /* the block whose gradient comes from h, not c; -1: there is no c */
    Int chunk, tile; /* rows gathered for the gradients of weights; rows that go through time together */
    Int segment;     /* steps whose factors are kept together; below `steps`, they are computed again in segments */
    Int stream;      /* whether the factors are too many for the caches */
    real shift; /* JANET's beta */
    const Gate *gate[4]; /* NULL: logistic */
    const Int *sizes, *offsets; /* rows at each time, and rows before it */
    const real *weight_x[MOST_BLOCKS], *weight_h[MOST_BLOCKS], *bias_1[MOST_BLOCKS], *bias_2[MOST_BLOCKS];
    const real *x, *h_start, *c_start;
    real *output, *h_end, *c_end;
    real *packed, *kept, *marks; /* weights in the order of use; factors, or NULL; c before each segment, or NULL */
    real *scratch;               /* for each thread, see forward_size and backward_size */
    /* backward */
    const real *grad_output, *grad_h_end, *grad_c_end; /* each may be NULL */
    real *grad_x;                                      /* may be NULL */
    real *grad_h_start, *grad_c_start;
    real *packed_h, *packed_x;
    real *sums; /* for each thread, see sums_size */
    real *grad_weight_x[MOST_BLOCKS], *grad_weight_h[MOST_BLOCKS], *grad_bias[MOST_BLOCKS];
} Run;

INLINE Int blocks_of(Int n) { return (n + UNITS - 1) / UNITS; }
INLINE Int least(Int a, Int b) { return a < b ? a : b; }
INLINE int uses_h(const Run *run, Int g) { return run->h_first <= g && g < run->h_last; }
INLINE int uses_x(const Run *run, Int g) { return run->x_first <= g && g < run->x_last; }

/* --- functions of vectors ---------------------------------------------------------------------------------------- */

INLINE vec all(real a) { return (vec){0} + a; }
INLINE vec load(const real *p) { return *(const vec *)p; }
INLINE void store(real *p, vec a) { *(vec *)p = a; }

/* A store past the caches, for what is read again only after much else: it is not read before it is written. Other
 * threads see it after settle(). */
#if defined(__AVX512F__) && defined(DOUBLE)
INLINE void stream(real *p, vec a) { _mm512_stream_pd(p, (__m512d)a); }
#elif defined(__AVX512F__)
INLINE void stream(real *p, vec a) { _mm512_stream_ps(p, (__m512)a); }
#elif defined(__AVX__) && defined(DOUBLE)
INLINE void stream(real *p, vec a) { _mm256_stream_pd(p, (__m256d)a); }
#elif defined(__AVX__)
INLINE void stream(real *p, vec a) { _mm256_stream_ps(p, (__m256)a); }
#else
INLINE void stream(real *p, vec a) { store(p, a); }
#endif
#if defined(__AVX__)
INLINE void settle(void) { _mm_sfence(); }
#else
INLINE void settle(void) {}
#endif

/* Whether results below the smallest normal number become 0, which is this thread's own affair. A gradient on its way
 * back through a long wait passes through them, and each operation on one takes many times as long as on others. What
 * such numbers the forward pass kept are read as they are, where the processor can tell. */
#if defined(__SSE__)
enum { TINY_IS_ZERO = 0x8000 };
typedef unsigned Tiny;
INLINE Tiny tiny(void) { return _mm_getcsr(); }
INLINE void set_tiny(Tiny to) { _mm_setcsr(to); }
#elif defined(__aarch64__)
enum { TINY_IS_ZERO = 1 << 24 };
typedef uint64_t Tiny;
INLINE Tiny tiny(void) {
    Tiny found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    return found;
}
INLINE void set_tiny(Tiny to) { __asm__ volatile("msr fpcr, %0" : : "r"(to) : "memory"); }
#else
enum { TINY_IS_ZERO = 0 };
typedef int Tiny;
INLINE Tiny tiny(void) { return 0; }
INLINE void set_tiny(Tiny to) { (void)to; }
#endif

INLINE ivec every(bits a) { return (ivec){0} + a; }
INLINE ivec pick(ivec which, ivec a, ivec b) { return (a & which) | (b & ~which); }
INLINE vec choose(ivec which, vec a, vec b) { return (vec)pick(which, (ivec)a, (ivec)b); }

/* a < b ? a : b and a > b ? a : b: where either is NaN, b */
#if defined(__AVX512F__) && defined(DOUBLE)
INLINE vec smaller(vec a, vec b) { return (vec)_mm512_min_pd((__m512d)a, (__m512d)b); }
INLINE vec larger(vec a, vec b) { return (vec)_mm512_max_pd((__m512d)a, (__m512d)b); }
#elif defined(__AVX512F__)
INLINE vec smaller(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec larger(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX__) && defined(DOUBLE)
INLINE vec smaller(vec a, vec b) { return (vec)_mm256_min_pd((__m256d)a, (__m256d)b); }
INLINE vec larger(vec a, vec b) { return (vec)_mm256_max_pd((__m256d)a, (__m256d)b); }
#elif defined(__AVX__)
INLINE vec smaller(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec larger(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
#else
INLINE vec smaller(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec larger(vec a, vec b) { return choose(a > b, a, b); }
#endif
/* n between 0 and the last */
#if defined(__AVX512F__) && defined(DOUBLE)
INLINE ivec within(ivec n, bits last) {
    return (ivec)_mm512_min_epi64(_mm512_max_epi64((__m512i)n, (__m512i)every(0)), (__m512i)every(last));
}
#elif defined(__AVX512F__)
INLINE ivec within(ivec n, bits last) {
    return (ivec)_mm512_min_epi32(_mm512_max_epi32((__m512i)n, (__m512i)every(0)), (__m512i)every(last));
}
#else
INLINE ivec within(ivec n, bits last) {
    n = n & ~(n >> (8 * (int)sizeof(bits) - 1));
    return pick(n > last, every(last), n);
}
#endif
INLINE vec clamp(vec x, real most) { return larger(all(-most), smaller(all(most), x)); } /* NaN stays */

/* exp(x) = scale (1 + rest), for |x| <= TANH_MOST. The polynomial interpolates (2^t - 1)/t at Chebyshev's points of
 * |t| <= 1/2; its relative error is 1.3e-8, in double 2.8e-19. It is summed by pairs, as one long chain would wait. */
INLINE vec exponential_rest(vec t) {
    vec t2 = t * t;
#ifdef DOUBLE
    vec a = 0.69314718055994530925 + t * 0.24022650695910071233 +
            t2 * (0.055504108664821627039 + t * 0.0096181291076284794928);
    vec b = 0.0013333558146406470697 + t * 0.00015403530393370733411 +
            t2 * (0.000015252733841556772589 + t * 1.321548680870556279e-6);
    vec c = 1.0178057087733941105e-7 + t * 7.0548973041554992774e-9 +
            t2 * (4.455817908336064493e-10 + t * 2.5729324177362304214e-11);
    vec t4 = t2 * t2;
    vec p = a + t4 * (b + t4 * c);
#else
    vec a = 0.69314718802622878106f + t * 0.24022650760568126945f;
    vec b = 0.055503571142190778186f + t * 0.0096180825572778514913f;
    vec c = 0.0013390863364671234381f + t * 0.00015453162945120690177f;
    vec p = a + t2 * (b + t2 * c);
#endif
    return p * t;
}

INLINE void exponential(vec x, vec *scale, vec *rest) {
    vec shifted = x * LOG2E + MAGIC;
    *scale = (vec)(((uvec)shifted - (uvec)all(MAGIC) + BIAS) << MANTISSA);
    *rest = exponential_rest(x * LOG2E - (shifted - MAGIC)); /* one rounding, where there is a fused multiply and add */
}

INLINE vec hyperbolic_tangent(vec x) {
    vec scale, rest;
    exponential(clamp(x + x, TANH_MOST), &scale, &rest);
    vec m = scale * rest + (scale - 1);
    return m / (m + 2);
}

/* exp(x) - 1 for |x| <= log(2)/2, the same polynomial */
INLINE vec exponential_less_one(vec x) {
    vec x2 = x * x;
#ifdef DOUBLE
    vec a = 0.16666666666666680806 + x * 0.041666666666666676764 + x2 * (0.0083333333333196006109 + x * 0.0013888888888879081845);
    vec b = 0.00019841269890047113706 + x * 0.000024801587336421322573 +
            x2 * (2.7557240918578969824e-6 + x * 2.7557263301474754518e-7);
    vec c = 2.5110037605963777712e-8 + x * 2.0918129454965067736e-9;
    vec x4 = x2 * x2, p = a + x4 * (b + x4 * c);
    return x + x2 * (0.5 + x * p);
#else
    vec a = 0.50000000134577271530f + x * 0.16666505260408123490f;
    vec b = 0.041666465006040048761f + x * 0.0083691484908563465865f;
    return x + x2 * (a + x2 * (b + x2 * 0.0013933641031986701150f));
#endif
}

/* (1 + rest) 2^n, n from -2 EXPONENT_STEP to 0, below the smallest normal number too */
INLINE vec scaled_down(vec rest, vec n) {
#if defined(__AVX512F__) && defined(DOUBLE)
    return (vec)_mm512_scalef_pd((__m512d)(rest + 1), (__m512d)n);
#elif defined(__AVX512F__)
    return (vec)_mm512_scalef_ps((__m512)(rest + 1), (__m512)n);
#else
    const ivec whole = (ivec)(n + MAGIC) - (ivec)all(MAGIC), first = pick(whole > -EXPONENT_STEP, whole, every(-EXPONENT_STEP));
    return (rest + 1) * (vec)((uvec)(first + BIAS) << MANTISSA) * (vec)((uvec)(whole - first + BIAS) << MANTISSA);
#endif
}

/* sigma(z), 1 - sigma(z) and sigma'(z), none of which cancels or ends before the smallest float */
INLINE void logistic(vec z, vec *value, vec *complement, vec *slope) {
    const ivec right = z >= 0;
    const vec x = larger(all(-EXP_LEAST), (vec)((ivec)z | SIGN));
    const vec n = (x * LOG2E + MAGIC) - MAGIC;
    const vec e = scaled_down(exponential_less_one((x - n * LN2_HIGH) - n * LN2_LOW), n);
    const vec sum = 1 + e, first = 1 / sum;
    const vec s = first + first * ((1 - first * sum) - first * (e - (sum - 1))); /* with what both have rounded away */
    const vec rest = e * s;
    *value = choose(right, s, rest);
    *complement = choose(right, rest, s);
    *slope = rest * s;
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE __builtin_shufflevector
#endif

/* Coefficients of one cell for each lane; `at` is where they begin */
INLINE void gather(const real *rows, const bits *at, vec c[DEGREE + 1]) {
#if !defined(DOUBLE) && defined(SHUFFLE) && WIDE >= 32
    typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));
    typedef float v8 __attribute__((vector_size(32)));
    vec q[4];
#define ROW(l) (*(const v4 *)(rows + at[l]))
#define JOIN(a, b) ((v8)SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7))
#if WIDE == 64
#define JOINED(l)                                                                                                      \
    SHUFFLE(JOIN(ROW(l), ROW(l + 4)), JOIN(ROW(l + 8), ROW(l + 12)), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, \
            15)
#define LOW(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(a, b) SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FRONT(a, b) SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define BACK(a, b) SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#else
#define JOINED(l) JOIN(ROW(l), ROW(l + 4))
#define LOW(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FRONT(a, b) SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define BACK(a, b) SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#endif
    q[0] = JOINED(0), q[1] = JOINED(1), q[2] = JOINED(2), q[3] = JOINED(3);
    vec a = LOW(q[0], q[1]), b = LOW(q[2], q[3]), d = HIGH(q[0], q[1]), e = HIGH(q[2], q[3]);
    c[0] = FRONT(a, b), c[1] = BACK(a, b), c[2] = FRONT(d, e), c[3] = BACK(d, e);
#else
    for (int j = 0; j <= DEGREE; j++)
        for (int l = 0; l < LANES; l++) c[j][l] = rows[at[l] + j];
#endif
}

typedef struct {
    bits at[LANES] __attribute__((aligned(WIDE))); /* where the row begins */
    vec place, step;                               /* from the anchor: in widths of the cell, and in 1 / scale */
    vec scale;                                     /* 2^-(1 + e) in the octave of 2^e, e from 0 to BIAS - 2 */
} Spot;

/* For each lane the entry of a table of ZONES */
INLINE ivec entry(const bits *table, ivec n) {
    const ivec *rows = (const ivec *)table;
#if !defined(__clang__) && defined(__AVX512F__) && !defined(DOUBLE)
    return __builtin_shuffle(rows[0], n);
#elif !defined(__clang__) && (defined(__AVX512F__) || (defined(__AVX2__) && !defined(DOUBLE)))
    return __builtin_shuffle(rows[0], rows[1], n);
#else
    ivec found;
    (void)rows;
    for (int l = 0; l < LANES; l++) found[l] = table[n[l]];
    return found;
#endif
}

INLINE void find(const Gate *gate, vec z, Spot *s) {
    const ivec octave = (ivec)all(INFINITY), sized = (ivec)z & ~SIGN;
    const ivec zone = within((sized >> (int)gate->grain) - (bits)gate->first, ZONES - 1), shift = entry(gate->shift, zone);
    ivec row = entry(gate->base, zone) + (sized >> shift);
    row += (z < 0) & (bits)gate->negative;
    const vec inside = clamp(z, LARGEST); /* infinity has a row of its own, NaN too */
    const vec start = (vec)((ivec)inside & (every(-1) << shift));
    vec anchor = start;
#pragma GCC unroll 1
    for (Int n = 0; n < gate->breaks; n++) { /* seldom any */
        row -= gate->at[n] > 0 ? (z >= gate->at[n]) : (z < gate->at[n]);
        anchor = choose(start == gate->near[n], all(gate->anchor[n]), anchor);
    }
    *(ivec *)s->at = row * (DEGREE + 1);
    __asm__("" : "+m"(s->at)); /* from memory: one by one from the vector they cost several times as much */
    const vec past = inside - anchor;
    const vec size = (vec)((ivec)inside & octave), wide = larger(size, (vec)every(SMALL));
    s->scale = (vec)((((bits)2 * BIAS - 1) << MANTISSA) - (ivec)smaller(larger(size, all(1)), (vec)every(HUGE_SIZE)));
    s->step = past * s->scale;
    s->place = past * (vec)((uvec)entry(gate->narrow, zone) - (uvec)wide);
}

/* The mean slope from the anchor on is W = c[1] + c[2] t + ..., so that phi is c[0] + step W and phi' is W + t W' */
INLINE vec looked_up(const real *rows, const Spot *s, vec *slope) {
    vec c[DEGREE + 1];
    gather(rows, s->at, c);
    vec p = c[DEGREE], d = p;
    p = p * s->place + c[DEGREE - 1];
#pragma GCC unroll 8
    for (int j = DEGREE - 2; j >= 1; j--) {
        d = d * s->place + p;
        p = p * s->place + c[j];
    }
    *slope = (d * s->place + p) * s->scale;
    return p * s->step + c[0];
}

INLINE vec gate_value(const Gate *gate, vec z, vec *slope) {
    vec value, complement;
    if (gate) {
        Spot s;
        find(gate, z, &s);
        return looked_up(gate->phi, &s, slope);
    }
    logistic(z, &value, &complement, slope);
    return value;
}

/* 1 - phi, with the slope of phi */
INLINE vec gate_complement(const Gate *gate, vec z, vec *slope) {
    vec value, complement;
    if (gate) {
        Spot s;
        find(gate, z, &s);
        complement = looked_up(gate->complement, &s, slope);
        *slope = -*slope;
        return complement;
    }
    logistic(z, &value, &complement, slope);
    return complement;
}

INLINE void gate_both(const Gate *gate, vec z, vec *value, vec *complement, vec *slope) {
    if (gate) {
        vec unused;
        Spot s;
        find(gate, z, &s);
        *value = looked_up(gate->phi, &s, slope);
        *complement = looked_up(gate->complement, &s, &unused);
    } else
        logistic(z, value, complement, slope);
}

/* --- cells: the next state and the factors ----------------------------------------------------------------------- */

/* The order of factors: one for each block, what is kept of the state (c, or h where there is no c), and, with c, what
 * of dh goes into dc. Gradients of a block's pre-activation are its factor times dc, or dh: see backward_block. */

/* gates: forget, output, input; blocks: input, forget, candidate, output */
INLINE void lstm(const Run *run, int tied, const vec *z, vec *h, vec *c, vec *factor) {
    vec i, f, df, di, o, o_slope;
    const vec *rest = tied ? z : z + 1;
    vec g = hyperbolic_tangent(rest[1]);
    if (tied) {
        gate_both(run->gate[0], rest[0], &f, &i, &df);
        factor[0] = (*c - g) * df;
    } else {
        f = gate_value(run->gate[0], rest[0], &df);
        i = gate_value(run->gate[2], z[0], &di);
        factor[0] = g * di;
        factor[1] = *c * df;
    }
    vec *next = factor + (tied ? 1 : 2);
    o = gate_value(run->gate[1], rest[2], &o_slope);
    *c = f * *c + i * g;
    vec t = hyperbolic_tangent(*c);
    *h = o * t;
    next[0] = i * (1 - g * g);
    next[1] = t * o_slope;
    next[2] = f;
    next[3] = o * (1 - t * t);
}

/* gates: forget; blocks: forget, candidate */
INLINE void janet(const Run *run, const vec *z, vec *h, vec *factor) {
    vec df, di;
    vec f = gate_value(run->gate[0], z[0], &df), g = hyperbolic_tangent(z[1]);
    vec i = gate_complement(run->gate[0], z[0] - run->shift, &di);
    factor[0] = *h * df - g * di;
    factor[1] = i * (1 - g * g);
    factor[2] = f;
    *h = f * *h + i * g;
}

/* gates: update, reset; blocks: the candidate's part of h, reset, update, the candidate's part of x */
INLINE void gru(const Run *run, const vec *z, vec *h, vec *factor) {
    vec u, v, du, dr;
    vec r = gate_value(run->gate[1], z[1], &dr);
    gate_both(run->gate[0], z[2], &u, &v, &du);
    vec n = hyperbolic_tangent(z[3] + r * z[0]);
    vec through = v * (1 - n * n);
    factor[0] = through * r;
    factor[1] = through * z[0] * dr;
    factor[2] = (*h - n) * du;
    factor[3] = through;
    factor[4] = u;
    *h = v * n + u * *h;
}

/* gates: forget, refine, output, input; blocks: input, forget, candidate, output, refine */
INLINE void refine(const Run *run, int tied, const vec *z, vec *h, vec *c, vec *factor) {
    vec f, f_c, df, r, r_c, dr, i, di, o_slope;
    const vec *rest = tied ? z : z + 1;
    gate_both(run->gate[0], rest[0], &f, &f_c, &df);
    gate_both(run->gate[1], rest[3], &r, &r_c, &dr);
    vec o = gate_value(run->gate[2], rest[2], &o_slope), g = hyperbolic_tangent(rest[1]);
    vec keep = f * (r * (1 + f_c) + r_c * f), base;
    if (tied) {
        i = f_c * (r * f_c + r_c * (1 + f));
        base = *c - g;
    } else {
        i = gate_value(run->gate[3], z[0], &di);
        factor[0] = g * di;
        base = *c;
    }
    vec *next = factor + (tied ? 0 : 1);
    next[0] = base * (2 * (r * f_c + r_c * f)) * df;
    next[1] = i * (1 - g * g);
    next[3] = base * (2 * f * f_c) * dr;
    *c = keep * *c + i * g;
    vec t = hyperbolic_tangent(*c);
    *h = o * t;
    next[2] = t * o_slope;
    next[4] = keep;
    next[5] = o * (1 - t * t);
}

/* --- products ---------------------------------------------------------------------------------------------------- */

/* A line for the second level of cache. Not the compiler's builtin: to it that is an access to memory, of any place, and
 * sums would go there too. */
INLINE void fetch(const char *line) {
#if defined(__x86_64__)
    __asm__ volatile("prefetcht1 (%0)" : : "r"(line));
#elif defined(__aarch64__)
    __asm__ volatile("prfm pldl2keep, [%0]" : : "r"(line));
#else
    (void)line;
#endif
}

/* C = start + A1 B1 + A2 B2 for M rows and NV vectors of columns. A is blocked, with `stride` reals from block to
 * block; B is packed: k rows of UNITS, those of B2 after those of B1. A few rows have their sums split in several, as
 * each would have to wait for the one before. */
typedef struct {
    const real *a;
    Int stride, depth;
} Factor;

INLINE void product(const int M, const int SPLIT, real *c, const real *start, Int start_stride, const Factor *pair,
                    const real *b, const char *ahead) {
    vec sum[SPLIT][M][NV];
#pragma GCC unroll 8
    for (int s = 0; s < SPLIT; s++)
#pragma GCC unroll 8
        for (int m = 0; m < M; m++)
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) sum[s][m][v] = s ? all(0) : load(start + m * start_stride + v * LANES);
    for (int part = 0; part < 2; part++) {
        const real *block = pair[part].a;
        for (Int left = pair[part].depth; left > 0; left -= UNITS, block += pair[part].stride) {
            const real *a = block;
            Int k = left < UNITS ? left : UNITS;
            for (; k >= 4; k -= 4, a += 4, b += 4 * UNITS) {
#pragma GCC unroll 2
                for (int line = 0; line < AHEAD; line++, ahead += LINE) fetch(ahead);
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++)
#pragma GCC unroll 8
                    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
                        for (int v = 0; v < NV; v++)
                            sum[j % SPLIT][m][v] += a[m * UNITS + j] * load(b + j * UNITS + v * LANES);
            }
            for (; k > 0; k--, a++, b += UNITS)
#pragma GCC unroll 8
                for (int m = 0; m < M; m++)
#pragma GCC unroll 2
                    for (int v = 0; v < NV; v++) sum[0][m][v] += a[m * UNITS] * load(b + v * LANES);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++) {
#pragma GCC unroll 4
            for (int s = 1; s < SPLIT; s++) sum[0][m][v] += sum[s][m][v];
            store(c + m * UNITS + v * LANES, sum[0][m][v]);
        }
}

#define PRODUCT(M, SPLIT)                                                                                              \
    static __attribute__((noinline)) void product_##M(real *c, const real *start, Int start_stride,                    \
                                                      const Factor *pair, const real *b, const char *ahead) {          \
        product(M, SPLIT, c, start, start_stride, pair, b, ahead);                                                     \
    }
PRODUCT(1, 4)
PRODUCT(2, 2)
PRODUCT(3, 2)
PRODUCT(4, 1)
PRODUCT(5, 1)
PRODUCT(6, 1)
PRODUCT(7, 1)
PRODUCT(8, 1)

typedef void (*Product)(real *, const real *, Int, const Factor *, const real *, const char *);
static const Product PRODUCTS[] = {0, product_1, product_2, product_3, product_4, product_5, product_6, product_7, product_8};

/* The same for any number of rows; the strides of A are those of its blocks, its rows are UNITS apart. `next` is the B of
 * the product to come: large layers' weights lie far from the core, and are fetched while these are worked on. */
static void products(Int rows, real *c, const real *start, Int start_stride, const Factor *pair, const real *b,
                     const real *next) {
    Factor moved[2] = {pair[0], pair[1]};
    const Int size = (pair[0].depth + pair[1].depth) * UNITS * (Int)sizeof(real);
    const Int part = (pair[0].depth / 4 + pair[1].depth / 4) * AHEAD * LINE; /* that each turn fetches */
    for (Int row = 0, at = 0; row < rows; at += part) {
        Int m = least(rows - row, MR);
        PRODUCTS[m](c + row * UNITS, start + row * start_stride, start_stride, moved, b,
                    at < size ? (const char *)next + at : (const char *)b);
        row += m;
        for (int part = 0; part < 2; part++) moved[part].a = pair[part].a + row * UNITS;
    }
}

/* sum += A^T B over `rows` rows, A having STRIP columns and B having UNITS */
static void outer(Int rows, real *restrict sum, const real *restrict a, const real *restrict b) {
#if WIDE == 64
    enum { HEIGHT = STRIP };
#else
    enum { HEIGHT = STRIP / 2 };
#endif
    /* the sums that come next: many layers' sums lie far from the core, and each block is short */
    for (int ahead = 0; ahead < STRIP * UNITS; ahead += 64 / (int)sizeof(real))
        __builtin_prefetch(sum + STRIP * UNITS + ahead, 1);
    for (int first = 0; first < STRIP; first += HEIGHT) {
        vec total[HEIGHT][NV];
#pragma GCC unroll 8
        for (int m = 0; m < HEIGHT; m++)
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) total[m][v] = all(0); /* sums of sums lose fewer digits than one long sum */
#pragma GCC unroll 2
        for (Int row = 0; row < rows; row++)
#pragma GCC unroll 8
            for (int m = 0; m < HEIGHT; m++)
#pragma GCC unroll 2
                for (int v = 0; v < NV; v++)
                    total[m][v] += a[row * STRIP + first + m] * load(b + row * UNITS + v * LANES);
#pragma GCC unroll 8
        for (int m = 0; m < HEIGHT; m++)
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) {
                real *to = sum + (first + m) * UNITS + v * LANES;
                store(to, load(to) + total[m][v]);
            }
    }
}

/* As many multiply-adds as a product has in registers, and at least `wanted`: the number made, for measuring the peak */
Int multiply_adds(Int wanted, real *out) {
    enum { CHAINS = MR * NV };
    vec sum[CHAINS];
    Int made = 0;
#pragma GCC unroll 16
    for (int n = 0; n < CHAINS; n++) sum[n] = all((real)n);
    for (; made < wanted; made += CHAINS * LANES) {
#pragma GCC unroll 16
        for (int n = 0; n < CHAINS; n++) sum[n] = sum[n] * (real)0.5 + (real)0.25;
    }
    for (int n = 0; n < CHAINS; n++) *out += sum[n][0];
    return made;
}

/* --- sizes and packing ------------------------------------------------------------------------------------------- */

Int units(void) { return UNITS; }
Int lanes(void) { return LANES; }
Int run_size(void) { return (Int)sizeof(Run); }

/* Reals in each array that the caller provides */
Int packed_size(const Run *run) {
    return blocks_of(run->hidden) * run->blocks * (run->hidden + run->inputs + 1) * UNITS;
}
Int kept_row(const Run *run) { return blocks_of(run->hidden) * run->factors * UNITS; }
Int packed_h_size(const Run *run) {
    Int blocks = blocks_of(run->hidden);
    return blocks * (run->h_last - run->h_first) * blocks * UNITS * UNITS;
}
Int packed_x_size(const Run *run) {
    return blocks_of(run->inputs) * (run->x_last - run->x_first) * blocks_of(run->hidden) * UNITS * UNITS;
}
static Int strips_h(const Run *run) { return (run->hidden + STRIP - 1) / STRIP; }
static Int strips(const Run *run) { return strips_h(run) + (run->inputs + 1 + STRIP - 1) / STRIP; }
Int sums_size(const Run *run) { return run->blocks * blocks_of(run->hidden) * strips(run) * STRIP * UNITS; }

/* UNITS rows, from `first`, of a matrix with `rows` and `columns`, or of zeros, turned: [column][UNITS] */
static void turn(real *to, const real *from, Int first, Int rows, Int columns) {
    enum { SIDE = 64 / sizeof(real) }; /* a line of cache: else lines would go before they are used up */
    for (Int k = 0; k < columns; k += SIDE) {
        real square[SIDE][UNITS] = {{0}};
        const Int width = least(columns - k, SIDE), count = from ? least(rows - first, UNITS) : 0;
        for (Int u = 0; u < count; u++)
            for (Int j = 0; j < width; j++) square[j][u] = from[(first + u) * columns + k + j];
        memcpy(to + k * UNITS, square, (size_t)(width * UNITS) * sizeof(real));
    }
}

/* For each block of units and each of the cell's blocks: the bias, the weights of h, the weights of x */
void pack(const Run *run) {
    const Int H = run->hidden, I = run->inputs;
    real *to = run->packed;
    for (Int first = 0; first < H; first += UNITS)
        for (Int g = 0; g < run->blocks; g++, to += (H + I + 1) * UNITS) {
            for (Int u = 0; u < UNITS; u++) {
                to[u] = 0;
                if (first + u < H && run->bias_1[g]) to[u] += run->bias_1[g][first + u];
                if (first + u < H && run->bias_2[g]) to[u] += run->bias_2[g][first + u];
            }
            turn(to + UNITS, run->weight_h[g], first, H, H);
            turn(to + (H + 1) * UNITS, run->weight_x[g], first, H, I);
        }
}

/* Weights as the backward pass wants them: for each block of columns, the rows */
static void pack_rows(const Run *run, real *to, const real *const *of, Int from, Int until, Int columns) {
    const Int padded = blocks_of(run->hidden) * UNITS;
    for (Int first = 0; first < columns; first += UNITS)
        for (Int g = from; g < until; g++)
            for (Int unit = 0; unit < padded; unit++, to += UNITS) {
                const Int count = unit < run->hidden ? least(columns - first, UNITS) : 0;
                if (count) memcpy(to, of[g] + unit * columns + first, (size_t)count * sizeof(real));
                if (count < UNITS) memset(to + count, 0, (size_t)(UNITS - count) * sizeof(real));
            }
}

void pack_backward(const Run *run) {
    pack_rows(run, run->packed_h, run->weight_h, run->h_first, run->h_last, run->hidden);
    if (run->grad_x) pack_rows(run, run->packed_x, run->weight_x, run->x_first, run->x_last, run->inputs);
}

/* Rows of n reals to a blocked array of `rows` rows, and back; what is past n is 0 */
static void to_blocks(real *to, const real *from, Int rows, Int stride, Int n) {
    for (Int first = 0; first < n; first += UNITS, to += stride * UNITS) {
        Int count = least(n - first, UNITS);
        for (Int row = 0; row < rows; row++) {
            memcpy(to + row * UNITS, from + row * n + first, (size_t)count * sizeof(real));
            if (count < UNITS) memset(to + row * UNITS + count, 0, (size_t)(UNITS - count) * sizeof(real));
        }
    }
}

static void from_blocks(real *to, const real *from, Int rows, Int stride, Int n) {
    for (Int first = 0; first < n; first += UNITS, from += stride * UNITS) {
        Int count = least(n - first, UNITS);
        for (Int row = 0; row < rows; row++)
            memcpy(to + row * n + first, from + row * UNITS, (size_t)count * sizeof(real));
    }
}

static real *reserve(real **next, Int count) {
    real *here = *next;
    *next += ROUND_UP(count, UNITS);
    return here;
}

INLINE Int time_of(const Run *run, Int step) { return run->reverse ? run->steps - 1 - step : step; }
INLINE Int living(const Run *run, Int step, Int first, Int rows) {
    Int n = run->sizes[time_of(run, step)] - first;
    return n < 0 ? 0 : least(n, rows);
}

/* The factors of a step: of all steps, by their rows in the data; of a segment that is computed again, by step */
INLINE real *kept_at(const Run *run, real *kept, Int step, Int row, Int rows, int again) {
    return kept + (again ? step * rows : row) * kept_row(run);
}

/* --- forward ----------------------------------------------------------------------------------------------------- */

INLINE void forward_block(const Run *run, const int cell, const int blocks, const int factors, Int rows, Int tile,
                          const real *restrict z, const real *restrict h, real *restrict h_next, real *restrict c,
                          real *restrict kept, const int past) {
    vec pre[MOST_BLOCKS], factor[MOST_FACTORS];
    for (Int at = 0; at < rows * UNITS; at += LANES) {
#pragma GCC unroll 5
        for (int g = 0; g < blocks; g++) pre[g] = load(z + g * tile * UNITS + at);
        vec new_h = load(h + at), new_c;
        if (cell == JANET)
            janet(run, pre, &new_h, factor);
        else if (cell == GRU)
            gru(run, pre, &new_h, factor);
        else {
            new_c = load(c + at);
            if (cell == LSTM || cell == TIED_LSTM)
                lstm(run, cell == TIED_LSTM, pre, &new_h, &new_c, factor);
            else
                refine(run, cell == TIED_REFINE, pre, &new_h, &new_c, factor);
            store(c + at, new_c);
        }
        store(h_next + at, new_h);
        if (kept)
#pragma GCC unroll 8
            for (int n = 0; n < factors; n++) {
                real *to = kept + (at / LANES * factors + n) * LANES;
                past ? stream(to, factor[n]) : store(to, factor[n]);
            }
    }
}

static void forward_any(const Run *run, Int rows, Int tile, const real *z, const real *h, real *h_next, real *c,
                        real *kept, int past) {
#define CASE(name, blocks, factors)                                                                                    \
    case name:                                                                                                         \
        if (past)                                                                                                      \
            forward_block(run, name, blocks, factors, rows, tile, z, h, h_next, c, kept, 1);                           \
        else                                                                                                           \
            forward_block(run, name, blocks, factors, rows, tile, z, h, h_next, c, kept, 0);                           \
        break;
    switch (run->cell) {
        CASE(LSTM, 4, 6)
        CASE(TIED_LSTM, 3, 5)
        CASE(JANET, 2, 3)
        CASE(GRU, 4, 5)
        CASE(REFINE, 5, 7)
        CASE(TIED_REFINE, 4, 6)
    }
#undef CASE
}

/* The state and the memory of some rows of the batch on their way through time */
typedef struct {
    Int first, rows;
    real *h, *h_next, *c, *x, *z;
} Tile;

static Int tile_size(const Run *run, Int rows) {
    return (3 * blocks_of(run->hidden) + blocks_of(run->inputs) + run->blocks) * rows * UNITS;
}

static Tile tile_in(const Run *run, Int first, Int rows, real **scratch) {
    const Int state = blocks_of(run->hidden) * rows * UNITS;
    Tile tile = {first, rows, 0, 0, 0, 0, 0};
    tile.h = reserve(scratch, state), tile.h_next = reserve(scratch, state), tile.c = reserve(scratch, state);
    tile.x = reserve(scratch, blocks_of(run->inputs) * rows * UNITS);
    tile.z = reserve(scratch, run->blocks * rows * UNITS);
    return tile;
}

/* The state before a step: as at the start for rows that have not lived yet */
static void set_state(const Run *run, Tile *tile, Int step) {
    const Int H = run->hidden, first = tile->first, rows = tile->rows;
    const Int before = step ? living(run, step - 1, first, rows) : 0;
    const real *c = run->c_start;
    to_blocks(tile->h, run->h_start + first * H, rows, rows, H);
    if (before)
        to_blocks(tile->h, run->output + (run->offsets[time_of(run, step - 1)] + first) * H, before, rows, H);
    memcpy(tile->h_next, tile->h, (size_t)(blocks_of(H) * rows * UNITS) * sizeof(real));
    if (step && c) c = run->marks + step / run->segment * run->batch * H;
    if (c) to_blocks(tile->c, c + first * H, rows, rows, H);
}

/* From a step until another. Where the factors of a step are kept: see kept_at. */
static void advance(const Run *run, Tile *tile, Int step, Int until, real *kept, int again) {
    const Int H = run->hidden, I = run->inputs, rows = tile->rows, depth = H + I + 1, block = rows * UNITS;
    const Int start = step;
    const real *end = run->packed + packed_size(run);
    for (; step < until; step++) {
        const Int live = living(run, step, tile->first, rows), at = run->offsets[time_of(run, step)] + tile->first;
        /* before there are rows too: they may come to life in the midst of the segment */
        if (run->marks && !again && step % run->segment == 0)
            from_blocks(run->marks + (step / run->segment * run->batch + tile->first) * H, tile->c, rows, rows, H);
        if (!live) continue;
        to_blocks(tile->x, run->x + at * I, live, rows, I);
        real *to = kept ? kept_at(run, kept, step - start, at, rows, again) : NULL;
        for (Int b = 0; b < blocks_of(H); b++) {
            for (Int g = 0; g < run->blocks; g++) {
                const real *w = run->packed + (b * run->blocks + g) * depth * UNITS;
                const Factor pair[2] = {{tile->h, block, uses_h(run, g) ? H : 0}, {tile->x, block, uses_x(run, g) ? I : 0}};
                products(live, tile->z + g * block, w, 0, pair, w + UNITS + (uses_h(run, g) ? 0 : H * UNITS),
                         w + depth * UNITS < end ? w + depth * UNITS : run->packed);
            }
            forward_any(run, live, rows, tile->z, tile->h + b * block, tile->h_next + b * block, tile->c + b * block,
                        to ? to + b * live * run->factors * UNITS : NULL, run->stream && !again);
        }
        if (!again) from_blocks(run->output + at * H, tile->h_next, live, rows, H);
        real *swap = tile->h;
        tile->h = tile->h_next, tile->h_next = swap;
    }
}

static void forward_tile(const Run *run, Int first, Int rows, real *scratch) {
    const Int H = run->hidden;
    Tile tile = tile_in(run, first, rows, &scratch);
    set_state(run, &tile, 0);
    advance(run, &tile, 0, run->steps, run->kept, 0);
    if (run->c_end) from_blocks(run->c_end + first * H, tile.c, rows, rows, H);
    for (Int row = first; row < first + rows; row++) {
        Int end = 0;
        if (!run->reverse)
            while (end + 1 < run->steps && run->sizes[end + 1] > row) end++;
        memcpy(run->h_end + row * H, run->output + (run->offsets[end] + row) * H, (size_t)H * sizeof(real));
    }
}

Int forward_size(const Run *run) { return tile_size(run, least(run->tile, run->batch)); }

/* Rows `first` to `last` of the batch through all steps, by the thread of that number */
void forward(const Run *run, Int first, Int last, Int thread) {
    real *scratch = run->scratch + thread * forward_size(run);
    for (Int row = first; row < last; row += run->tile)
        forward_tile(run, row, least(run->tile, last - row), scratch);
    settle();
}

/* --- backward ---------------------------------------------------------------------------------------------------- */

INLINE void backward_block(const int blocks, const int from_output, Int rows, const real *restrict kept,
                           real *restrict dh, real *restrict dc, real *restrict dz, Int stride) {
    const int factors = blocks + (from_output < 0 ? 1 : 2);
    for (Int at = 0; at < rows * UNITS; at += LANES, kept += factors * LANES) {
        vec h = load(dh + at);
        if (from_output < 0) {
#pragma GCC unroll 5
            for (int g = 0; g < blocks; g++) store(dz + g * stride + at, h * load(kept + g * LANES));
            store(dh + at, h * load(kept + blocks * LANES));
        } else {
            vec c = load(dc + at) + h * load(kept + (blocks + 1) * LANES);
#pragma GCC unroll 5
            for (int g = 0; g < blocks; g++)
                store(dz + g * stride + at, (g == from_output ? h : c) * load(kept + g * LANES));
            store(dc + at, c * load(kept + blocks * LANES));
            store(dh + at, all(0));
        }
    }
}

static void backward_any(const Run *run, Int rows, const real *kept, real *dh, real *dc, real *dz, Int stride) {
    switch (run->cell) {
        case LSTM: backward_block(4, 3, rows, kept, dh, dc, dz, stride); break;
        case TIED_LSTM: backward_block(3, 2, rows, kept, dh, dc, dz, stride); break;
        case JANET: backward_block(2, -1, rows, kept, dh, dc, dz, stride); break;
        case GRU: backward_block(4, -1, rows, kept, dh, dc, dz, stride); break;
        case REFINE: backward_block(5, 3, rows, kept, dh, dc, dz, stride); break;
        case TIED_REFINE: backward_block(4, 2, rows, kept, dh, dc, dz, stride); break;
    }
}

/* dh += gradients of the output */
static void add_output(const Run *run, real *dh, const real *grad, Int live, Int rows) {
    const Int H = run->hidden;
    for (Int first = 0; first < H; first += UNITS, dh += rows * UNITS)
        for (Int row = 0; row < live; row++) {
            real *to = dh + row * UNITS;
            const real *from = grad + row * H + first;
            if (H - first >= UNITS)
                for (int v = 0; v < UNITS; v += LANES) store(to + v, load(to + v) + *(const anyvec *)(from + v));
            else
                for (Int u = 0; u < H - first; u++) to[u] += from[u];
        }
}

/* The row's values in strips: [strip][row][STRIP] */
INLINE void to_strips(real *to, const real *from, Int count, Int stride) {
    for (Int k = 0; k < count; k += STRIP, to += stride) {
        Int n = least(count - k, STRIP);
        if (n == STRIP)
            memcpy(to, from + k, STRIP * sizeof(real));
        else
            memcpy(to, from + k, (size_t)n * sizeof(real));
    }
}

/* h before the step, x and 1 */
static void fill_strips(const Run *run, Int step, Int first, Int live, real *strip, Int stride) {
    const Int H = run->hidden, I = run->inputs, at = run->offsets[time_of(run, step)] + first;
    const Int before = step ? living(run, step - 1, first, live) : 0;
    const real *h = step ? run->output + (run->offsets[time_of(run, step - 1)] + first) * H : NULL;
    real *of_x = strip + strips_h(run) * stride;
    for (Int row = 0; row < live; row++) {
        const real *from = row < before ? h + row * H : run->h_start + (first + row) * H;
        to_strips(strip + row * STRIP, from, H, stride);
        to_strips(of_x + row * STRIP, run->x + (at + row) * I, I, stride);
        of_x[I / STRIP * stride + row * STRIP + I % STRIP] = 1;
    }
}

/* Gradients of the weights from the rows gathered */
static void flush(const Run *run, Int rows, const real *dz, const real *strip, real *sums) {
    const Int blocks = blocks_of(run->hidden), of_h = strips_h(run), count = strips(run);
    const Int of_one = of_h + run->inputs / STRIP;
    for (Int g = 0; g < run->blocks; g++)
        for (Int b = 0; b < blocks; b++) {
            const Int panel = g * blocks + b;
            for (Int s = 0; s < count; s++) {
                if (s < of_h ? !uses_h(run, g) : !uses_x(run, g) && s != of_one) continue;
                outer(rows, sums + (panel * count + s) * STRIP * UNITS, strip + s * run->chunk * STRIP,
                      dz + panel * run->chunk * UNITS);
            }
        }
}

/* What a backward pass carries from step to step, and the rows gathered */
typedef struct {
    Tile tile; /* for steps that are computed again */
    real *dh, *dc, *zero, *dx, *strip, *dz, *kept, *sums;
    Int used;
} Back;

static Int segment_size(const Run *run, Int rows) {
    return run->segment < run->steps ? run->segment * rows * kept_row(run) : 0;
}

static Int back_size(const Run *run, Int rows) {
    const Int blocks = blocks_of(run->hidden);
    return tile_size(run, rows) + (2 * blocks + 1) * rows * UNITS + UNITS +
           ROUND_UP(strips(run) * run->chunk * STRIP, UNITS) + run->blocks * blocks * run->chunk * UNITS +
           segment_size(run, rows);
}

static Back back_in(const Run *run, Int first, Int rows, real *sums, real *scratch) {
    const Int H = run->hidden, state = blocks_of(H) * rows * UNITS, gathered = strips(run) * run->chunk * STRIP;
    Back back = {.sums = sums, .used = 0};
    back.tile = tile_in(run, first, rows, &scratch);
    back.dh = reserve(&scratch, state), back.dc = reserve(&scratch, state);
    back.zero = reserve(&scratch, UNITS), back.dx = reserve(&scratch, rows * UNITS);
    back.strip = reserve(&scratch, gathered), back.dz = reserve(&scratch, run->blocks * blocks_of(H) * run->chunk * UNITS);
    back.kept = reserve(&scratch, segment_size(run, rows));
    memset(back.dh, 0, (size_t)state * sizeof(real));
    memset(back.dc, 0, (size_t)state * sizeof(real));
    memset(back.zero, 0, UNITS * sizeof(real));
    memset(back.strip, 0, (size_t)gathered * sizeof(real));
    if (run->grad_h_end) to_blocks(back.dh, run->grad_h_end + first * H, rows, rows, H);
    if (run->grad_c_end) to_blocks(back.dc, run->grad_c_end + first * H, rows, rows, H);
    return back;
}

/* Gradients of the input at one step */
static void of_input(const Run *run, Back *back, const real *dz, Int at, Int live) {
    const Int I = run->inputs, blocks = blocks_of(run->hidden), stride = run->chunk * UNITS;
    const Int depth = (run->x_last - run->x_first) * blocks * UNITS;
    const Factor pair[2] = {{dz + run->x_first * blocks * stride, stride, depth}, {NULL, 0, 0}};
    for (Int b = 0; b < blocks_of(I); b++) {
        const real *w = run->packed_x + b * depth * UNITS;
        products(live, back->dx, back->zero, 0, pair, w, b + 1 < blocks_of(I) ? w + depth * UNITS : run->packed_h);
        for (Int row = 0; row < live; row++)
            memcpy(run->grad_x + (at + row) * I + b * UNITS, back->dx + row * UNITS,
                   (size_t)least(I - b * UNITS, UNITS) * sizeof(real));
    }
}

static void back_step(const Run *run, Back *back, Int step, const real *kept) {
    const Int H = run->hidden, blocks = blocks_of(H), stride = run->chunk * UNITS, rows = back->tile.rows;
    const Int first = back->tile.first, live = living(run, step, first, rows);
    const Int at = run->offsets[time_of(run, step)] + first;
    if (back->used + live > run->chunk) flush(run, back->used, back->dz, back->strip, back->sums), back->used = 0;
    if (run->grad_output) add_output(run, back->dh, run->grad_output + at * H, live, rows);
    real *dz = back->dz + back->used * UNITS;
    for (Int b = 0; b < blocks; b++)
        backward_any(run, live, kept + b * live * run->factors * UNITS, back->dh + b * rows * UNITS,
                     back->dc + b * rows * UNITS, dz + b * stride, blocks * stride);
    const Int depth = (run->h_last - run->h_first) * blocks * UNITS;
    const Factor pair[2] = {{dz + run->h_first * blocks * stride, stride, depth}, {NULL, 0, 0}};
    for (Int b = 0; b < blocks; b++) {
        real *to = back->dh + b * rows * UNITS;
        const real *w = run->packed_h + b * depth * UNITS;
        products(live, to, to, UNITS, pair, w, b + 1 < blocks ? w + depth * UNITS : run->packed_h);
    }
    if (run->grad_x) of_input(run, back, dz, at, live);
    fill_strips(run, step, first, live, back->strip + back->used * STRIP, run->chunk * STRIP);
    back->used += live;
}

static void backward_tile(const Run *run, Int first, Int rows, real *sums, real *scratch, Tiny forwards) {
    const Int H = run->hidden;
    const int again = run->segment < run->steps;
    Back back = back_in(run, first, rows, sums, scratch);
    real *kept = again ? back.kept : run->kept;
    for (Int last = run->steps; last > 0;) {
        const Int start = again ? (last - 1) / run->segment * run->segment : 0;
        if (again) {
            const Tiny here = tiny();
            set_tiny(forwards);
            set_state(run, &back.tile, start);
            advance(run, &back.tile, start, last, kept, 1);
            set_tiny(here);
        }
        for (Int step = last - 1; step >= start; step--)
            if (living(run, step, first, rows))
                back_step(run, &back, step,
                          kept_at(run, kept, step - start, run->offsets[time_of(run, step)] + first, rows, again));
        last = start;
    }
    flush(run, back.used, back.dz, back.strip, sums);
    from_blocks(run->grad_h_start + first * H, back.dh, rows, rows, H);
    if (run->grad_c_start) from_blocks(run->grad_c_start + first * H, back.dc, rows, rows, H);
}

Int backward_size(const Run *run) { return back_size(run, least(run->tile, run->batch)); }

/* Rows `first` to `last` of the batch, by the thread of that number */
void backward(const Run *run, Int first, Int last, Int thread) {
    real *sums = run->sums + thread * sums_size(run), *scratch = run->scratch + thread * backward_size(run);
    const Tiny before = tiny();
    memset(sums, 0, (size_t)sums_size(run) * sizeof(real));
    set_tiny(before | TINY_IS_ZERO);
    for (Int row = first; row < last; row += run->tile)
        backward_tile(run, row, least(run->tile, last - row), sums, scratch, before);
    set_tiny(before);
}

/* [column][UNITS] to rows of columns */
static void turn_back(real *to, const real *from, Int rows, Int columns) {
    enum { SIDE = 64 / sizeof(real) };
    for (Int k = 0; k < columns; k += SIDE)
        for (Int u = 0; u < rows; u++)
            for (Int j = k; j < least(k + SIDE, columns); j++) to[u * columns + j] = from[j * UNITS + u];
}

/* The threads' sums as gradients of weights and biases */
void finish(const Run *run) {
    const Int size = sums_size(run), H = run->hidden, I = run->inputs, blocks = blocks_of(H);
    const Int count = strips(run), of_h = strips_h(run);
    for (Int t = 1; t < run->threads; t++)
        for (Int at = 0; at < size; at += LANES) store(run->sums + at, load(run->sums + at) + load(run->sums + t * size + at));
    for (Int g = 0; g < run->blocks; g++)
        for (Int b = 0; b < blocks; b++) {
            const Int first = b * UNITS, rows = least(H - first, UNITS);
            const real *from = run->sums + (g * blocks + b) * count * STRIP * UNITS, *of_x = from + of_h * STRIP * UNITS;
            if (run->grad_weight_h[g]) turn_back(run->grad_weight_h[g] + first * H, from, rows, H);
            if (run->grad_weight_x[g]) turn_back(run->grad_weight_x[g] + first * I, of_x, rows, I);
            if (run->grad_bias[g])
                memcpy(run->grad_bias[g] + first, of_x + I * UNITS, (size_t)rows * sizeof(real));
        }
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

/* An OpenMP that is in the process already: what opens a parallel region, a thread's number in it, and their number */
typedef struct {
    void (*parallel)(void (*work)(void *), void *given, unsigned threads, unsigned flags);
    int (*number)(void);
    int (*count)(void);
} Team;

typedef struct {
    const Run *run;
    const Int *cuts;
    void (*work)(const Run *, Int first, Int last, Int thread);
    const Team *team;
} Shares;

/* The threads may be fewer than the shares */
static void take(void *given) {
    const Shares *shares = given;
    for (Int n = shares->team->number(); n < shares->run->threads; n += shares->team->count())
        shares->work(shares->run, shares->cuts[n], shares->cuts[n + 1], n);
}

/* The batch, divided at `cuts`, through all steps. All threads are asked, more than have a share too: those that an
 * OpenMP is not asked for it may send away, and start anew for the next region. */
void share(const Run *run, const Int *cuts, Int back, const Team *team, Int threads) {
    Shares shares = {run, cuts, back ? backward : forward, team};
    if (run->threads > 1)
        team->parallel(take, &shares, (unsigned)threads, 0);
    else
        shares.work(run, cuts[0], cuts[1], 0);
}
