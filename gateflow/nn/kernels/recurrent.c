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
 * Layout of a blocked array of n rows: [block][row][UNITS]. It stands behind gates.h.
 *
 * With -DSHORT products of matrices are of bfloat16, and their sums, with all else, of float32. Where a product reads a
 * real it then reads a pair: two neighbours along what it sums over, side by side in 32 bits.
 */

#define NV 2 /* vectors side by side in a product */
#define AHEAD 2 /* lines fetched ahead for each four steps of a product */
#define UNITS (NV * LANES)
#define STRIP 8 /* rows of a gradient of weights that are summed together */
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#ifdef SHORT
enum { PACK = 2 }; /* numbers in a real of products' factors */
#else
enum { PACK = 1 };
#endif
#define WIDTH (UNITS / PACK) /* reals of a row in a block of a product's first factor */

enum { MOST_BLOCKS = 5, MOST_FACTORS = 8 };

/* --- what is asked for ------------------------------------------------------------------------------------------- */

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
INLINE int uses_h(const Run *run, Int g) { return run->h_first <= g && g < run->h_last; }
INLINE int uses_x(const Run *run, Int g) { return run->x_first <= g && g < run->x_last; }

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

/* How many reals n numbers along the sum take */
INLINE Int deep(Int n) { return (n + PACK - 1) / PACK; }

INLINE vec multiply_add(vec sum, real a, vec b) {
#if defined(SHORT) && defined(__AVX512BF16__)
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
#elif defined(SHORT) /* the same for any processor: right, and slow */
    const uvec upper = (uvec){0} + 0xffff0000;
    union {
        real number;
        ubits pair;
    } both = {a};
    const uvec pair = (uvec){0} + both.pair;
    sum += (vec)(pair << 16) * (vec)((uvec)b << 16);
    return sum + (vec)(pair & upper) * (vec)((uvec)b & upper);
#else
    return sum + a * b;
#endif
}

/* Pairs of what stands side by side in each of the rows: as a product's first factor has them. In place too. */
static void pair_columns(real *to, const real *from, Int rows) {
#ifdef SHORT
    for (; rows > 0; rows--, from += UNITS, to += WIDTH) {
#ifdef __AVX512BF16__
        store(to, (vec)_mm512_cvtne2ps_pbh((__m512)load(from + LANES), (__m512)load(from)));
#else
        for (int u = 0; u < UNITS; u += LANES) {
            const uvec found = bfloat16_of(load(from + u));
            ubits pair[LANES / 2];
            for (int l = 0; l < LANES / 2; l++) pair[l] = found[2 * l] | found[2 * l + 1] << 16;
            memcpy(to + u / 2, pair, sizeof pair);
        }
#endif
    }
#else
    (void)to, (void)from, (void)rows;
#endif
}

/* The last of an odd number of columns has 0 beside it: a unit that only fills its block up may be no number */
static void end_pairs(real *to, Int rows, Int columns) {
    to += columns / UNITS * rows * WIDTH + columns % UNITS / 2;
    for (Int row = 0; PACK > 1 && columns % 2 && row < rows; row++, to += WIDTH) {
        ubits pair;
        memcpy(&pair, to, sizeof pair);
        pair &= 0xffff;
        memcpy(to, &pair, sizeof pair);
    }
}

/* Pairs of each row with the next: as the second factor has them; the last row of an odd number goes with zeros. In
 * place too. */
static void pair_rows(real *to, const real *from, Int rows) {
#ifdef SHORT
    for (Int row = 0; row < rows; row += 2, from += 2 * UNITS)
        for (int v = 0; v < UNITS; v += LANES, to += LANES) {
            const vec next = row + 1 < rows ? load(from + UNITS + v) : all(0);
            store(to, (vec)(bfloat16_of(load(from + v)) | bfloat16_of(next) << 16));
        }
#else
    (void)to, (void)from, (void)rows;
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
        for (Int left = pair[part].depth; left > 0; left -= WIDTH, block += pair[part].stride) {
            const real *a = block;
            Int k = left < WIDTH ? left : WIDTH;
            for (; k >= 4; k -= 4, a += 4, b += 4 * UNITS) {
#pragma GCC unroll 2
                for (int line = 0; line < AHEAD; line++, ahead += LINE) fetch(ahead);
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++)
#pragma GCC unroll 8
                    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
                        for (int v = 0; v < NV; v++)
                            sum[j % SPLIT][m][v] =
                                multiply_add(sum[j % SPLIT][m][v], a[m * WIDTH + j], load(b + j * UNITS + v * LANES));
            }
            for (; k > 0; k--, a++, b += UNITS)
#pragma GCC unroll 8
                for (int m = 0; m < M; m++)
#pragma GCC unroll 2
                    for (int v = 0; v < NV; v++)
                        sum[0][m][v] = multiply_add(sum[0][m][v], a[m * WIDTH], load(b + v * LANES));
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

/* The same for any number of rows; the strides of A are those of its blocks, its rows are WIDTH apart. `next` is the B
 * of the product to come: large layers' weights lie far from the core, and are fetched while these are worked on. */
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
        for (int part = 0; part < 2; part++) moved[part].a = pair[part].a + row * WIDTH;
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
                    total[m][v] =
                        multiply_add(total[m][v], a[row * STRIP + first + m], load(b + row * UNITS + v * LANES));
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
INLINE Int depth_of(const Run *run) { return 1 + deep(run->hidden) + deep(run->inputs); } /* bias, weights of h and of x */
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
        for (Int g = 0; g < run->blocks; g++, to += depth_of(run) * UNITS) {
            for (Int u = 0; u < UNITS; u++) {
                to[u] = 0;
                if (first + u < H && run->bias_1[g]) to[u] += run->bias_1[g][first + u];
                if (first + u < H && run->bias_2[g]) to[u] += run->bias_2[g][first + u];
            }
            real *of_h = to + UNITS, *of_x = of_h + deep(H) * UNITS; /* short ones too have room at first for all */
            turn(of_h, run->weight_h[g], first, H, H);
            pair_rows(of_h, of_h, H);
            turn(of_x, run->weight_x[g], first, H, I);
            pair_rows(of_x, of_x, I);
        }
}

/* Weights as the backward pass wants them: for each block of columns, the rows */
static void pack_rows(const Run *run, real *to, const real *const *of, Int from, Int until, Int columns) {
    const Int padded = blocks_of(run->hidden) * UNITS;
    for (Int first = 0; first < columns; first += UNITS)
        for (Int g = from; g < until; g++, to += deep(padded) * UNITS) {
            for (Int unit = 0; unit < padded; unit++) {
                const Int count = unit < run->hidden ? least(columns - first, UNITS) : 0;
                real *row = to + unit * UNITS;
                if (count) memcpy(row, of[g] + unit * columns + first, (size_t)count * sizeof(real));
                if (count < UNITS) memset(row + count, 0, (size_t)(UNITS - count) * sizeof(real));
            }
            pair_rows(to, to, padded);
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

/* Reals of an array of pairs beside one of so many numbers */
INLINE Int short_size(Int numbers) { return PACK > 1 ? numbers / PACK : 0; }

/* The state and the memory of some rows of the batch on their way through time */
typedef struct {
    Int first, rows;
    real *h, *h_next, *c, *x, *z;
    real *factor; /* h as products have it */
} Tile;

static Int tile_size(const Run *run, Int rows) {
    return (3 * blocks_of(run->hidden) + blocks_of(run->inputs) + run->blocks) * rows * UNITS +
           ROUND_UP(short_size(blocks_of(run->hidden) * rows * UNITS), UNITS);
}

static Tile tile_in(const Run *run, Int first, Int rows, real **scratch) {
    const Int state = blocks_of(run->hidden) * rows * UNITS;
    Tile tile = {.first = first, .rows = rows};
    tile.h = reserve(scratch, state), tile.h_next = reserve(scratch, state), tile.c = reserve(scratch, state);
    tile.x = reserve(scratch, blocks_of(run->inputs) * rows * UNITS);
    tile.z = reserve(scratch, run->blocks * rows * UNITS);
    tile.factor = reserve(scratch, short_size(state));
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
    const Int H = run->hidden, I = run->inputs, rows = tile->rows, depth = depth_of(run), block = rows * UNITS;
    const Int start = step, stride = block / PACK;
    const real *end = run->packed + blocks_of(H) * run->blocks * depth * UNITS;
    for (; step < until; step++) {
        const Int live = living(run, step, tile->first, rows), at = run->offsets[time_of(run, step)] + tile->first;
        /* before there are rows too: they may come to life in the midst of the segment */
        if (run->marks && !again && step % run->segment == 0)
            from_blocks(run->marks + (step / run->segment * run->batch + tile->first) * H, tile->c, rows, rows, H);
        if (!live) continue;
        to_blocks(tile->x, run->x + at * I, live, rows, I);
        pair_columns(tile->x, tile->x, blocks_of(I) * rows);
        pair_columns(tile->factor, tile->h, blocks_of(H) * rows);
        end_pairs(tile->factor, rows, H);
        const real *h = PACK > 1 ? tile->factor : tile->h;
        real *to = kept ? kept_at(run, kept, step - start, at, rows, again) : NULL;
        for (Int b = 0; b < blocks_of(H); b++) {
            for (Int g = 0; g < run->blocks; g++) {
                const real *w = run->packed + (b * run->blocks + g) * depth * UNITS;
                const Factor pair[2] = {{h, stride, uses_h(run, g) ? deep(H) : 0},
                                        {tile->x, stride, uses_x(run, g) ? deep(I) : 0}};
                products(live, tile->z + g * block, w, 0, pair, w + UNITS + (uses_h(run, g) ? 0 : deep(H) * UNITS),
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

/* Pairs of each of a strip's rows with the next, in place: what is past the last column stays 0 */
static void pair_strip(real *strip, Int rows) {
#ifdef SHORT
    for (Int row = 0; row < rows; row += 2) {
        ubits both[2 * STRIP] __attribute__((aligned(LINE)));
        for (int m = 0; m < 2 * STRIP; m += LANES) *(uvec *)(both + m) = bfloat16_of(load(strip + row * STRIP + m));
        if (row + 1 == rows) memset(both + STRIP, 0, STRIP * sizeof(ubits));
        for (int m = 0; m < STRIP; m++) both[m] |= both[m + STRIP] << 16;
        memcpy(strip + row / 2 * STRIP, both, STRIP * sizeof(ubits));
    }
#else
    (void)strip, (void)rows;
#endif
}

/* Gradients of the weights from the rows gathered, which are used up */
static void flush(const Run *run, Int rows, real *dz, real *strip, real *sums) {
    const Int blocks = blocks_of(run->hidden), of_h = strips_h(run), count = strips(run);
    const Int of_one = of_h + run->inputs / STRIP;
    for (Int s = 0; PACK > 1 && s < count; s++)
        pair_strip(strip + s * run->chunk * STRIP, rows);
    for (Int g = 0; g < run->blocks; g++)
        for (Int b = 0; b < blocks; b++) {
            const Int panel = g * blocks + b;
            real *of_panel = dz + panel * run->chunk * UNITS;
            pair_rows(of_panel, of_panel, rows);
            for (Int s = 0; s < count; s++) {
                if (s < of_h ? !uses_h(run, g) : !uses_x(run, g) && s != of_one) continue;
                outer(deep(rows), sums + (panel * count + s) * STRIP * UNITS, strip + s * run->chunk * STRIP, of_panel);
            }
        }
}

/* What a backward pass carries from step to step, and the rows gathered */
typedef struct {
    Tile tile; /* for steps that are computed again */
    real *dh, *dc, *zero, *dx, *strip, *dz, *factor, *kept, *sums; /* factor: a step's dz as products have it */
    Int used;
} Back;

static Int segment_size(const Run *run, Int rows) {
    return run->segment < run->steps ? run->segment * rows * kept_row(run) : 0;
}

static Int back_size(const Run *run, Int rows) {
    const Int blocks = blocks_of(run->hidden);
    return tile_size(run, rows) + (2 * blocks + 1) * rows * UNITS + UNITS +
           ROUND_UP(strips(run) * run->chunk * STRIP, UNITS) + run->blocks * blocks * run->chunk * UNITS +
           ROUND_UP(short_size(run->blocks * blocks * rows * UNITS), UNITS) + segment_size(run, rows);
}

static Back back_in(const Run *run, Int first, Int rows, real *sums, real *scratch) {
    const Int H = run->hidden, state = blocks_of(H) * rows * UNITS, gathered = strips(run) * run->chunk * STRIP;
    Back back = {.sums = sums, .used = 0};
    back.tile = tile_in(run, first, rows, &scratch);
    back.dh = reserve(&scratch, state), back.dc = reserve(&scratch, state);
    back.zero = reserve(&scratch, UNITS), back.dx = reserve(&scratch, rows * UNITS);
    back.strip = reserve(&scratch, gathered), back.dz = reserve(&scratch, run->blocks * blocks_of(H) * run->chunk * UNITS);
    back.factor = reserve(&scratch, short_size(run->blocks * blocks_of(H) * rows * UNITS));
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
static void of_input(const Run *run, Back *back, const real *dz, Int stride, Int at, Int live) {
    const Int I = run->inputs, blocks = blocks_of(run->hidden);
    const Int depth = (run->x_last - run->x_first) * blocks * WIDTH;
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
    for (Int panel = 0; PACK > 1 && panel < run->blocks * blocks; panel++)
        pair_columns(back->factor + panel * rows * WIDTH, dz + panel * stride, live);
    const real *of = PACK > 1 ? back->factor : dz;
    const Int apart = PACK > 1 ? rows * WIDTH : stride, depth = (run->h_last - run->h_first) * blocks * WIDTH;
    const Factor pair[2] = {{of + run->h_first * blocks * apart, apart, depth}, {NULL, 0, 0}};
    for (Int b = 0; b < blocks; b++) {
        real *to = back->dh + b * rows * UNITS;
        const real *w = run->packed_h + b * depth * UNITS;
        products(live, to, to, UNITS, pair, w, b + 1 < blocks ? w + depth * UNITS : run->packed_h);
    }
    if (run->grad_x) of_input(run, back, of, apart, at, live);
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
