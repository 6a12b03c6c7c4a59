/* Vectors of floats, and gates as tables of them: what stands before recurrent.c and before scan.c. Compile with -DDOUBLE
 * for double precision. */

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
#define EXP_ZERO 709.1 /* with -DDOUBLE or without, past it an exponential is below the smallest normal number */
#define EXP_ENOUGH 7.0 /* exp(-exp(x)) is 0 past it */
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
#define EXP_ZERO 88.0f
#define EXP_ENOUGH 5.0f
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
#define LINE 64 /* bytes of a line of cache */

#define LANES ((int)(WIDE / sizeof(real)))

typedef real vec __attribute__((vector_size(WIDE)));
typedef bits ivec __attribute__((vector_size(WIDE)));
typedef ubits uvec __attribute__((vector_size(WIDE))); /* for sums that pass the largest integer */
typedef bits anyivec __attribute__((vector_size(WIDE), aligned(sizeof(bits)), may_alias));
typedef real anyvec __attribute__((vector_size(WIDE), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))

enum { ZONES = 16, BREAKS = 8 };

INLINE Int least(Int a, Int b) { return a < b ? a : b; }

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
#ifndef DOUBLE
/* The bits of a float as a bfloat16, in the lower half: rounded to the nearest, ties to even; NaN stays NaN. Processors
 * that do it themselves take subnormal numbers for 0. */
INLINE uvec bfloat16_of(vec a) {
#if defined(SHORT) && defined(__AVX512BF16__)
    return (uvec)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)a));
#else
    const uvec u = (uvec)a, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, no = (uvec)(a != a);
    return (rounded & ~no) | (no & 0x7fc0);
#endif
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

/* phi where z is below `half`, else -(1 - phi): of the two what has all digits, told apart by its sign; and phi' */
INLINE vec gate_folded(const Gate *gate, real half, vec z, vec *slope) {
    if (gate) {
        Spot s;
        find(gate, z, &s);
        const ivec high = z >= half;
        *(ivec *)s.at += high & (bits)(gate->complement - gate->phi);
        __asm__("" : "+m"(s.at));
        const vec found = looked_up(gate->phi, &s, slope);
        *slope = (vec)((ivec)*slope ^ (high & SIGN));
        return (vec)((ivec)found | (high & SIGN));
    }
    const vec x = larger(all(-EXP_LEAST), (vec)((ivec)z | SIGN)), n = (x * LOG2E + MAGIC) - MAGIC;
    const vec e = scaled_down(exponential_less_one((x - n * LN2_HIGH) - n * LN2_LOW), n), rest = e / (1 + e);
    *slope = rest - rest * rest;
    return (vec)((ivec)rest | ((z >= 0) & SIGN));
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

/* An OpenMP that is in the process already: what opens a parallel region, a thread's number in it, and their number */
typedef struct {
    void (*parallel)(void (*work)(void *), void *given, unsigned threads, unsigned flags);
    int (*number)(void);
    int (*count)(void);
} Team;
