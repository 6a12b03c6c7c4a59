/* The scan h_t = a_t h_(t-1) + b_t, forward and backward, each in one pass over its arrays. Compiled behind gates.h.
 *
 * Arrays are [outer][steps][inner] in order; columns of `inner` go through time side by side, COLUMNS at a time, and their
 * state stays in cache, in double: what a float32 cannot add to it would be lost, step by step.
 * The decay is given as a, as log a, or as the pre-activation z of a gate; from the latter two it is taken as 1 - (1 - a)
 * where it is above 1/2, with all digits of 1 - a. */

enum Given { DECAY, LOG_DECAY, PRE_ACTIVATION };
enum { COLUMNS = 4096 };

typedef struct {
    Int outer, steps, inner, given, threads;
    const Gate *gate; /* NULL: logistic */
    const real *decay, *input, *start, *output, *grad; /* start: NULL for 0; grad: of the output */
    real *result, *grad_decay, *grad_input, *grad_start; /* result: the output of the forward pass */
} Scan;

/* --- doubles ----------------------------------------------------------------------------------------------------- */

#define SIDE ((int)(WIDE / sizeof(double))) /* columns in a vector of doubles */
typedef double wide __attribute__((vector_size(WIDE)));
typedef int64_t wide_int __attribute__((vector_size(WIDE)));
typedef real part __attribute__((vector_size(SIDE * sizeof(real))));
typedef real anypart __attribute__((vector_size(SIDE * sizeof(real)), aligned(sizeof(real)), may_alias));

INLINE wide widen(part a) { return __builtin_convertvector(a, wide); }
INLINE part narrow(wide a) { return __builtin_convertvector(a, part); }

/* The first n columns of a vector; the others are 0 */
INLINE wide some(const real *p, Int n) {
    if (n >= SIDE) return widen(*(const anypart *)p);
    part a = {0};
    for (Int l = 0; l < n; l++) a[l] = p[l];
    return widen(a);
}

INLINE void put(real *p, wide a, Int n) {
    const part found = narrow(a);
    if (n >= SIDE)
        *(anypart *)p = found;
    else
        for (Int l = 0; l < n; l++) p[l] = found[l];
}

/* --- decays ------------------------------------------------------------------------------------------------------ */

enum { BLOCK = 256 }; /* columns whose decays are looked up together */

typedef struct {
    real value[BLOCK], rest[BLOCK], slope[BLOCK];
    wide state[COLUMNS / SIDE];
} __attribute__((aligned(LINE))) Row;

/* exp(x) and 1 - exp(x) for x <= 0; no number for others, which are no decays */
INLINE void exponential_both(vec given, vec *value, vec *rest) {
    const vec x = larger(all(-EXP_LEAST), given); /* NaN stays */
    const vec n = (x * LOG2E + MAGIC) - MAGIC;
    const vec less_one = exponential_less_one((x - n * LN2_HIGH) - n * LN2_LOW);
    *value = choose(given <= 0, scaled_down(less_one, n), all(NAN));
    *rest = choose(n == 0, -less_one, 1 - *value);
}

/* a, 1 - a and the slope of a in what is given, for up to BLOCK columns; in the order in which memory is gone through */
INLINE void look(const Scan *run, enum Given given, int back, const real *z, Int n, Row *row) {
    const Int last = (n - 1) / LANES * LANES;
    for (Int i = 0; i <= last; i += LANES) {
        const Int j = back ? last - i : i;
        vec x = {0}, value, rest, slope;
        if (j + LANES <= n)
            x = *(const anyvec *)(z + j);
        else
            for (Int l = 0; j + l < n; l++) x[l] = z[j + l];
        if (given == LOG_DECAY) {
            exponential_both(x, &value, &rest);
            slope = value;
        } else
            gate_both(run->gate, x, &value, &rest, &slope);
        store(row->value + j, value), store(row->rest + j, rest);
        if (back) store(row->slope + j, slope);
    }
}

/* The decay of the columns from j on, j counted from the start of the block */
INLINE wide decay_at(enum Given given, const real *a, const Row *row, Int j, Int n) {
    if (given == DECAY) return some(a, n);
    const wide value = widen(*(const part *)(row->value + j)), rest = widen(*(const part *)(row->rest + j));
    const wide_int high = value > 0.5;
    return (wide)(((wide_int)(1 - rest) & high) | ((wide_int)value & ~high));
}

/* --- passes ------------------------------------------------------------------------------------------------------ */

/* Columns j, j + 1, ... of a row, n of them, which begins at `at` */
INLINE void step(const Scan *run, enum Given given, Int at, Int j, Int n, Row *row) {
    const wide a = decay_at(given, run->decay + at + j, row, j % BLOCK, n);
    const wide h = a * row->state[j / SIDE] + some(run->input + at + j, n);
    row->state[j / SIDE] = h;
    put(run->result + at + j, h, n);
}

INLINE void scan_columns(const Scan *run, enum Given given, Int first, const real *start, Int n, Row *row) {
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
INLINE void step_back(const Scan *run, enum Given given, Int at, const real *before, Int j, Int n, Row *row) {
    const wide a = decay_at(given, run->decay + at + j, row, j % BLOCK, n);
    const wide to = row->state[j / SIDE] + some(run->grad + at + j, n);
    wide of_a = before ? to * some(before + j, n) : (wide){0};
    if (given != DECAY) of_a *= widen(*(const part *)(row->slope + j % BLOCK));
    put(run->grad_input + at + j, to, n);
    put(run->grad_decay + at + j, of_a, n);
    row->state[j / SIDE] = to * a;
}

/* Columns too from the last to the first: memory that is gone through in one direction is fetched ahead */
INLINE void scan_columns_back(const Scan *run, enum Given given, Int first, const real *start, real *grad_start, Int n,
                              Row *row) {
    const Int whole = n / SIDE * SIDE;
    for (Int j = 0; j < n; j += SIDE) row->state[j / SIDE] = (wide){0};
    for (Int t = run->steps - 1; t >= 0; t--) {
        const Int at = first + t * run->inner;
        const real *before = t ? run->output + at - run->inner : start;
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
        const real *start = run->start ? run->start + state : 0;
        real *grad_start = run->grad_start ? run->grad_start + state : 0;
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
