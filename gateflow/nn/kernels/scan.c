/* The scan h_t = a_t h_(t-1) + b_t, forward and backward, each in one pass over its arrays. Compiled behind gates.h.
 *
 * Arrays are [outer][steps][inner] in order; columns of `inner` go through time side by side, COLUMNS at a time, and their
 * state stays in cache, in double: what a float32 cannot add to it would be lost, step by step. With -DHALF they are bfloat16
 * in memory, and float32 in all that is computed of them.
 * The decay is given as a, as log a, or as the pre-activation z of a gate; from the latter two it is taken as 1 - (1 - a)
 * where it is above 1/2, with all digits of 1 - a. */

#ifdef HALF
typedef uint16_t item; /* bfloat16: the upper half of a float */
#else
typedef real item;
#endif

enum Given { DECAY, LOG_DECAY, PRE_ACTIVATION };
enum { COLUMNS = 4096 };

typedef struct {
    Int outer, steps, inner, given, threads;
    const Gate *gate; /* NULL: logistic */
    const item *decay, *input, *start, *output, *grad; /* start: NULL for 0; grad: of the output */
    item *result, *grad_decay, *grad_input, *grad_start; /* result: the output of the forward pass */
    double half;                                         /* z from which 1 - phi is looked up, not phi */
} Scan;

/* --- doubles ----------------------------------------------------------------------------------------------------- */

#define SIDE ((int)(WIDE / sizeof(double))) /* columns in a vector of doubles */
typedef double wide __attribute__((vector_size(WIDE)));
typedef int64_t wide_int __attribute__((vector_size(WIDE)));
typedef real part __attribute__((vector_size(SIDE * sizeof(real))));
typedef item stored __attribute__((vector_size(SIDE * sizeof(item)), aligned(sizeof(item)), may_alias));

INLINE wide widen(part a) { return __builtin_convertvector(a, wide); }
INLINE part narrow(wide a) { return __builtin_convertvector(a, part); }

#ifdef HALF
typedef uint32_t halves __attribute__((vector_size(SIDE * sizeof(uint32_t))));
INLINE real taken(item a) {
    const uint32_t found = (uint32_t)a << 16;
    real x;
    memcpy(&x, &found, sizeof x);
    return x;
}
INLINE part taken_all(const item *p) { return (part)(__builtin_convertvector(*(const stored *)p, halves) << 16); }
INLINE void kept(item *p, part a, Int n) { /* rounded to the nearest, ties to even; NaN stays NaN */
    const halves u = (halves)a, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, no = (halves)(a != a);
    const stored found = __builtin_convertvector((rounded & ~no) | (no & 0x7fc0), stored);
    if (n >= SIDE)
        *(stored *)p = found;
    else
        for (Int l = 0; l < n; l++) p[l] = found[l];
}
#else
INLINE real taken(item a) { return a; }
INLINE part taken_all(const item *p) { return *(const stored *)p; }
INLINE void kept(item *p, part a, Int n) {
    if (n >= SIDE)
        *(stored *)p = a;
    else
        for (Int l = 0; l < n; l++) p[l] = a[l];
}
#endif

/* The first n columns of a vector; the others are 0 */
INLINE wide some(const item *p, Int n) {
    if (n >= SIDE) return widen(taken_all(p));
    part a = {0};
    for (Int l = 0; l < n; l++) a[l] = taken(p[l]);
    return widen(a);
}

INLINE void put(item *p, wide a, Int n) { kept(p, narrow(a), n); }

/* --- decays ------------------------------------------------------------------------------------------------------ */

enum { BLOCK = 256 }; /* columns whose decays are looked up together */

typedef struct {
    real folded[BLOCK], slope[BLOCK];
    wide state[COLUMNS / SIDE];
} __attribute__((aligned(LINE))) Row;

/* exp(x), or from -ln 2/2 on exp(x) - 1 with the sign of -1, for x <= 0; no number for others, which are no decays */
INLINE vec exponential_folded(vec given) {
    const vec x = larger(all(-EXP_LEAST), given); /* NaN stays */
    const vec n = (x * LOG2E + MAGIC) - MAGIC;
    const vec less_one = exponential_less_one((x - n * LN2_HIGH) - n * LN2_LOW);
    const vec found = choose(n == 0, (vec)((ivec)less_one | SIGN), scaled_down(less_one, n));
    return choose(given <= 0, found, all(NAN));
}

/* a or -(1 - a), and the slope of a in z, for up to BLOCK columns; in the order in which memory is gone through */
INLINE void look(const Scan *run, enum Given given, int back, const item *z, Int n, Row *row) {
    const Int last = (n - 1) / LANES * LANES;
    const real half = (real)run->half;
    for (Int i = 0; i <= last; i += LANES) {
        const Int j = back ? last - i : i;
        vec x = {0}, slope;
#ifdef HALF
        typedef uint16_t given_vec __attribute__((vector_size(LANES * sizeof(item)), aligned(sizeof(item)), may_alias));
        if (j + LANES <= n)
            x = (vec)(__builtin_convertvector(*(const given_vec *)(z + j), uvec) << 16);
#else
        if (j + LANES <= n)
            x = *(const anyvec *)(z + j);
#endif
        else
            for (Int l = 0; j + l < n; l++) x[l] = taken(z[j + l]);
        if (given == LOG_DECAY)
            store(row->folded + j, exponential_folded(x));
        else {
            store(row->folded + j, gate_folded(run->gate, half, x, &slope));
            if (back) store(row->slope + j, slope);
        }
    }
}

/* The decay of a column and those after it, as it is given or as it was looked up */
INLINE wide decay_at(enum Given given, const item *a, const real *folded, Int n) {
    if (given == DECAY) return some(a, n);
    const wide found = widen(*(const part *)folded), one = (wide){0} + 1;
    return found + (wide)(((wide_int)found < 0) & (wide_int)one);
}

/* --- passes ------------------------------------------------------------------------------------------------------ */

/* Columns j, j + 1, ... of a row, n of them, which begins at `at` */
INLINE void step(const Scan *run, enum Given given, Int at, Int j, Int n, Row *row) {
    const wide a = decay_at(given, run->decay + at + j, row->folded + j % BLOCK, n);
    const wide h = a * row->state[j / SIDE] + some(run->input + at + j, n);
    row->state[j / SIDE] = h;
    put(run->result + at + j, h, n);
}

INLINE void scan_columns(const Scan *run, enum Given given, Int first, const item *start, Int n, Row *row) {
    const Int whole = n / SIDE * SIDE;
    for (Int j = 0; j < n; j += SIDE) row->state[j / SIDE] = start ? some(start + j, n - j) : (wide){0};
    for (Int t = 0; t < run->steps; t++) {
        const Int at = first + t * run->inner;
        for (Int block = 0; block < n; block += BLOCK) {
            if (given != DECAY) look(run, given, 0, run->decay + at + block, least(BLOCK, n - block), row);
            for (Int j = block; j < least(block + BLOCK, whole); j += SIDE) step(run, given, at, j, SIDE, row);
        }
        if (whole < n) step(run, given, at, whole, n - whole, row);
    }
}

/* The gradient of h_t is grad_t + a_(t+1) times that of h_(t+1); it is that of b_t, and times h_(t-1) that of a_t. */
INLINE void step_back(const Scan *run, enum Given given, Int at, const item *before, Int j, Int n, Row *row) {
    const wide a = decay_at(given, run->decay + at + j, row->folded + j % BLOCK, n);
    const wide to = row->state[j / SIDE] + some(run->grad + at + j, n);
    wide of_a = before ? to * some(before + j, n) : (wide){0};
    if (given == LOG_DECAY) of_a *= a;
    if (given == PRE_ACTIVATION) of_a *= widen(*(const part *)(row->slope + j % BLOCK));
    put(run->grad_input + at + j, to, n);
    put(run->grad_decay + at + j, of_a, n);
    row->state[j / SIDE] = to * a;
}

/* Columns too from the last to the first: memory that is gone through in one direction is fetched ahead */
INLINE void scan_columns_back(const Scan *run, enum Given given, Int first, const item *start, item *grad_start, Int n,
                              Row *row) {
    const Int whole = n / SIDE * SIDE;
    for (Int j = 0; j < n; j += SIDE) row->state[j / SIDE] = (wide){0};
    for (Int t = run->steps - 1; t >= 0; t--) {
        const Int at = first + t * run->inner;
        const item *before = t ? run->output + at - run->inner : start;
        for (Int block = (n - 1) / BLOCK * BLOCK; block >= 0; block -= BLOCK) {
            if (given != DECAY) look(run, given, 1, run->decay + at + block, least(BLOCK, n - block), row);
            if (block + BLOCK > whole && whole < n) step_back(run, given, at, before, whole, n - whole, row);
            for (Int j = least(block + BLOCK, whole) - SIDE; j >= block; j -= SIDE)
                step_back(run, given, at, before, j, SIDE, row);
        }
    }
    if (grad_start)
        for (Int j = 0; j < n; j += SIDE) put(grad_start + j, row->state[j / SIDE], n - j);
}

INLINE Int tiles_of(const Scan *run) { return (run->inner + COLUMNS - 1) / COLUMNS; }

Int scan_size(void) { return sizeof(Scan); }

/* Pieces of columns that there are: what threads share */
Int scan_pieces(const Scan *run) { return run->outer * tiles_of(run); }

static void scan_pieces_of(const Scan *run, Int from, Int to, Int back) {
    Row row;
    const Tiny was = tiny();
    set_tiny(was | TINY_IS_ZERO);
    for (Int piece = from; piece < to; piece++) {
        const Int o = piece / tiles_of(run), column = piece % tiles_of(run) * COLUMNS, n = least(COLUMNS, run->inner - column);
        const Int first = o * run->steps * run->inner + column, state = o * run->inner + column;
        const item *start = run->start ? run->start + state : 0;
        item *grad_start = run->grad_start ? run->grad_start + state : 0;
        switch (2 * run->given + (back != 0)) { /* each compiled for itself */
        case 2 * DECAY: scan_columns(run, DECAY, first, start, n, &row); break;
        case 2 * DECAY + 1: scan_columns_back(run, DECAY, first, start, grad_start, n, &row); break;
        case 2 * LOG_DECAY: scan_columns(run, LOG_DECAY, first, start, n, &row); break;
        case 2 * LOG_DECAY + 1: scan_columns_back(run, LOG_DECAY, first, start, grad_start, n, &row); break;
        case 2 * PRE_ACTIVATION: scan_columns(run, PRE_ACTIVATION, first, start, n, &row); break;
        default: scan_columns_back(run, PRE_ACTIVATION, first, start, grad_start, n, &row);
        }
    }
    set_tiny(was);
}

typedef struct {
    const Scan *run;
    Int back;
    const Team *team;
} ScanShares;

static void scan_take(void *given) {
    const ScanShares *shares = given;
    const Int pieces = scan_pieces(shares->run), parts = shares->run->threads;
    for (Int n = shares->team->number(); n < parts; n += shares->team->count())
        scan_pieces_of(shares->run, pieces * n / parts, pieces * (n + 1) / parts, shares->back);
}

void scan(const Scan *run, Int back, const Team *team, Int threads) {
    ScanShares shares = {run, back, team};
    if (run->threads > 1 && team)
        team->parallel(scan_take, &shares, (unsigned)threads, 0);
    else
        scan_pieces_of(run, 0, scan_pieces(run), back);
}
