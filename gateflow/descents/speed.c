/* The slope of a loss at z from the gate's parts (gate_parts, printed before this text): sigma(-u) u' exp(-T softplus(-u)) times
 * exp(log_ct), in one exponential. For the absolute loss that is |dL/dz|, with log_ct = log(c T) and over = T + 1. */
GF double speed(double z, double over, double log_ct, double *profile) {
  double u, factor, rest;
  gate_parts(z, &u, &factor, &rest);
  const double below = gf_maximum(-u, 0.0) + gf_log1p(gf_exp(-gf_abs(u)));
  const double size = gf_exp(rest + (log_ct - u) - over * below);
  *profile = u;
  return gf_choose((size == 0) | (gf_abs(u) == INFINITY), 0.0, size * factor); /* at 0 and 1 nothing moves */
}
