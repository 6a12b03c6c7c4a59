/* Descents of the absolute loss in float64, all problems of a call side by side: the loops of gateflow/descents/simulation.py.
 *
 * Printed before this text (gateflow/descents/compiled.py): vectormath.h; the gate as gate_parts (u, and u' as a factor times
 * the exponential of a rest); speed.c; the optimiser's update of one problem.
 *
 * The lanes of the vector code are problems. A lane that is done keeps its numbers; after a call the problems done are
 * taken out of the order of the others. No number of a problem depends on its neighbours.
 */

enum { GOING = 0, ARRIVED = 1, STALLED = 2, UNFINISHED = 3, LEFT = 4 };

typedef struct {
  const double *over;    /* T + 1 */
  const double *log_ct;  /* log(c T) */
  const double *target, *direction, *lr, *limit, *low, *high;
  double *z, *m, *s, *k, *idle, *code;
  double *far, *back, *left, *sizes; /* around the target; in search of the band, far is the last step outside */
  const double *filled_m, *filled_s; /* by step: what the means are divided by */
  const double *hyper;
  long filled;
  double patience, window, cycle;
} Runs;

#define TAKE(name) double name[LANES]; for (int i = 0; i < LANES; i++) name[i] = runs->name[at[i]]
#define PUT(name) for (int i = 0; i < LANES; i++) runs->name[at[i]] = name[i]

GF long place(const Runs *runs, double k) { return (long)k < runs->filled ? (long)k : runs->filled - 1; }

/* The steps of one group of problems, at most so many; mode: 0 to the target, 1 around it, 2 into a band for good. */
GF void steps_of(const Runs *runs, const int64_t *at, long steps, int mode) {
  TAKE(z); TAKE(m); TAKE(s); TAKE(k); TAKE(idle); TAKE(code);
  TAKE(over); TAKE(log_ct); TAKE(target); TAKE(direction); TAKE(lr); TAKE(limit);
  TAKE(far); TAKE(back); TAKE(left); TAKE(sizes); TAKE(low); TAKE(high);
  const double *hyper = runs->hyper;
  const double begun = k[0];
  _Bool abreast = 1; /* all at one step, as those are that began together */
  for (int i = 0; i < LANES; i++) abreast &= k[i] == begun;
  for (long n = 0; n < steps; n++) {
    double one_m[LANES], one_s[LANES], u[LANES], size[LANES];
    if (USES_FILLED && !abreast) {
      for (int i = 0; i < LANES; i++) {
        const long j = place(runs, k[i]);
        one_m[i] = runs->filled_m[j], one_s[i] = runs->filled_s[j];
      }
    } else {
      const long j = place(runs, begun + (double)n);
      const double both_m = USES_FILLED ? runs->filled_m[j] : 1.0, both_s = USES_FILLED ? runs->filled_s[j] : 1.0;
      for (int i = 0; i < LANES; i++) one_m[i] = both_m, one_s[i] = both_s;
    }
    speeds(z, over, log_ct, u, size);
    for (int i = 0; i < LANES; i++) {
      const _Bool going = code[i] == GOING;
      double next_m = m[i], next_s = s[i];
      const double slope = gf_sign(z[i] - target[i]) * size[i];
      const double next = z[i] - update(hyper, slope, lr[i], one_m[i], one_s[i], &next_m, &next_s);
      const double moved = next - z[i], step = k[i] + 1.0;
      const double still = gf_choose(moved == 0, idle[i] + 1.0, 0.0);
      const double beyond = direction[i] * (next - target[i]);
      double found = GOING;
      if (mode == 0) {
        found = gf_choose(step >= limit[i], UNFINISHED, found);
        found = gf_choose((still >= runs->patience) | !gf_isfinite(next), STALLED, found);
        found = gf_choose(beyond >= 0, ARRIVED, found);
      } else if (mode == 1) {
        const _Bool was_back = back[i] != 0, is_back = beyond <= 0;
        const double now_left = gf_choose(is_back & !was_back, runs->window, left[i] - 1.0);
        const _Bool settled = was_back | is_back;
        const double more = gf_choose(settled & (now_left < runs->cycle), gf_abs(moved), 0.0);
        found = gf_choose((now_left <= 0) | (!settled & (still >= runs->patience)), LEFT, found);
        far[i] = gf_choose(going, gf_maximum(far[i], beyond), far[i]);
        back[i] = gf_choose(going, gf_choose(settled, 1.0, 0.0), back[i]);
        left[i] = gf_choose(going, now_left, left[i]);
        sizes[i] = gf_choose(going, sizes[i] + more, sizes[i]);
      } else {
        const double last = gf_choose((next >= low[i]) & (next <= high[i]), far[i], step);
        found = gf_choose((step >= limit[i]) | !gf_isfinite(next), UNFINISHED, found);
        found = gf_choose(step - last > runs->window, ARRIVED, found);
        far[i] = gf_choose(going, last, far[i]);
      }
      z[i] = gf_choose(going, next, z[i]);
      m[i] = gf_choose(going, next_m, m[i]);
      s[i] = gf_choose(going, next_s, s[i]);
      k[i] = gf_choose(going, step, k[i]);
      idle[i] = gf_choose(going, still, idle[i]);
      code[i] = gf_choose(going, found, code[i]);
    }
    if (n % 16 == 15) {
      double going = 0;
      for (int i = 0; i < LANES; i++) going += code[i] == GOING;
      if (going == 0) break;
    }
  }
  PUT(z); PUT(m); PUT(s); PUT(k); PUT(idle); PUT(code);
  PUT(far); PUT(back); PUT(left); PUT(sizes);
}

/* So many steps of the problems in the order, or fewer; those still going are left in it. Returns their number. */
long descend(const Runs *runs, int64_t *order, long count, long steps, int mode) {
  for (long first = 0; first < count; first += LANES) {
    int64_t at[LANES];
    for (int i = 0; i < LANES; i++) at[i] = order[first + i < count ? first + i : count - 1];
    if (mode == 0) steps_of(runs, at, steps, 0);
    else if (mode == 1) steps_of(runs, at, steps, 1);
    else steps_of(runs, at, steps, 2);
  }
  long left = 0;
  for (long n = 0; n < count; n++)
    if (runs->code[order[n]] == GOING) order[left++] = order[n];
  return left;
}
