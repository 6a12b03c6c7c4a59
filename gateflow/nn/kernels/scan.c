/* The scan h_t = a_t h_(t-1) + b_t, forward and backward, each in one pass over its arrays. Compiled behind gates.h.
 *
 * Arrays are [outer][steps][inner] in order; columns of `inner` go through time side by side, a tile of them at a time, and
 * their state stays in cache, in double: what a float32 cannot add to it would be lost, step by step. With -DHALF arrays are
 * bfloat16 in memory, and float32 in all that is computed of them. Sequences in rows, where `inner` is 1, are turned to be
 * columns some steps at a time; a few long ones are cut into stretches.
 * The decay is given as a, as log a, or as the pre-activation z of a gate. From the latter two it comes as numbers whose
 * sum, made in double, has all digits of 1 - a. Gates of four forms are computed, all others are tables. */

#ifdef HALF
typedef uint16_t item; /* bfloat16: the upper half of a float */
#else
typedef real item;
#endif

enum Given { DECAY, LOG_DECAY, LOGISTIC, RAISED, EXPONENTIAL, POWER, HYPERBOLIC, TABLE };
enum { COLUMNS = 4096 };

typedef struct {
    Int outer, steps, inner, given, tile, threads, past; /* past: whether results go past the caches */
    Int ahead;                                           /* items from a number to what is fetched with it, or 0 */
    Int stretches, length;                               /* of sequences in rows; 0 where columns lie side by side */
    const Gate *gate;                                    /* of TABLE */
    const item *decay, *input, *start, *output, *grad;   /* start: NULL for 0; grad: of the output */
    item *result, *grad_decay, *grad_input, *grad_start; /* result: the output of the forward pass */
    double *sums;                                        /* for each stretch: the product of all decays, and the end from 0 */
    double half;                                         /* of TABLE: z from which 1 - phi is looked up, not phi */
    double low, power;                                   /* low + (1 - low) sigmoid(z); exp(-power softplus(-z)) */
} Scan;

/* --- doubles ----------------------------------------------------------------------------------------------------- */

#define SIDE ((int)(WIDE / sizeof(double))) /* columns in a vector of doubles */
enum { PARTS = sizeof(double) / sizeof(real) };
typedef double wide __attribute__((vector_size(WIDE)));
typedef int64_t wide_int __attribute__((vector_size(WIDE)));
typedef real part __attribute__((vector_size(SIDE * sizeof(real))));
typedef item items __attribute__((vector_size(LANES * sizeof(item)), aligned(sizeof(item)), may_alias));

typedef struct {
    wide of[PARTS];
} Wides; /* as many doubles as there are numbers in a vector */

#define EACH for (int p = 0; p < PARTS; p++)

/* By the processor's own names where it has one, as compilers make much of a conversion between vectors */
INLINE Wides widened(vec a) {
    Wides found;
#if defined(DOUBLE)
    found.of[0] = a;
#elif defined(__AVX512F__)
    found.of[0] = (wide)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)a));
    found.of[1] = (wide)_mm512_cvtps_pd((__m256)_mm512_extractf64x4_pd((__m512d)a, 1));
#elif defined(__AVX__)
    found.of[0] = (wide)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)a));
    found.of[1] = (wide)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)a, 1));
#else
    union {
        vec all;
        part of[PARTS];
    } both = {a};
    EACH found.of[p] = __builtin_convertvector(both.of[p], wide);
#endif
    return found;
}

INLINE vec narrowed(Wides a) {
#if defined(DOUBLE)
    return a.of[0];
#elif defined(__AVX512F__)
    const __m512d low = (__m512d)_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)a.of[0]));
    return (vec)_mm512_insertf64x4(low, (__m256d)_mm512_cvtpd_ps((__m512d)a.of[1]), 1);
#elif defined(__AVX__)
    return (vec)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)a.of[1]), _mm256_cvtpd_ps((__m256d)a.of[0]));
#else
    union {
        vec all;
        part of[PARTS];
    } both;
    EACH both.of[p] = __builtin_convertvector(a.of[p], part);
    return both.all;
#endif
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

INLINE vec taken_all(items found) {
#if defined(HALF) && defined(__AVX512F__)
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)found), 16);
#elif defined(HALF) && defined(__AVX2__)
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)found), 16);
#elif defined(HALF)
    return (vec)(__builtin_convertvector(found, uvec) << 16);
#else
    return (vec)found;
#endif
}

INLINE items kept(vec a) {
#ifdef HALF
    const uvec found = bfloat16_of(a);
#if defined(__AVX512F__)
    return (items)_mm512_cvtepi32_epi16((__m512i)found);
#elif defined(__AVX2__)
    return (items)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)found), _mm256_extracti128_si256((__m256i)found, 1));
#else
    return __builtin_convertvector(found, items);
#endif
#else
    return (items)a;
#endif
}

/* The first n columns of a vector; the others are 0 */
INLINE vec some(const item *p, Int n) {
    if (n >= LANES) return taken_all(*(const items *)p);
    items found = {0};
    for (Int l = 0; l < n; l++) {
        found[l] = p[l];
        __asm__ volatile(""); /* no call of a function that copies as many as it is told */
    }
    return taken_all(found);
}

INLINE void put(item *p, vec a, Int n, int past) {
    const items found = kept(a);
    if (n < LANES) {
        for (Int l = 0; l < n; l++) {
            p[l] = found[l];
            __asm__ volatile("");
        }
        return;
    }
#ifdef HALF
    (void)past;
#else
    if (past)
        stream(p, a);
    else
#endif
        *(items *)p = found;
}

/* --- decays ------------------------------------------------------------------------------------------------------ */

/* Vectors that are computed side by side: a processor has more to do at once than one exponential lets it */
enum { SPAN = 2, STRIDE = SPAN * LANES };
#define BOTH for (int k = 0; k < SPAN; k++)
typedef struct {
    vec of[SPAN];
} Vecs;

/* The decay a of STRIDE columns as a sum of which no digit of 1 - a is lost: of SCALED ones it is scale + scale rest, the
 * scale a power of two or 0; of others rest, and 1 more where `scale` is a mask of ones. And what the gradient of a, of SCALED
 * ones that times a, is to be multiplied by, to be that of what the decay is given as. */
typedef struct {
    Vecs scale, rest, factor;
} Decay;

#define SCALED(given) ((given) == LOG_DECAY || (given) == EXPONENTIAL || (given) == POWER)

/* exp(x) = scale + scale rest for x from -EXP_ZERO on; there and below the smallest normal number it is 0 */
INLINE void exponential_parts(Vecs x, Vecs *scale, Vecs *rest) {
    Vecs shifted, n;
    BOTH shifted.of[k] = x.of[k] * LOG2E + (MAGIC + BIAS);
    BOTH n.of[k] = shifted.of[k] - (MAGIC + BIAS);
    BOTH scale->of[k] = (vec)((uvec)shifted.of[k] << MANTISSA);
    BOTH x.of[k] -= n.of[k] * LN2_HIGH;
    BOTH x.of[k] -= n.of[k] * LN2_LOW;
#ifdef DOUBLE
    BOTH rest->of[k] = exponential_less_one(x.of[k]);
#else /* the same, side by side */
    Vecs a, b;
    BOTH a.of[k] = 0.0083691484908563465865f + x.of[k] * 0.0013933641031986701150f;
    BOTH n.of[k] = x.of[k] * x.of[k];
    BOTH b.of[k] = 0.16666505260408123490f + x.of[k] * 0.041666465006040048761f;
    BOTH a.of[k] = b.of[k] + n.of[k] * a.of[k];
    BOTH a.of[k] = 0.50000000134577271530f + x.of[k] * a.of[k];
    BOTH rest->of[k] = x.of[k] + n.of[k] * a.of[k];
#endif
}

/* scale (1 + rest), near the smallest normal number too */
INLINE vec scaled_up(vec scale, vec rest) {
#if defined(__FMA__) || defined(__aarch64__)
    return scale + scale * rest;
#else
    return scale * (1 + rest);
#endif
}

/* exp(-|z|) */
INLINE Vecs exponential_of_size(Vecs z) {
    Vecs scale, rest;
    BOTH z.of[k] = larger(all(-EXP_ZERO), (vec)((ivec)z.of[k] | SIGN));
    exponential_parts(z, &scale, &rest);
    BOTH rest.of[k] = scaled_up(scale.of[k], rest.of[k]);
    return rest;
}

/* log(1 + e) for e from 0 to 1, by q = e/(2 + e); through Chebyshev's points, with a relative error of 1.6e-8 */
INLINE Vecs log_one_more(Vecs e) {
    Vecs q, w, a, b;
    BOTH q.of[k] = e.of[k] / (e.of[k] + 2);
    BOTH w.of[k] = q.of[k] * q.of[k];
    BOTH a.of[k] = 0.66666640336699239788f + w.of[k] * 0.40007560644911205765f;
    BOTH b.of[k] = 0.28236619805310481437f + w.of[k] * 0.26851498022837151807f;
    BOTH e.of[k] = w.of[k] * w.of[k];
    BOTH a.of[k] += e.of[k] * b.of[k];
    BOTH a.of[k] = 2 + w.of[k] * a.of[k];
    BOTH q.of[k] *= a.of[k];
    return q;
}

#ifndef DOUBLE
/* exp(-sinh|z|), and cosh z/log(2) in two parts where that is not 0. With c = log2(e)/2, 2^(n/16) c is high + low, and c exp|z| = (high + low)(1 +
 * r + more), which is up to 127 and as an exponent needs digits past its last. */
INLINE vec exponential_of_sinh(vec z, vec *cosh_high, vec *cosh_low) {
    static const bits powers[] __attribute__((aligned(LINE))) = {
        0x3f38aa3b, 0x3f40d73d, 0x3f4960ea, 0x3f524b5b, 0x3f5b9ada, 0x3f6553e0, 0x3f6f7b18, 0x3f7a1564,
        0x3f8293ee, 0x3f885be9, 0x3f8e656a, 0x3f94b359, 0x3f9b48bb, 0x3fa228bc, 0x3fa956a9, 0x3fb0d5f5,
    };
    static const bits rests[] __attribute__((aligned(LINE))) = {
        0x32257060,  0x32f144e7,  0x32051686, 0x32d4f134, 0x31db01f7,  -0x4d143773, -0x4d888916, -0x4d8bfb91,
        -0x4de1f893, 0x3156e63f, 0x333a1fb5, -0x4cafddf4, 0x3302ad68, 0x32e541f8,  0x32ec6056,  0x336702a1,
    };
    const vec x = smaller(all(5.1705f), (vec)((ivec)z & ~SIGN)), shifted = x * 23.08312035f + MAGIC, n = shifted - MAGIC;
    const vec first = x - n * 0x1.62e4p-5f, r = first - n * 8.928792e-8f;
    const vec more = r * r * (0.5f + r * (0.16666667f + r * 0.041666668f)) + ((first - r) - n * 8.928792e-8f);
    const ivec at = (ivec)shifted & 15, whole = (ivec)((uvec)((ivec)shifted & ~15) << (MANTISSA - 4));
    const vec high = (vec)(entry(powers, at) + whole), low = (vec)(entry(rests, at) + whole);
    const vec up = high + high * (r + more), down = 0.52034225f / up;
    const vec moved = (down - up) + (MAGIC + BIAS), exponent = moved - (MAGIC + BIAS), scale = (vec)((uvec)moved << MANTISSA);
    const vec rest = (down - (high * more + (low + low * r))) - (high * r + (high + exponent));
    *cosh_high = high;
    *cosh_low = (high * (r + more) + low) + down;
    return scaled_up(scale, exponential_rest(rest));
}
#endif

INLINE Decay decay_of(const Scan *run, enum Given given, int back, Vecs x) {
    Decay a;
    if (given == TABLE) { /* of a and 1 - a what has all digits, told apart by its sign */
        BOTH a.rest.of[k] = gate_folded(run->gate, (real)run->half, x.of[k], &a.factor.of[k]);
        BOTH a.scale.of[k] = (vec)((ivec)a.rest.of[k] < 0);
        return a;
    }
    if (given == LOGISTIC || given == HYPERBOLIC) {
        Vecs e, cosh, rest;
        if (given == LOGISTIC) {
            e = exponential_of_size(x);
            BOTH e.of[k] = e.of[k] / (1 + e.of[k]);
        }
#ifndef DOUBLE
        if (given == HYPERBOLIC) {
            BOTH e.of[k] = exponential_of_sinh(x.of[k], cosh.of + k, rest.of + k);
            BOTH e.of[k] -= e.of[k] * (e.of[k] / (1 + e.of[k])); /* the same, a little nearer: its slope has further errors */
        }
#endif
        BOTH a.factor.of[k] = e.of[k] - e.of[k] * e.of[k];
        if (given == HYPERBOLIC) {
            BOTH a.factor.of[k] *= (real)(0.69314718 * 0x1p24); /* so that no part of the slope is below the normal numbers */
            BOTH a.factor.of[k] = (a.factor.of[k] * cosh.of[k] + a.factor.of[k] * rest.of[k]) * (real)0x1p-24;
        }
        BOTH a.scale.of[k] = (vec)~((ivec)x.of[k] >> (8 * (int)sizeof(bits) - 1));
        BOTH a.rest.of[k] = (vec)((ivec)e.of[k] | (~(ivec)x.of[k] & SIGN));
        return a;
    }
    if (given == RAISED) { /* by less than 1/2: for z < 0, a has all digits that matter */
        const int high = run->low >= 0.5;
        const real share = (real)(1 - run->low), other = high ? -share : (real)run->low;
        const Vecs e = exponential_of_size(x);
        BOTH {
            const ivec left = (ivec)x.of[k] >> (8 * (int)sizeof(bits) - 1);
            const vec end = e.of[k] / (1 + e.of[k]), size = share * end;
            a.factor.of[k] = size - size * end;
            a.scale.of[k] = (vec)(~left | every(-high));
            a.rest.of[k] = (vec)((ivec)size ^ (~left & SIGN)) + (vec)((ivec)all(other) & left);
        }
        return a;
    }
    Vecs log = x;
    if (given == EXPONENTIAL) { /* exp(-exp(-z)) */
        BOTH x.of[k] = larger(all(-EXP_ZERO), smaller(all(EXP_ENOUGH), -x.of[k]));
        exponential_parts(x, &a.scale, &a.rest);
        BOTH a.factor.of[k] = scaled_up(a.scale.of[k], a.rest.of[k]);
        BOTH log.of[k] = -a.factor.of[k];
    }
    if (given == POWER) { /* exp(-power softplus(-z)) */
        const real power = (real)run->power;
        const Vecs e = exponential_of_size(x), more = log_one_more(e);
        BOTH log.of[k] = (smaller(all(0), x.of[k]) - more.of[k]) * power;
        if (back) BOTH a.factor.of[k] = choose(x.of[k] >= 0, e.of[k], all(1)) / (1 + e.of[k]) * power;
    }
    BOTH log.of[k] = larger(all(-EXP_ZERO), log.of[k]);
    exponential_parts(log, &a.scale, &a.rest);
    if (given == LOG_DECAY) BOTH a.rest.of[k] = (vec)((ivec)a.rest.of[k] | (x.of[k] > 0)); /* no decay, and no number */
    return a;
}

/* --- passes ------------------------------------------------------------------------------------------------------ */

/* The state of columns: in double where the decay is given as it is; else with what its rounding has lost beside it, so that
 * it is off as if b and 1 - a had been rounded once more. In double nothing is kept beside it. */
typedef union {
    Wides wide;
    struct {
        vec high, low;
    } of;
} State;

typedef struct {
    State state[COLUMNS / LANES + SPAN], product[COLUMNS / LANES + SPAN];
} __attribute__((aligned(LINE))) Row;

INLINE void begin(enum Given given, vec h, State *state) {
    if (given == DECAY)
        state->wide = widened(h);
    else
        state->of.high = h, state->of.low = all(0);
}

/* high + low = a + b, for b that is smaller than a; else as if b had been rounded once more */
INLINE void add(vec a, vec b, State *to) {
    const vec sum = a + b;
#ifndef DOUBLE
    to->of.low = b - (sum - a);
#endif
    to->of.high = sum;
}

/* a h, as the part of it that is exact, and the rest */
INLINE void times(enum Given given, const Decay *a, int k, const State *h, vec *exact, vec *rest) {
    const vec scale = a->scale.of[k], by = a->rest.of[k];
    vec low = all(0);
    if (SCALED(given)) {
        *exact = h->of.high * scale;
#ifndef DOUBLE
        low = h->of.low * scale;
#endif
        *rest = by * *exact + low;
    } else {
        *exact = (vec)((ivec)h->of.high & (ivec)scale);
#ifndef DOUBLE
        low = (vec)((ivec)h->of.low & (ivec)scale);
#endif
        *rest = by * h->of.high + low;
    }
}

/* The first n columns; those `ahead` are fetched */
INLINE Vecs columns(const item *p, Int ahead, Int n) {
    Vecs found;
    if (ahead) BOTH __builtin_prefetch(p + ahead + k * LANES);
    BOTH found.of[k] = some(p + k * LANES, n - k * LANES);
    return found;
}

/* Columns j, j + 1, ... of a row, n of them, which begins at `at` */
INLINE void step(const Scan *run, enum Given given, int past, Int at, Int j, Int n, Row *row) {
    const Vecs x = columns(run->decay + at + j, run->ahead, n), b = columns(run->input + at + j, run->ahead, n);
    item *const to = run->result + at + j;
    State *state = row->state + j / LANES;
    if (given == DECAY) {
        BOTH {
            const Wides a = widened(x.of[k]), in = widened(b.of[k]);
            EACH state[k].wide.of[p] = a.of[p] * state[k].wide.of[p] + in.of[p];
            put(to + k * LANES, narrowed(state[k].wide), n - k * LANES, past);
        }
        return;
    }
    const Decay a = decay_of(run, given, 0, x);
    BOTH {
        vec exact, rest;
        times(given, &a, k, state + k, &exact, &rest);
        add(exact, rest + b.of[k], state + k);
        put(to + k * LANES, state[k].of.high, n - k * LANES, past);
    }
}

INLINE void scan_columns(const Scan *run, enum Given given, int past, Int first, Int n, Row *row) {
    const Int whole = n / STRIDE * STRIDE;
    for (Int t = 0; t < run->steps; t++) {
        const Int at = first + t * run->inner;
        for (Int j = 0; j < whole; j += STRIDE) step(run, given, past, at, j, STRIDE, row);
        if (whole < n) step(run, given, 0, at, whole, n - whole, row);
    }
}

/* The gradient of h_t is grad_t + a_(t+1) times that of h_(t+1); it is that of b_t, and times h_(t-1) that of a_t. */
INLINE void step_back(const Scan *run, enum Given given, int past, Int at, const item *before, Int j, Int n, Row *row) {
    const Vecs x = columns(run->decay + at + j, -run->ahead, n), grad = columns(run->grad + at + j, -run->ahead, n);
    Vecs h = {{all(0), all(0)}};
    if (before) h = columns(before + j, -run->ahead, n);
    State *state = row->state + j / LANES;
    Decay a;
    if (given != DECAY) a = decay_of(run, given, 1, x);
    for (int k = SPAN - 1; k >= 0; k--) {
        vec to, of_a;
        if (given == DECAY) {
            const Wides by = widened(x.of[k]), was = widened(h.of[k]);
            Wides sum = widened(grad.of[k]);
            EACH sum.of[p] += state[k].wide.of[p];
            EACH state[k].wide.of[p] = sum.of[p] * by.of[p];
            to = narrowed(sum);
            EACH sum.of[p] *= was.of[p];
            of_a = narrowed(sum);
        } else {
            vec exact, rest;
            add(state[k].of.high, grad.of[k] + state[k].of.low, state + k);
            to = state[k].of.high;
            times(given, &a, k, state + k, &exact, &rest);
            add(exact, rest, state + k);
            of_a = SCALED(given) ? state[k].of.high : to;
            if (given != LOG_DECAY) of_a *= a.factor.of[k];
            of_a *= h.of[k];
        }
        put(run->grad_input + at + j + k * LANES, to, n - k * LANES, past);
        put(run->grad_decay + at + j + k * LANES, of_a, n - k * LANES, past);
    }
}

/* Columns too from the last to the first: memory that is gone through in one direction is fetched ahead */
INLINE void scan_columns_back(const Scan *run, enum Given given, int past, Int first, const item *start, Int n, Row *row) {
    const Int whole = n / STRIDE * STRIDE;
    for (Int t = run->steps - 1; t >= 0; t--) {
        const Int at = first + t * run->inner;
        const item *before = t ? run->output + at - run->inner : start;
        if (whole < n) step_back(run, given, 0, at, before, whole, n - whole, row);
        for (Int j = whole - STRIDE; j >= 0; j -= STRIDE) step_back(run, given, past, at, before, j, STRIDE, row);
    }
}

/* What stretches of time are joined by: without a result, the state from 0, or on the way back the gradient of the state
 * before the first step, and the product of all decays. */
INLINE void sum_columns(const Scan *run, enum Given given, int back, Row *row) {
    for (Int t = 0; t < run->steps; t++) {
        const Int at = (back ? run->steps - 1 - t : t) * STRIDE;
        const Vecs x = columns(run->decay + at, 0, STRIDE), b = columns((back ? run->grad : run->input) + at, 0, STRIDE);
        State *state = row->state, *product = row->product;
        Decay a;
        if (given != DECAY) a = decay_of(run, given, 0, x);
        BOTH {
            vec exact, rest;
            if (given == DECAY) {
                const Wides by = widened(x.of[k]), in = widened(b.of[k]);
                EACH product[k].wide.of[p] *= by.of[p];
                EACH state[k].wide.of[p] = by.of[p] * (state[k].wide.of[p] + in.of[p] * back) + in.of[p] * !back;
                continue;
            }
            times(given, &a, k, product + k, &exact, &rest);
            add(exact, rest, product + k);
            if (back) add(state[k].of.high, b.of[k] + state[k].of.low, state + k);
            times(given, &a, k, state + k, &exact, &rest);
            add(exact, back ? rest : rest + b.of[k], state + k);
        }
    }
}

INLINE Int tiles_of(const Scan *run) { return (run->inner + run->tile - 1) / run->tile; }

Int scan_size(void) { return sizeof(Scan); }

enum Pass { FORWARD, BACK, SUM, SUM_BACK };

/* Each compiled for itself */
#define PASSES(NAME, GIVEN)                                                                                           \
    static void NAME(const Scan *run, enum Pass pass, Int first, const item *start, Int n, Row *row) {                \
        if (pass == FORWARD)                                                                                          \
            scan_columns(run, GIVEN, run->past, first, n, row);                                                       \
        else if (pass == BACK)                                                                                        \
            scan_columns_back(run, GIVEN, run->past, first, start, n, row);                                           \
        else if (pass == SUM)                                                                                         \
            sum_columns(run, GIVEN, 0, row);                                                                          \
        else                                                                                                          \
            sum_columns(run, GIVEN, 1, row);                                                                          \
    }
PASSES(of_decay, DECAY)
PASSES(of_log, LOG_DECAY)
PASSES(of_logistic, LOGISTIC)
PASSES(of_raised, RAISED)
PASSES(of_exponential, EXPONENTIAL)
PASSES(of_table, TABLE)
#ifdef DOUBLE
#define of_power of_table
#define of_hyperbolic of_table
#else
PASSES(of_power, POWER)
PASSES(of_hyperbolic, HYPERBOLIC)
#endif

static void (*const passes[])(const Scan *, enum Pass, Int, const item *, Int, Row *) = {
    of_decay, of_log, of_logistic, of_raised, of_exponential, of_power, of_hyperbolic, of_table,
};

static void scan_tile(const Scan *run, Int number, enum Pass pass, Row *row) {
    const Int o = number / tiles_of(run), column = number % tiles_of(run) * run->tile, at = o * run->inner + column;
    const Int n = least(run->tile, run->inner - column);
    const item *const start = run->start ? run->start + at : 0;
    const enum Given given = (enum Given)run->given;
    for (Int j = 0; j < n + STRIDE; j += LANES)
        begin(given, start && pass == FORWARD ? some(start + j, n - j) : all(0), row->state + j / LANES);
    passes[given](run, pass, o * run->steps * run->inner + column, start, n, row);
    if (pass == BACK && run->grad_start)
        for (Int j = 0; j < n; j += LANES) {
            const State *found = row->state + j / LANES;
            put(run->grad_start + at + j, given == DECAY ? narrowed(found->wide) : found->of.high, n - j, 0);
        }
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* Of STRIDE stretches of sequences, each a column, where each begins and how long it is; 0 where there are no more */
enum { CHUNK = 4 * LANES };
typedef struct {
    Int at[STRIDE], length[STRIDE];
} Group;

typedef struct {
    item decay[CHUNK * STRIDE], in[CHUNK * STRIDE], before[(CHUNK + 1) * STRIDE], one[CHUNK * STRIDE], two[CHUNK * STRIDE];
} __attribute__((aligned(LINE))) Turned;

#ifdef __clang__
#define MIXED(to, a, b, which) \
    for (int l = 0; l < LANES; l++) to[l] = which[l] < LANES ? a[which[l]] : b[which[l] - LANES]
#else
#define MIXED(to, a, b, which) to = __builtin_shuffle(a, b, which)
#endif

/* Rows of a square become its columns: halves of each pair of squares change places, the smallest first */
INLINE void transpose(vec v[LANES]) {
    static const bits counted[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const ivec lane = *(const anyivec *)counted;
#pragma GCC unroll 4
    for (int half = 1; half < LANES; half *= 2) {
        const ivec odd = (lane & half) != 0, low = lane + (odd & (LANES - half)), high = lane + half + (odd & (LANES - half));
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++)
            if (!(r & half)) {
                const vec a = v[r], b = v[r + half];
                MIXED(v[r], a, b, low);
                MIXED(v[r + half], a, b, high);
            }
    }
}

/* CHUNK steps from t on; past a stretch's end there are zeros. Those `ahead` are fetched: processors see that few streams come. */
static void turn(const Group *group, Int t, Int ahead, const item *from, item *to) {
    for (int c = 0; c < STRIDE; c += LANES)
        for (int k = 0; k < CHUNK; k += LANES) {
            const item *rows[LANES];
            item ends[LANES * LANES];
            vec v[LANES];
            for (int r = 0; r < LANES; r++) {
                const Int left = group->length[c + r] - t - k;
                rows[r] = from + group->at[c + r] + t + k;
                __builtin_prefetch(rows[r] + ahead);
                if (left < LANES) {
                    for (Int l = 0; l < LANES; l++) ends[r * LANES + l] = l < left ? rows[r][l] : 0;
                    rows[r] = ends + r * LANES;
                }
            }
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) v[r] = taken_all(*(const items *)rows[r]);
            transpose(v);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) put(to + (k + r) * STRIDE + c, v[r], LANES, 0);
        }
}

static void turn_back(const Group *group, Int t, Int ahead, const item *from, item *to, int past) {
    for (int c = 0; c < STRIDE; c += LANES)
        for (int k = 0; k < CHUNK; k += LANES) {
            item *rows[LANES], ends[LANES * LANES] __attribute__((aligned(LINE)));
            vec v[LANES];
            for (int r = 0; r < LANES; r++) {
                rows[r] = to + group->at[c + r] + t + k;
                if (!past) __builtin_prefetch(rows[r] + ahead, 1);
                if (group->length[c + r] - t - k < LANES) rows[r] = ends + r * LANES;
            }
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) v[r] = taken_all(*(const items *)(from + (k + r) * STRIDE + c));
            transpose(v);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) put(rows[r], v[r], LANES, past);
            for (int r = 0; r < LANES; r++) {
                const Int left = group->length[c + r] - t - k;
                for (Int l = 0; l < left && left < LANES; l++) to[group->at[c + r] + t + k + l] = ends[r * LANES + l];
            }
        }
}

INLINE double state_of(enum Given given, const State *state, int lane) {
    if (given == DECAY || PARTS == 1) return ((const double *)state)[lane];
    return (double)state->of.high[lane] + (double)state->of.low[lane];
}

INLINE void set_state(enum Given given, double to, State *state, int lane) {
    if (given == DECAY || PARTS == 1) {
        ((double *)state)[lane] = to;
    } else {
        state->of.high[lane] = (real)to;
        state->of.low[lane] = (real)(to - (double)(real)to);
    }
}

INLINE double begins(const Scan *run, Int sequence) {
    return run->start ? (double)some(run->start + sequence, 1)[0] : 0.0;
}

static void scan_group(const Scan *run, Int number, enum Pass pass, Row *row) {
    const enum Given given = (enum Given)run->given;
    const int back = pass == BACK || pass == SUM_BACK, sums = pass == SUM || pass == SUM_BACK;
    const Int from = number * STRIDE, there = least(STRIDE, run->outer * run->stretches - from);
    Turned turned;
    Group group = {{0}, {0}};
    for (int k = 0; k < SPAN; k++) {
        begin(given, all(0), row->state + k);
        begin(given, all(1), row->product + k);
    }
    for (Int c = 0; c < there; c++) {
        const Int sequence = (from + c) / run->stretches, stretch = (from + c) % run->stretches;
        group.at[c] = sequence * run->steps + stretch * run->length;
        group.length[c] = least(run->length, run->steps - stretch * run->length);
        if (sums) continue;
        const double first = back ? 0 : begins(run, sequence);
        set_state(given, run->stretches > 1 ? run->sums[2 * (from + c)] : first, row->state + c / LANES, (int)(c % LANES));
    }
    Scan part = *run;
    part.inner = STRIDE, part.past = part.ahead = 0;
    part.decay = turned.decay, part.input = part.grad = turned.in, part.output = turned.before + STRIDE;
    part.result = part.grad_input = turned.one, part.grad_decay = turned.two;
    const Int chunks = (run->length + CHUNK - 1) / CHUNK, ahead = back ? -CHUNK : CHUNK;
    for (Int n = 0; n < chunks; n++) {
        const Int t = (back ? chunks - 1 - n : n) * CHUNK;
        part.steps = least(CHUNK, run->length - t);
        turn(&group, t, ahead, run->decay, turned.decay);
        turn(&group, t, ahead, back ? run->grad : run->input, turned.in);
        if (pass == BACK) {
            turn(&group, t, ahead, run->output, turned.before + STRIDE);
            for (Int c = 0; c < there; c++) {
                const Int at = group.at[c] + t, sequence = (from + c) / run->stretches;
                const int first = at == sequence * run->steps;
                turned.before[c] = t > group.length[c] ? 0 : !first ? run->output[at - 1] : run->start ? run->start[sequence] : 0;
            }
        }
        passes[given](&part, pass, 0, turned.before, STRIDE, row);
        if (pass == FORWARD) turn_back(&group, t, ahead, turned.one, run->result, (int)run->past);
        if (pass == BACK) {
            turn_back(&group, t, ahead, turned.one, run->grad_input, (int)run->past);
            turn_back(&group, t, ahead, turned.two, run->grad_decay, (int)run->past);
        }
    }
    for (Int c = 0; c < there; c++) {
        const int lane = (int)(c % LANES);
        const State *state = row->state + c / LANES;
        if (sums) {
            run->sums[2 * (from + c)] = state_of(given, row->product + c / LANES, lane);
            run->sums[2 * (from + c) + 1] = state_of(given, state, lane);
        } else if (pass == BACK && run->grad_start && (from + c) % run->stretches == 0)
            put(run->grad_start + (from + c) / run->stretches, all((real)state_of(given, state, lane)), 1, 0);
    }
}

/* In place of the product, what each stretch begins with */
static void join(const Scan *run, Int back) {
    for (Int o = 0; o < run->outer; o++) {
        double state = back ? 0 : begins(run, o);
        for (Int n = 0; n < run->stretches; n++) {
            double *const at = run->sums + 2 * (o * run->stretches + (back ? run->stretches - 1 - n : n)), product = at[0];
            at[0] = state;
            state = product * state + at[1];
        }
    }
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

/* Pieces of columns, or groups of stretches, that there are: what threads share */
Int scan_pieces(const Scan *run) {
    return run->stretches ? (run->outer * run->stretches + STRIDE - 1) / STRIDE : run->outer * tiles_of(run);
}

static void scan_pieces_of(const Scan *run, Int from, Int to, enum Pass pass) {
    Row row;
    const Tiny was = tiny();
    set_tiny(was | TINY_IS_ZERO);
    for (Int number = from; number < to; number++)
        if (run->stretches)
            scan_group(run, number, pass, &row);
        else
            scan_tile(run, number, pass, &row);
    if (run->past) settle();
    set_tiny(was);
}

typedef struct {
    const Scan *run;
    enum Pass pass;
    const Team *team;
} ScanShares;

static void scan_take(void *given) {
    const ScanShares *shares = given;
    const Int pieces = scan_pieces(shares->run), parts = shares->run->threads;
    for (Int n = shares->team->number(); n < parts; n += shares->team->count())
        scan_pieces_of(shares->run, pieces * n / parts, pieces * (n + 1) / parts, shares->pass);
}

static void scan_shared(const Scan *run, enum Pass pass, const Team *team, Int threads) {
    ScanShares shares = {run, pass, team};
    if (run->threads > 1 && team)
        team->parallel(scan_take, &shares, (unsigned)threads, 0);
    else
        scan_pieces_of(run, 0, scan_pieces(run), pass);
}

void scan(const Scan *run, Int back, const Team *team, Int threads) {
    if (run->stretches > 1) {
        scan_shared(run, back ? SUM_BACK : SUM, team, threads);
        join(run, back);
    }
    scan_shared(run, back ? BACK : FORWARD, team, threads);
}
