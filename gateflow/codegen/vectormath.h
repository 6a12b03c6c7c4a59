/* Elementary functions of one double, without branches, so that a compiler turns a loop over them into vector code.
 *
 * Needs -fno-math-errno -fno-trapping-math to become vectors, and -ffp-contract=off to give the same bits at any vector
 * width. Arithmetic is IEEE 754 throughout: never compile this with -ffast-math. Each function is within 2 units in the
 * last place (erfc and its logarithms 3) over its whole range, subnormal numbers and both infinities included, as
 * tests/codegen/test_c.py checks; nan is returned for nan and for arguments outside the real domain only.
 *
 * Polynomials interpolate at Chebyshev points, in 60 digits, the function named beside them on the interval named.
 */
#ifndef GATEFLOW_VECTORMATH_H
#define GATEFLOW_VECTORMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define GF static inline __attribute__((always_inline, unused))

#define GF_LN2 0x1.62e42fefa39efp-1
#define GF_LN2_HIGH 0x1.62e42fefap-1 /* 37 bits: exact times any exponent */
#define GF_LN2_LOW 0x1.cf79abc9e3b3ap-40
#define GF_ROUNDER 0x1.8p52 /* added, it rounds to whole numbers, which then stand in the last bits of the sum */

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define gf_fma(a, b, c) __builtin_fma(a, b, c)
#else
#define gf_fma(a, b, c) ((a) * (b) + (c))
#endif

GF int64_t gf_bits(double x) {
  int64_t i;
  memcpy(&i, &x, 8);
  return i;
}

GF double gf_number(int64_t i) {
  double x;
  memcpy(&x, &i, 8);
  return x;
}

/* yes or no, both computed: what stands in a ?: may be moved into branches, which make a loop no vector code. */
GF double gf_choose(_Bool test, double yes, double no) {
  const int64_t mask = -(int64_t)test;
  return gf_number((gf_bits(yes) & mask) | (gf_bits(no) & ~mask));
}

/* 2^n for whole n in [-1022, 1023], given as n + GF_ROUNDER. */
GF double gf_pow2(double rounded) { return gf_number((int64_t)(((uint64_t)gf_bits(rounded) + 1023) << 52)); }

GF double gf_abs(double x) { return __builtin_fabs(x); }
GF double gf_sqrt(double x) { return __builtin_sqrt(x); }
GF double gf_signed(double size, double x) { return __builtin_copysign(size, x); }
GF double gf_sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x != x ? x : 0.0; }
GF double gf_maximum(double a, double b) { return ((a > b) | (a != a)) ? a : b; }
GF double gf_minimum(double a, double b) { return ((a < b) | (a != a)) ? a : b; }
GF _Bool gf_isfinite(double x) { return gf_abs(x) < INFINITY; }

/* --- exponentials ------------------------------------------------------------------------------------------------ */

/* exp(r) - 1 - r for |r| <= log(2)/2: r^2/2 + r^3 times (exp(r) - 1 - r - r^2/2)/r^3. */
GF double gf_exp_rest(double r) {
  const double r2 = r * r, r4 = r2 * r2;
  const double c01 = gf_fma(0x1.5555555555555p-5, r, 0x1.5555555555556p-3);
  const double c23 = gf_fma(0x1.6c16c16c167dap-10, r, 0x1.11111111109a6p-7);
  const double c45 = gf_fma(0x1.a01a01a48116fp-16, r, 0x1.a01a01a7cebcdp-13);
  const double c67 = gf_fma(0x1.27e4e1dcf773bp-22, r, 0x1.71de0d85293b8p-19);
  const double c89 = gf_fma(0x1.1f6717774d5e0p-29, r, 0x1.af390ba7e6f47p-26);
  const double low = gf_fma(c23, r2, c01), middle = gf_fma(c67, r2, c45);
  const double c = gf_fma(gf_fma(c89, r4, middle), r4, low);
  return r2 * gf_fma(c, r, 0.5);
}

/* exp(x + low) for |low| < 1e-3. */
GF double gf_exp_sum(double x, double low) {
  const double y = x > 710.0 ? 710.0 : x < -750.0 ? -750.0 : x;
  const double rounded = gf_fma(y, 0x1.71547652b82fep+0, GF_ROUNDER), n = rounded - GF_ROUNDER;
  const double r = gf_fma(-n, GF_LN2_HIGH, y) + gf_fma(-n, GF_LN2_LOW, low);
  const double half = gf_fma(n, 0.5, GF_ROUNDER), other = (n - (half - GF_ROUNDER)) + GF_ROUNDER;
  return (1.0 + (r + gf_exp_rest(r))) * gf_pow2(half) * gf_pow2(other);
}

GF double gf_exp(double x) { return gf_exp_sum(x, 0.0); }

/* (exp(x) - 1)/4 for -60 <= x <= 710.6; the sum keeps what rounds off on the way. */
GF double gf_expm1_quarter(double x) {
  const double rounded = gf_fma(x, 0x1.71547652b82fep+0, GF_ROUNDER), n = rounded - GF_ROUNDER;
  const double high = gf_fma(-n, GF_LN2_HIGH, x), r = gf_fma(-n, GF_LN2_LOW, high);
  const double lost = gf_fma(-n, GF_LN2_LOW, high - r);
  const double rest = gf_exp_rest(r) + lost;
  const double s = gf_pow2((n - 2.0) + GF_ROUNDER), a = s - 0.25, b = s * r;
  const double sum = a + b, b_part = sum - a, off = (a - (sum - b_part)) + (b - b_part);
  return sum + gf_fma(s, rest, off);
}

GF double gf_expm1(double x) {
  const double y = x > 710.0 ? 710.0 : x < -60.0 ? -60.0 : x;
  return gf_abs(x) < 0x1p-54 ? x : 4.0 * gf_expm1_quarter(y);
}

GF double gf_sinh(double x) {
  const double a = gf_abs(x), t = gf_expm1_quarter(a > 710.6 ? 710.6 : a), half = t + t;
  const double size = a > 50.0 ? half : half + half / (2.0 * half + 1.0);
  return a < 0x1p-28 ? x : gf_signed(size, x);
}

GF double gf_cosh(double x) {
  const double a = gf_abs(x), t = gf_expm1_quarter(a > 710.6 ? 710.6 : a), half = (t + t) + 0.5;
  return half + 0.25 / half;
}

GF double gf_tanh(double x) {
  const double a = gf_abs(x), t = gf_expm1_quarter(a > 30.0 ? 60.0 : a + a);
  const double size = t / (t + 0.5);
  return a < 0x1p-28 ? x : gf_signed(size, x);
}

GF double gf_sigmoid(double x) {
  const double e = gf_exp(-gf_abs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}

/* --- logarithms -------------------------------------------------------------------------------------------------- */

/* log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1]: with s = f/(2 + f), z = s^2, it is s (f^2/2 + R) - f^2/2, where
   R = z times (2 atanh(s)/s - 2)/z. */
GF double gf_log_rest(double f) {
  const double s = f / (2.0 + f), z = s * s, z2 = z * z, half = 0.5 * f * f;
  const double c01 = gf_fma(0x1.99999999952b2p-2, z, 0x1.5555555555558p-1);
  const double c23 = gf_fma(0x1.c71c62debf86bp-3, z, 0x1.2492492df6947p-2);
  const double c45 = gf_fma(0x1.39fe208c33457p-3, z, 0x1.7462b69705382p-3);
  const double c = gf_fma(gf_fma(gf_fma(0x1.2b5b5fb2eac92p-3, z2, c45), z2, c23), z2, c01);
  return s * gf_fma(z, c, half) - half;
}

/* The exponent k (whole) and f with x = 2^k (1 + f), for normal x. */
GF double gf_split(double x, double *f) {
  const uint64_t moved = (uint64_t)gf_bits(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
  *f = gf_number((int64_t)((moved & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu)) - 1.0;
  return gf_number((int64_t)((moved >> 52) | 0x4330000000000000u)) - (0x1p52 + 1023.0);
}

GF double gf_log(double x) {
  const _Bool tiny = x < 0x1p-1022;
  double f;
  const double k = gf_split(tiny ? x * 0x1p54 : x, &f) - (tiny ? 54.0 : 0.0);
  const double found = gf_fma(k, GF_LN2_HIGH, f + (gf_log_rest(f) + k * GF_LN2_LOW));
  const double special = x == 0 ? -INFINITY : x < 0 ? NAN : x;
  return ((x > 0) & (x < INFINITY)) ? found : special;
}

GF double gf_log1p(double x) {
  const double u = 1.0 + x;
  double f;
  const double k = gf_split(u, &f);
  const double lost = gf_abs(x) < 1.0 ? x - (u - 1.0) : 1.0 - (u - x);
  const double exact = k == 0 ? x : f, c = k == 0 ? 0.0 : lost / u;
  const double found = gf_fma(k, GF_LN2_HIGH, exact + (gf_log_rest(exact) + gf_fma(k, GF_LN2_LOW, c)));
  const double special = x == -1.0 ? -INFINITY : x < -1.0 ? NAN : x;
  return ((x > -1.0) & (x < INFINITY)) ? (gf_abs(x) < 0x1p-54 ? x : found) : special;
}

GF double gf_asinh(double x) {
  const double a = gf_abs(x), a2 = a * a;
  const _Bool far = a > 0x1p500;
  const double size = gf_log1p(far ? a : a + a2 / (1.0 + gf_sqrt(1.0 + a2))) + (far ? GF_LN2 : 0.0);
  return a < 0x1p-28 ? x : gf_signed(size, x);
}

GF double gf_acosh(double x) {
  const double t = x - 1.0;
  const _Bool far = x > 0x1p500;
  const double found = gf_log1p(far ? x : t + gf_sqrt(t * (x + 1.0))) + (far ? GF_LN2 : 0.0);
  return x < 1.0 ? NAN : found;
}

GF double gf_atanh(double x) {
  const double a = gf_abs(x);
  return a < 0x1p-28 ? x : gf_signed(0.5 * gf_log1p(2.0 * a / (1.0 - a)), x);
}

GF double gf_softplus(double x) { return gf_maximum(x, 0.0) + gf_log1p(gf_exp(-gf_abs(x))); }

/* log(1 - exp(-x)), x > 0: of 1 - e as one number where e is past 1/2, else with what rounds off in 1 - e. */
GF double gf_log1mexp(double x) {
  const double e = gf_exp(-x), w = -gf_expm1(-x);
  const _Bool near = x < GF_LN2;
  const double u = gf_choose(near, w, 1.0 - e);
  const _Bool tiny = u < 0x1p-1022;
  double f;
  const double k = gf_split(tiny ? u * 0x1p54 : u, &f) - (tiny ? 54.0 : 0.0);
  const double exact = k == 0 ? -e : f, c = ((k == 0) | near) ? 0.0 : ((1.0 - u) - e) / u;
  const double found = gf_fma(k, GF_LN2_HIGH, exact + (gf_log_rest(exact) + gf_fma(k, GF_LN2_LOW, c)));
  const double special = x == 0 ? -INFINITY : x > 0 ? 0.0 : NAN;
  return gf_choose((x > 0) & (e > 0), gf_choose(e < 0x1p-54, -e, found), special);
}

/* --- inverse tangent --------------------------------------------------------------------------------------------- */

/* atan(x) for 0 <= x: turned by pi/4 past tan(pi/8), by pi/2 past tan(3 pi/8); (atan(x)/x - 1)/x^2 in x^2 below. */
GF double gf_atan_size(double x) {
  const _Bool beyond = x > 0x1.a827999fcef32p-2, far = x > 0x1.3504f333f9de6p+1;
  const double t = far ? -1.0 / x : beyond ? (x - 1.0) / (x + 1.0) : x;
  const double high = far ? 0x1.921fb54442d18p+0 : beyond ? 0x1.921fb54442d18p-1 : 0.0;
  const double low = far ? 0x1.1a62633145c07p-54 : beyond ? 0x1.1a62633145c07p-55 : 0.0;
  const double z = t * t, z2 = z * z;
  const double c01 = gf_fma(0x1.999999999933dp-3, z, -0x1.5555555555555p-2);
  const double c23 = gf_fma(0x1.c71c7184c32bfp-4, z, -0x1.24924924355d5p-3);
  const double c45 = gf_fma(0x1.3b126143b5cbcp-4, z, -0x1.745d0b153ffadp-4);
  const double c67 = gf_fma(0x1.dfe49b2919c4ep-5, z, -0x1.10fa5ee9ab25cp-4);
  const double c89 = gf_fma(0x1.41495cefb6c73p-5, z, -0x1.a090d1950d2b4p-5);
  const double c4 = gf_fma(gf_fma(-0x1.39f38ad451ea6p-6, z2, c89), z2, c67);
  const double c = gf_fma(gf_fma(gf_fma(c4, z2, c45), z2, c23), z2, c01);
  return high + (t + gf_fma(t * z, c, low));
}

GF double gf_atan(double x) { return gf_signed(gf_atan_size(gf_abs(x)), x); }

/* In (0, pi). */
GF double gf_acot(double x) {
  const double size = gf_atan_size(1.0 / gf_abs(x));
  return x < 0 ? 0x1.921fb54442d18p+1 - size : x != x ? x : size;
}

/* --- error function ---------------------------------------------------------------------------------------------- */

/* erf(x) for |x| <= 3/4: (erf(x)/x - 2/sqrt(pi))/x^2 in x^2. */
GF double gf_erf_near(double x) {
  const double z = x * x, z2 = z * z;
  const double c01 = gf_fma(0x1.ce2f21a042b47p-4, z, -0x1.812746b0379e7p-2);
  const double c23 = gf_fma(0x1.565bcd0b403f2p-8, z, -0x1.b82ce3127fd13p-6);
  const double c45 = gf_fma(0x1.f9a2e9eafa60bp-14, z, -0x1.c02db2db0b4dbp-11);
  const double c67 = gf_fma(0x1.b949d82dc34a6p-20, z, -0x1.f4ca99aa51059p-17);
  const double c89 = gf_fma(0x1.936ec84fa3e05p-27, z, -0x1.57e590b1fa172p-23);
  const double c = gf_fma(gf_fma(gf_fma(gf_fma(c89, z2, c67), z2, c45), z2, c23), z2, c01);
  return gf_fma(x, 0x1.20dd750429b6dp+0, x * gf_fma(z, c, 0x1.1ae3a914fed80p-56));
}

/* exp(x^2) erfc(x) for x >= 3/4: times 1 + 2x it is nearly level in t = (x - 3)/(x + 3). */
GF double gf_erfcx(double x) {
  const double t = x < INFINITY ? (x - 3.0) / (x + 3.0) : 1.0, t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
  const double c0 = gf_fma(gf_fma(0x1.098366a5b446cp-3, t, -0x1.85a15c58aa69bp-5), t2,
                            gf_fma(-0x1.15c084bb9e8efp-3, t, 0x1.40c522d7e4987p+0));
  const double c4 = gf_fma(gf_fma(0x1.4b884e299cbfcp-9, t, -0x1.8574c40cd6b9ap-6), t2,
                            gf_fma(0x1.17ca2877fcf6ep-4, t, -0x1.e88b803a472aap-4));
  const double c8 = gf_fma(gf_fma(0x1.0659fcaa95644p-13, t, -0x1.b9131fd1934edp-14), t2,
                            gf_fma(-0x1.98db4d6edab10p-11, t, 0x1.ef1bde5eb19f4p-10));
  const double c12 = gf_fma(gf_fma(0x1.d2f7a934c9058p-19, t, -0x1.8fa8d7b346f3dp-21), t2,
                             gf_fma(-0x1.513b4b0f45f9dp-16, t, 0x1.4c64ecd8d6ba5p-18));
  const double c16 = gf_fma(gf_fma(0x1.3d4ba89d61f5cp-23, t, -0x1.67292756cfb82p-23), t2,
                             gf_fma(-0x1.59a5625328866p-21, t, 0x1.9bf537c4b0d41p-22));
  const double c20 = gf_fma(0x1.110fa6e8ea41dp-27, t2, gf_fma(-0x1.6c4855fbc0aadp-25, t, 0x1.565fc45debcc5p-25));
  const double high = gf_fma(c20, t4, c16);
  const double level = gf_fma(gf_fma(high, t8, gf_fma(c12, t4, c8)), t8, gf_fma(c4, t4, c0));
  return 0.5 * level / (0.5 + x);
}

/* exp(-x^2) for 0 <= x: x^2 is split in two, the first exact. */
GF double gf_exp_minus_square(double x) {
  const double y = x > 30.0 ? 30.0 : x;
  const double head = gf_number(gf_bits(y) & (int64_t)0xffffffffc0000000u);
  return gf_exp_sum(-(head * head), (head - y) * (head + y));
}

GF double gf_erfc(double x) {
  const double right = x > 0.75 ? x : 0.75, near = 1.0 - gf_erf_near(gf_abs(x) < 0.75 ? x : 0.75);
  const double left = x < -0.75 ? -x : 0.75, side = x < -0.75 ? left : right;
  const double tail = gf_exp_minus_square(side) * gf_erfcx(side);
  return gf_choose(x < -0.75, 2.0 - tail, gf_choose(x < 0.75, near, gf_choose(x != x, x, tail)));
}

GF double gf_erf(double x) {
  const double a = gf_abs(x), side = a > 0.75 ? a : 0.75;
  const double far = 1.0 - gf_exp_minus_square(side) * gf_erfcx(side);
  return gf_choose(a < 0.75, gf_erf_near(x), gf_choose(x != x, x, gf_signed(far, x)));
}

GF double gf_log_erfc(double x) {
  const double side = x > 0.75 ? x : 0.75, tail = gf_log(gf_erfcx(side)) - side * side;
  return gf_choose(x < 0.75, gf_log1p(-gf_erf(x)), gf_choose(x != x, x, tail));
}

/* log(exp(x^2) erfc(x)): the composite would ask for erfcx from 1/2 on. */
GF double gf_log_erfcx(double x) {
  const double tail = gf_log(gf_erfcx(x > 0.75 ? x : 0.75));
  return gf_choose(x < 0.75, gf_log1p(-gf_erf(x)) + x * x, gf_choose(x != x, x, tail));
}

/* --- powers; and what is left to the C library, one number at a time ---------------------------------------------- */

GF double gf_power(double x, double y) { return x < 0 ? NAN : ((x != x) | (y != y)) ? NAN : pow(x, y); }
GF double gf_sin(double x) { return sin(x); }
GF double gf_cos(double x) { return cos(x); }
GF double gf_tan(double x) { return tan(x); }

#endif
