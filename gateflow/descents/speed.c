/* The slope of a loss at many z, from the gate's parts (gate_parts, printed before this text): sigma(-u) u' exp(-T softplus(-u))
 * times exp(log_ct), in one exponential. For the absolute loss that is |dL/dz|, with log_ct = log(c T) and over = T + 1.
 *
 * Each part has a loop of its own. One lane waits for each operation before it can begin the next; in a short loop the processor
 * works at many lanes meanwhile, in one long loop its window holds no second vector of them (measured: 13 ns a step, against 7).
 */
GF void speeds(const double *z, const double *over, const double *log_ct, double *u, double *speed) {
  double factor[LANES], rest[LANES], below[LANES];
  for (int i = 0; i < LANES; i++) gate_parts(z[i], &u[i], &factor[i], &rest[i]);
  for (int i = 0; i < LANES; i++) below[i] = gf_exp(-gf_abs(u[i]));
  for (int i = 0; i < LANES; i++) below[i] = gf_maximum(-u[i], 0.0) + gf_log1p(below[i]);
  for (int i = 0; i < LANES; i++) {
    const double size = gf_exp(rest[i] + (log_ct[i] - u[i]) - over[i] * below[i]);
    speed[i] = gf_choose((size == 0) | (gf_abs(u[i]) == INFINITY), 0.0, size * factor[i]); /* at 0 and 1 nothing moves */
  }
}
