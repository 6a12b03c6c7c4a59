/* Noisy descents in float64, many runs of one problem side by side: the loop of gateflow/noise/paths.py.
 *
 * Printed before this text (gateflow/descents/compiled.py): vectormath.h; the gate as gate_parts; speed.c; the optimiser's
 * update of one problem.
 *
 * The number drawn for run i at step k is made of word i of the stream of Philox4x64-10 with the key (seed, 0) and the
 * counter (0, 0, 0, k), k = 1, 2, ...: it depends on seed, run and step alone.
 */

typedef struct {
  double *z, *m, *s;
  double *found;       /* the step at which a run was first at the level or past it; -1 before */
  const double *cells; /* four to a cell: the mean at its left end and its rise, the deviation and its rise */
  const double *filled_m, *filled_s, *hyper;
  long filled, count, number; /* runs; cells */
  double low, per_width, over, lr, level, side;
  uint64_t seed;
} Runs;

/* Four words of Philox4x64-10 (Salmon et al. 2011). */
static inline void philox(uint64_t block, uint64_t step, uint64_t seed, uint64_t *out) {
  uint64_t a = block, b = 0, c = 0, d = step, low_key = seed, high_key = 0;
  for (int round = 0; round < 10; round++) {
    const unsigned __int128 first = (unsigned __int128)0xD2E7470EE14C6C93u * a;
    const unsigned __int128 second = (unsigned __int128)0xCA5A826395121157u * c;
    a = (uint64_t)(second >> 64) ^ b ^ low_key, b = (uint64_t)second;
    c = (uint64_t)(first >> 64) ^ d ^ high_key, d = (uint64_t)first;
    low_key += 0x9E3779B97F4A7C15u, high_key += 0xBB67AE8584CAA73Bu;
  }
  out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

/* sin(x), 0 <= x <= pi/2, by its series. */
GF double sine(double x) {
  const double y = x * x;
  double p = -1.0 / 121645100408832000.0;
  p = p * y + 1.0 / 355687428096000.0;
  p = p * y - 1.0 / 1307674368000.0;
  p = p * y + 1.0 / 6227020800.0;
  p = p * y - 1.0 / 39916800.0;
  p = p * y + 1.0 / 362880.0;
  p = p * y - 1.0 / 5040.0;
  p = p * y + 1.0 / 120.0;
  p = p * y - 1.0 / 6.0;
  return x + x * (y * p);
}

/* A standard normal number of a word: a radius of the upper half of it, a quadrant and a sign of the lower (Box and Muller). */
GF double normal(int32_t upper, int32_t lower) {
  const double share = ((double)upper + 2147483648.5) * 0x1p-32;
  const double angle = ((double)(lower & 0x7fffffff) + 0.5) * 0x1p-31;
  const double size = gf_sqrt(-2.0 * gf_log(share)) * sine(angle * 0x1.921fb54442d18p0);
  return gf_choose(lower < 0, -size, size);
}

/* So many steps of all runs, after so many made before. */
void walk(const Runs *runs, long before, long steps) {
  const double *hyper = runs->hyper, last = (double)(runs->number - 1);
  for (long first = 0; first < runs->count; first += LANES) {
    const long most = runs->count - first < LANES ? runs->count - first : LANES;
    double z[LANES], m[LANES], s[LANES], found[LANES], over[LANES], log_ct[LANES];
    for (int i = 0; i < LANES; i++) {
      const long j = first + (i < most ? i : most - 1);
      z[i] = runs->z[j], m[i] = runs->m[j], s[i] = runs->s[j], found[i] = runs->found[j];
      over[i] = runs->over, log_ct[i] = 0.0;
    }
    for (long n = before; n < before + steps; n++) {
      uint64_t words[LANES];
      int32_t upper[LANES], lower[LANES];
      for (int i = 0; i < LANES; i += 4) philox((uint64_t)(first + i) / 4 + 1, (uint64_t)n + 1, runs->seed, words + i);
      for (int i = 0; i < LANES; i++) upper[i] = (int32_t)((words[i] >> 32) ^ 0x80000000u), lower[i] = (int32_t)words[i];
      const long place = n < runs->filled ? n : runs->filled - 1;
      const double one_m = USES_FILLED ? runs->filled_m[place] : 1.0, one_s = USES_FILLED ? runs->filled_s[place] : 1.0;
      const double now = (double)(n + 1);
      double share[LANES], at[LANES], mean[LANES], deviation[LANES];
      speeds(z, over, log_ct, at, share);
      for (int i = 0; i < LANES; i++) at[i] = (at[i] - runs->low) * runs->per_width;
      for (int i = 0; i < LANES; i++) { /* loads from places of their own: no vector code */
        const double inside = gf_minimum(gf_maximum(at[i], 0.0), last + 1.0);
        const int32_t cell = (int32_t)gf_minimum(inside, last);
        const double *of = runs->cells + 4 * cell, part = inside - (double)cell;
        mean[i] = of[0] + part * of[1], deviation[i] = of[2] + part * of[3];
      }
      for (int i = 0; i < LANES; i++) {
        const double slope = share[i] * (mean[i] + deviation[i] * normal(upper[i], lower[i]));
        z[i] -= update(hyper, slope, runs->lr, one_m, one_s, &m[i], &s[i]);
        found[i] = gf_choose((found[i] < 0) & (runs->side * (z[i] - runs->level) >= 0), now, found[i]);
      }
    }
    for (int i = 0; i < most; i++) {
      runs->z[first + i] = z[i], runs->m[first + i] = m[i], runs->s[first + i] = s[i], runs->found[first + i] = found[i];
    }
  }
}
