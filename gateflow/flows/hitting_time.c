/* Hitting times of the absolute loss, one problem after another: the panels of gateflow/flows/time.py and panels.py.
 *
 * Printed before this text (gateflow/flows/compiled.py): vectormath.h, the rule's nodes and weights (X01, EVEN, ODD), and
 * the gate. A gate with a closed inverse gives gate_u, gate_log_du, gate_log_weight, and the weight as gate_weight times
 * exp(gate_log_rest), and BY_DECAY is 1: nodes lie in log h and in h. Another gives gate_both (u and log u' at once), and
 * BY_DECAY is 0: panels end at positions z, and their nodes lie evenly in z, or in asinh z where the panel is wide.
 *
 * Problems out of the ordinary are left to NumPy, which then does everything anew: the kernel only marks them.
 *
 * The lanes of the vector code are the nodes of a panel, or a block of problems where these are prepared. No sum runs
 * over lanes in an order that depends on their number, so the bits of a result depend neither on the width of the
 * vectors nor on the problems beside it.
 */

#define NODES 16
#define EPS 0x1p-52
#define CUT 0x1.62e42fefa39efp-1 /* log h below which nodes lie in log h, above which in h */
#define NEGLIGIBLE 40.0
#define TOLERANCE 5e-16
#define DEEPEST (BY_DECAY ? 70 : 1100)
#define MOST_PANELS 4096
#define MOST_EDGES (BY_DECAY ? 64 : 256)
#define AMPLIFIED 8.0 /* by how much rounding at the nodes may grow on the way to an edge */
#define FARTHEST 700.0 /* what log of the density is taken to change by from the outermost node to the edge, at most */
#define WIDE 64.0 /* below it a density that changes by a factor e a unit shows at the nodes */
#define MOST_OPEN (2 * MOST_EDGES + 64)
#define NARROW 0.25 /* width, in units of 1 + |z|, up to which nodes lie evenly in z */
#define BLOCK 32

typedef struct {
  const double *mark_sp;   /* softplus(-u) at logit profiles where panels end, ascending */
  const double *mark_lsp;  /* its logarithm */
  const double *mark_z;    /* positions where panels end, ascending */
  const double *lost_at;   /* where digits of the formula were counted: in u or in z, ascending */
  const double *lost;      /* the digits lost there, of log of the density */
  const double *lost_u;    /* and of the profile */
  const double *inverse;   /* asinh z at even steps of asinh u */
  const double *flat;      /* logit profiles that no flow crosses */
  const double *kink;      /* positions at which the formula changes branch: its value there is of one side */
  double first, step;      /* of the inverse */
  double lowest, highest;  /* limits of the logit profile */
  long marks, counted, steps, flats, kinks;
} Gate;

typedef struct {
  double horizon, over, log_horizon; /* T, 1/T, log T */
  double best;                       /* log of the scale in which the integral is held */
} Problem;

typedef struct {
  double a, b, size; /* its ends, and about the size of the logarithms on it */
  int depth, plain;
  double value, error, lost;
  double at_a, at_b; /* the density at the ends; nan where it is not known */
} Panel;

/* Compiled once each: what stands inline in every place where it is used takes the compiler most of its time. */
#define ONCE static __attribute__((noinline, unused))

ONCE double one_exp(double x) { return gf_exp(x); }
ONCE double one_log(double x) { return gf_log(x); }
ONCE double one_sinh(double x) { return gf_sinh(x); }
ONCE double one_cosh(double x) { return gf_cosh(x); }
ONCE double one_asinh(double x) { return gf_asinh(x); }

/* log(log(1 + exp(t))) */
GF double log_softplus(double t) { return gf_choose(t < -40.0, t, gf_log(gf_softplus(t))); }

/* log(1 - exp(-y)), from y and its logarithm */
GF double log_saturation(double y, double log_y) {
  return gf_choose(y > 0x1p-1022, gf_log(-gf_expm1(-y)), log_y);
}

GF double profile_of_decay(double y, double log_y) { return -y - log_saturation(y, log_y); }

/* --- the density at many places: |dtau/dv|, and where the formula's digits are counted ------------------------ */

#define MOST_NODES (2 * MOST_EDGES * NODES)

typedef struct {
  double v[MOST_NODES];           /* the places, sixteen of a kind together */
  char plain[2 * MOST_EDGES];     /* whether sixteen are in h, or in log h */
  double values[MOST_NODES];      /* what is asked for */
  double place[MOST_NODES];       /* the profile there, or the position */
  double one[MOST_NODES], two[MOST_NODES], three[MOST_NODES], rate[MOST_NODES];
} Nodes;

/* One step at a time for all nodes: a processor does many short loops in parallel, but must wait in a long one. */
#define EACH(n) for (int block = 0; block < (n); block += NODES) for (int i = block; i < block + NODES; i++)

#if BY_DECAY

/* h, log h and log(1 - exp(-h/T)), and the profile. */
ONCE void profiles(const Problem *p, Nodes *at, int n) {
  const double over = p->over, log_horizon = p->log_horizon;
  double *h = at->one, *rest = at->two, *log_h = at->three;
  for (int block = 0; block < n; block += NODES)
    if (at->plain[block / NODES])
      for (int i = block; i < block + NODES; i++) {
        h[i] = at->v[i];
        log_h[i] = 0.0; /* h is not small */
      }
    else
      for (int i = block; i < block + NODES; i++) {
        h[i] = gf_exp(at->v[i]);
        log_h[i] = at->v[i];
      }
  EACH(n) rest[i] = -gf_expm1(-(h[i] * over));
  EACH(n) rest[i] = gf_choose(h[i] * over > 0x1p-1022, gf_log(rest[i]), log_h[i] - log_horizon);
  EACH(n) at->place[i] = -(h[i] * over) - rest[i];
}

ONCE void log_densities(const Problem *p, Nodes *at, int n) {
  const double log_horizon = p->log_horizon, *h = at->one, *rest = at->two, *log_h = at->three;
  profiles(p, at, n);
  EACH(n) at->values[i] = gate_log_weight(at->place[i]);
  EACH(n) at->values[i] += (h[i] - 2.0 * (log_horizon + rest[i])) + log_h[i];
}

/* The density itself, in units of exp(best). */
ONCE void densities(const Problem *p, Nodes *at, int n) {
  const double log_horizon = p->log_horizon, best = p->best, *h = at->one, *rest = at->two, *log_h = at->three;
  profiles(p, at, n);
  EACH(n) at->values[i] = (h[i] - 2.0 * (log_horizon + rest[i])) + log_h[i];
  EACH(n) at->values[i] += gate_log_rest(at->place[i]) - best;
  EACH(n) at->values[i] = gf_exp(at->values[i]) * gate_weight(at->place[i]);
}

#else

/* The profile at n places, a multiple of sixteen, and the logarithm of its slope. */
ONCE void gates(const double *restrict z, double *restrict u, double *restrict log_du, int n) {
  EACH(n) gate_both(z[i], &u[i], &log_du[i]);
}

ONCE void log_densities(const Problem *p, Nodes *at, int n) {
  const double horizon = p->horizon, log_horizon = p->log_horizon;
  double *u = at->one, *log_du = at->two, *rest = at->three;
  EACH(n) at->place[i] = at->v[i];
  gates(at->place, u, log_du, n);
  EACH(n) rest[i] = gf_exp(-gf_abs(u[i]));
  EACH(n) rest[i] = gf_log1p(rest[i]);
  EACH(n) {
    const double left = gf_maximum(-u[i], 0.0) + rest[i], right = gf_maximum(u[i], 0.0) + rest[i];
    at->values[i] = (horizon * left - (log_horizon - right)) - log_du[i];
  }
}

/* The density itself, in units of exp(best), per unit of the panel's own [0, 1]. */
ONCE void densities(const Problem *p, Nodes *at, int n) {
  const double best = p->best;
  log_densities(p, at, n);
  EACH(n) at->values[i] = gf_exp(at->values[i] - best) * at->rate[i];
}

/* Whether the nodes of a panel lie evenly in z. */
static int is_narrow(double a, double b) {
  const double one = gf_abs(a), two = gf_abs(b);
  return gf_abs(b - a) <= NARROW * (1.0 + (one < two ? one : two));
}

/* |dz/dx| at the edges of a panel. */
ONCE void edge_rates(double a, double b, double *at_a, double *at_b) {
  *at_a = *at_b = gf_abs(b - a);
  if (is_narrow(a, b)) return;
  const double start = one_asinh(a), end = one_asinh(b);
  *at_a = one_cosh(start) * gf_abs(end - start);
  *at_b = one_cosh(end) * gf_abs(end - start);
}

/* Nodes of a panel, never on an edge if there is a float between them, and dz/dx for x in [0, 1]. */
static void spread(double a, double b, double *z, double *rate) {
  if (is_narrow(a, b)) {
    const double width = b - a;
    for (int i = 0; i < NODES; i++) {
      z[i] = a + width * X01[i];
      rate[i] = gf_abs(width);
    }
  } else {
    const double start = one_asinh(a), length = one_asinh(b) - start;
    for (int i = 0; i < NODES; i++) {
      const double v = start + length * X01[i];
      z[i] = gf_sinh(v);
      rate[i] = gf_cosh(v) * gf_abs(length);
    }
  }
  const double size = gf_maximum(gf_abs(a), gf_abs(b));
  if (gf_abs(b - a) > 0x1p-40 * size) return; /* the outermost nodes are far from the edges, in spacings of floats */
  double low = nextafter(a, b), high = nextafter(b, a);
  if ((low > high) == (a < b)) low = high = a < b ? a : b; /* of neighbouring floats, that below a kink */
  const double least = low < high ? low : high, most = low < high ? high : low;
  for (int i = 0; i < NODES; i++) z[i] = z[i] < least ? least : z[i] > most ? most : z[i];
}

#endif

/* --- one panel --------------------------------------------------------------------------------------------------- */

static double greatest(const double *x) {
  double m[4];
  for (int i = 0; i < 4; i++) m[i] = x[i] > x[i + 4] ? x[i] : x[i + 4];
  const double a = m[0] > m[2] ? m[0] : m[2], b = m[1] > m[3] ? m[1] : m[3];
  return a > b ? a : b;
}

/* The digits a formula loses near a place, from those lost at the places where they were counted. */
ONCE double digits_lost(const Gate *g, const double *lost, double place) {
  if (!g->counted || place != place) return 0.0;
  if (place <= g->lost_at[0]) return lost[0];
  if (place >= g->lost_at[g->counted - 1]) return lost[g->counted - 1];
  long low = 0, high = g->counted - 1;
  while (high - low > 1) {
    const long half = (low + high) / 2;
    if (g->lost_at[half] <= place) low = half;
    else high = half;
  }
  const double part = (place - g->lost_at[low]) / (g->lost_at[high] - g->lost_at[low]);
  return lost[low] + part * (lost[high] - lost[low]);
}

/* What may lie between an edge and the outermost node, where the density at the edge is not what the polynomial says:
   about the difference times the distance, or times that over which it falls by a factor e, if that is less. */
ONCE double hidden(double edge, double node, double said, double noise, double apart) {
  const double off = gf_abs(edge - said) - AMPLIFIED * noise;
  if (!(off > 0.0) || !(edge < INFINITY)) return 0.0;
  double changes = gf_abs(one_log(edge / node));
  changes = changes > 1.0 ? changes : 1.0;
  return apart * off / (changes < FARTHEST ? changes : FARTHEST);
}

/* Fills in the integral over each panel in units of exp(best), and its error. What the rule gets wrong begins at degree
   32; the Legendre coefficients are taken to fall from 15 to there by the factor by which they fell from 7 to 15, at
   least. */
ONCE void evaluate(const Gate *g, const Problem *p, Nodes *at, Panel *panels, int count) {
  const int n = count * NODES;
  const double *f = at->values;
  for (int k = 0; k < count; k++) {
    at->plain[k] = panels[k].plain;
#if BY_DECAY
    const double a = panels[k].a, width = panels[k].b - a;
    for (int i = 0; i < NODES; i++) at->v[NODES * k + i] = a + width * X01[i];
#else
    spread(panels[k].a, panels[k].b, &at->v[NODES * k], &at->rate[NODES * k]);
#endif
  }
  densities(p, at, n);
  for (int k = 0; k < count; k++, f += NODES) {
    Panel *panel = &panels[k];
#if BY_DECAY
    const double width = panel->b - panel->a;
#else
    const double width = 1.0;
#endif
    double even[8], odd[8], sums[8] = {0.0};
    for (int i = 0; i < 8; i++) {
      even[i] = f[i] + f[15 - i];
      odd[i] = f[15 - i] - f[i];
    }
    for (int i = 0; i < 8; i++)
      for (int m = 0; m < 8; m++) sums[m] += even[i] * EVEN[i][m] + odd[i] * ODD[i][m];
    const double top = greatest(even);
    const double noise = EPS * (4.0 + 2.0 * panel->size) * top;
    const double early = gf_maximum(gf_maximum(gf_abs(sums[1]), gf_abs(sums[2])) - noise, 0.0);
    const double late = gf_maximum(gf_maximum(gf_abs(sums[3]), gf_abs(sums[4])) - noise, 0.0);
    panel->value = width * sums[0];
    panel->error = early > late ? width * late * (late / early) : width * late;
    /* a density may rise or dip between an edge and the outermost node only */
    const double *v = &at->v[NODES * k];
#if BY_DECAY
    const double rate_a = 1.0, rate_b = 1.0, first = 1.0, last = 1.0;
#else
    double rate_a, rate_b;
    edge_rates(panel->a, panel->b, &rate_a, &rate_b);
    const double first = at->rate[NODES * k], last = at->rate[NODES * k + NODES - 1];
#endif
    const double below = gf_abs(v[0] - panel->a) / first, above = gf_abs(panel->b - v[NODES - 1]) / last;
    panel->error += hidden(panel->at_a * rate_a, f[0], sums[5] - sums[6], noise, below);
    panel->error += hidden(panel->at_b * rate_b, f[NODES - 1], sums[5] + sums[6], noise, above);
    panel->lost = digits_lost(g, g->lost, 0.5 * (at->place[NODES * k + 7] + at->place[NODES * k + 8]));
  }
}

/* --- one problem ------------------------------------------------------------------------------------------------- */

typedef struct {
  double edges[MOST_EDGES + NODES];
  int count, plain;
} Grid;

/* Edges from bottom to top through those of two ascending lists that lie between; whether there is room for all. */
ONCE int merge(Grid *grid, double bottom, double top, const double *one, long m, const double *two, long n) {
  double *edges = grid->edges;
  int count = 1;
  edges[0] = bottom;
  while (m > 0 && *one <= bottom) one++, m--;
  while (n > 0 && *two <= bottom) two++, n--;
  while (count < MOST_EDGES - 1) {
    const double a = m > 0 ? *one : INFINITY, b = n > 0 ? *two : INFINITY, next = a < b ? a : b;
    if (!(next < top)) break;
    if (a <= b) one++, m--;
    else two++, n--;
    if (next > edges[count - 1]) edges[count++] = next;
  }
  const int whole = !((m > 0 && *one < top) || (n > 0 && *two < top));
  if (top > edges[count - 1]) edges[count++] = top;
  grid->count = count;
  return whole;
}

static int is_kink(const Gate *g, double z) {
  for (long i = 0; i < g->kinks; i++)
    if (g->kink[i] == z) return 1;
  return 0;
}

/* The density in units of exp(best); nan where it is infinite. */
static double at_edge(double log_density, double best) {
  return log_density < INFINITY ? one_exp(gf_minimum(log_density - best, 690.0)) : NAN;
}

/* The panels of the grids that can matter, evaluated; sets the scale. */
static int first_panels(const Gate *g, Problem *p, Nodes *at, const Grid *grids, int number, Panel *panels) {
  double scales[2 * MOST_EDGES + NODES], best = -INFINITY;
  const double *values = at->values;
  int n = 0, found = 0;
  for (int k = 0; k < number; k++) {
    const int last = grids[k].count - 1;
    const double *edges = grids[k].edges;
    for (int start = 0; start <= last; start += NODES, n += NODES) {
      at->plain[n / NODES] = (char)grids[k].plain;
      for (int i = 0; i < NODES; i++) {
        at->v[n + i] = edges[start + i < last ? start + i : last];
        scales[n + i] = start + i < last ? edges[start + i + 1] - edges[start + i] : 1.0;
      }
    }
  }
  log_densities(p, at, n);
  EACH(n) scales[i] = gf_log(scales[i]);
  for (int k = 0, first = 0; k < number; first += (grids[k++].count + NODES - 1) / NODES * NODES)
    for (int i = first; i < first + grids[k].count - 1; i++) {
      const double sure = (values[i] < values[i + 1] ? values[i] : values[i + 1]) + scales[i];
      best = sure > best ? sure : best;
    }
  p->best = best;
  if (!(gf_abs(best) < INFINITY)) return 0;
  for (int k = 0, first = 0; k < number; first += (grids[k++].count + NODES - 1) / NODES * NODES)
    for (int i = 0; i < grids[k].count - 1; i++) {
      const double high = gf_maximum(values[first + i], values[first + i + 1]);
      const double low = gf_minimum(values[first + i], values[first + i + 1]);
      if (high + scales[first + i] < best - NEGLIGIBLE) continue;
      panels[found++] = (Panel){grids[k].edges[i], grids[k].edges[i + 1], gf_abs(high < INFINITY ? high : low), 0, grids[k].plain, 0, 0, 0, NAN, NAN};
      Panel *panel = &panels[found - 1];
      if (BY_DECAY && panel->b - panel->a < WIDE) continue;
      panel->at_a = is_kink(g, panel->a) ? NAN : at_edge(values[first + i], best);
      panel->at_b = is_kink(g, panel->b) ? NAN : at_edge(values[first + i + 1], best);
    }
  evaluate(g, p, at, panels, found);
  return found;
}

/* The integral in units of exp(best), or nan where it is left to others; its error, relative; adds to the evaluations
   spent. */
static double integrate(const Gate *g, Problem *p, const Grid *grids, int number, double *error, int64_t *spent) {
  Nodes nodes;
  Panel stack[MOST_OPEN];
  int open = first_panels(g, p, &nodes, grids, number, stack), evaluated = open;
  double estimate = 0.0, sum = 0.0, off = 0.0, lost = 0.0;
  for (int i = 0; i < open; i++) estimate += stack[i].value;
  while (open) {
    Panel panel = stack[--open];
#if BY_DECAY
    const double middle = panel.a + (panel.b - panel.a) / 2;
#else
    double middle = panel.a + (panel.b - panel.a) / 2;
    if (!is_narrow(panel.a, panel.b)) middle = one_sinh(0.5 * one_asinh(panel.a) + 0.5 * one_asinh(panel.b));
#endif
    if (panel.error > TOLERANCE * estimate && panel.depth < DEEPEST && middle > panel.a && middle < panel.b) {
      if (open + 2 > MOST_OPEN) return NAN;
      Panel *half = &stack[open];
      open += 2;
      half[0] = half[1] = panel;
      half[0].b = half[1].a = middle;
      half[0].at_b = half[1].at_a = NAN;
      half[0].depth = half[1].depth = panel.depth + 1;
      evaluate(g, p, &nodes, half, 2);
      estimate += half[0].value + half[1].value - panel.value;
      evaluated += 2;
      if (evaluated > MOST_PANELS) return NAN;
    } else {
      sum += panel.value;
      off += panel.error;
      lost += panel.lost * panel.value;
    }
  }
  for (int k = 0; k < number; k++) *spent += grids[k].count;
  *spent += (int64_t)NODES * evaluated;
  *error = (off + 2.0 * lost) / sum;
  return sum;
}

/* Panel edges from either end, in units of the density's own scale. */
#define OFFSETS_HERE 4
static const double OFFSETS[OFFSETS_HERE] = {3.5, 10.0, 22.0, 42.0};

static double unit(double end) { return gf_maximum(1.0, 4.0 * EPS * gf_abs(end)); }

#if BY_DECAY

static int decay_grids(const Gate *g, const Problem *p, double h_low, double log_low, double h_high, double log_high,
                       Grid *grids) {
  double marks[MOST_EDGES], own[OFFSETS_HERE];
  int number = 0;
  if (log_low < CUT) {
    for (long i = 0; i < g->marks; i++) marks[i] = p->log_horizon + g->mark_lsp[i];
    for (int i = 0; i < OFFSETS_HERE; i++) own[i] = log_low + OFFSETS[i] * unit(log_low);
    grids[number].plain = 0;
    merge(&grids[number++], log_low, log_high < CUT ? log_high : CUT, own, OFFSETS_HERE, marks, g->marks);
  }
  if (log_high > CUT) {
    for (long i = 0; i < g->marks; i++) marks[i] = p->horizon * g->mark_sp[i];
    for (int i = 0; i < OFFSETS_HERE; i++) own[OFFSETS_HERE - 1 - i] = h_high - OFFSETS[i] * unit(h_high);
    grids[number].plain = 1;
    merge(&grids[number++], log_low < CUT ? 2.0 : h_low, h_high, own, OFFSETS_HERE, marks, g->marks);
  }
  return number;
}

#else

/* asinh z where the logit profile is about u, from asinh u: a panel edge need not be exact. */
ONCE double about(const Gate *g, double asinh_u) {
  const double at = (asinh_u - g->first) / g->step;
  if (!(at > 0)) return g->inverse[0];
  if (!(at < (double)(g->steps - 1))) return g->inverse[g->steps - 1];
  const long k = (long)at;
  return g->inverse[k] + (at - (double)k) * (g->inverse[k + 1] - g->inverse[k]);
}

/* The same edges as positions: z falls as h grows. No grid where there is no room for all edges. */
static int position_grid(const Gate *g, const Problem *p, double log_low, double h_high, double log_high, double z_low,
                         double z_high, Grid *grid) {
  double decay[NODES], own[NODES];
  for (int i = 0; i < NODES; i++) decay[i] = log_high;
  const int last = 2 * OFFSETS_HERE - 1;
  for (int i = 0; i < OFFSETS_HERE; i++) {
    const double below = log_low + OFFSETS[i] * unit(log_low);
    decay[last - i] = below < CUT && below < log_high ? below : log_low;
    own[i] = gf_maximum(h_high - OFFSETS[i] * unit(h_high), 1.0);
  }
  for (int i = 0; i < OFFSETS_HERE; i++) decay[i] = own[i] > 2.0 ? one_log(own[i]) : log_high;
  for (int i = 0; i < NODES; i++)
    own[i] = gf_asinh(profile_of_decay(gf_exp(decay[i]) * p->over, decay[i] - p->log_horizon));
  for (int i = 0; i < NODES; i++) own[i] = gf_sinh(about(g, own[i]));
  for (int i = 1; i <= last; i++)
    for (int k = i; k > 0 && own[k] < own[k - 1]; k--) {
      const double held = own[k];
      own[k] = own[k - 1];
      own[k - 1] = held;
    }
  grid->plain = 0;
  return merge(grid, z_high, z_low, own, last + 1, g->mark_z, g->marks);
}

/* z with u(z) = u for a block of problems; nan where the bracket from the table does not hold. */
static void invert(const Gate *g, const double *u, double *z) {
  double low[BLOCK], high[BLOCK], at[BLOCK], asinh_u[BLOCK];
  int still[BLOCK];
  for (int i = 0; i < BLOCK; i++) asinh_u[i] = gf_asinh(u[i]);
  for (int i = 0; i < BLOCK; i++) {
    const double place = (asinh_u[i] - g->first) / g->step;
    const int inside = place >= 1 && place < (double)(g->steps - 3);
    const long k = inside ? (long)place : 1;
    low[i] = g->inverse[k - 1];
    high[i] = g->inverse[k + 2];
    at[i] = about(g, asinh_u[i]);
    still[i] = inside;
  }
  for (int i = 0; i < BLOCK; i++) {
    at[i] = gf_sinh(at[i]);
    low[i] = gf_sinh(low[i]);
    high[i] = gf_sinh(high[i]);
  }
  double below[BLOCK], above[BLOCK], log_du[BLOCK];
  gates(low, below, log_du, BLOCK);
  gates(high, above, log_du, BLOCK);
  for (int i = 0; i < BLOCK; i++) still[i] &= (below[i] <= u[i]) & (above[i] >= u[i]);
  for (int i = 0; i < BLOCK; i++) z[i] = still[i] ? at[i] : NAN;
  int any = 1;
  for (int round = 0; any && round < 64; round++) {
    double next[BLOCK], here[BLOCK];
    gates(at, here, log_du, BLOCK);
    for (int i = 0; i < BLOCK; i++) {
      const double off = here[i] - u[i];
      low[i] = gf_choose(off <= 0, at[i], low[i]);
      high[i] = gf_choose(off >= 0, at[i], high[i]);
      const double newton = at[i] - off * gf_exp(-log_du[i]);
      const _Bool held = (newton >= low[i]) & (newton <= high[i]);
      next[i] = gf_choose(held, newton, 0.5 * low[i] + 0.5 * high[i]);
    }
    any = 0;
    for (int i = 0; i < BLOCK; i++) {
      if (!still[i]) continue;
      still[i] = gf_abs(next[i] - at[i]) > EPS * gf_abs(at[i]) && low[i] < high[i];
      if (still[i]) at[i] = next[i];
      any |= still[i];
      z[i] = at[i];
    }
  }
}

#endif

/* --- all problems ------------------------------------------------------------------------------------------------ */

/* Whether a flow between these profiles meets a point it cannot pass. */
static int is_blocked(const Gate *g, double one, double two) {
  const double low = one < two ? one : two, high = one < two ? two : one;
  for (long i = 0; i < g->flats; i++)
    if (g->flat[i] >= low && g->flat[i] <= high) return 1;
  return 0;
}

/* log tau, its relative error and the evaluations spent on it, of n problems; log tau is nan where NumPy must do it. */
void hitting_times(const Gate *g, long n, const double *horizon, const double *h_stop, const double *log_h_stop,
                   const double *z0, const double *scale, double *log_tau, double *error, int64_t *evaluations) {
  for (long start = 0; start < n; start += BLOCK) {
    double log_T[BLOCK], T[BLOCK], u0[BLOCK], h0[BLOCK], log_h0[BLOCK], h1[BLOCK], log_h1[BLOCK], u1[BLOCK], z[BLOCK];
    double slope[BLOCK], end_slope[BLOCK], z1[BLOCK], log_scale[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
      const long at = start + i < n ? start + i : n - 1;
      T[i] = horizon[at];
      h1[i] = h_stop[at];
      log_h1[i] = log_h_stop[at];
      z[i] = z0[at];
      log_scale[i] = scale[at];
    }
    for (int i = 0; i < BLOCK; i++) {
      log_T[i] = gf_log(T[i]);
      log_scale[i] = gf_log(log_scale[i]);
      u1[i] = profile_of_decay(h1[i] / T[i], log_h1[i] - log_T[i]);
    }
#if BY_DECAY
    for (int i = 0; i < BLOCK; i++) {
      u0[i] = gate_u(z[i]);
      slope[i] = gate_log_du(z[i]);
      end_slope[i] = gate_log_weight(u1[i]);
      z1[i] = 0.0;
    }
#else
    invert(g, u1, z1);
    double unused[BLOCK];
    gates(z, u0, slope, BLOCK);
    gates(z1, unused, end_slope, BLOCK);
    for (int i = 0; i < BLOCK; i++) end_slope[i] *= -2.0;
#endif
    for (int i = 0; i < BLOCK; i++) {
      h0[i] = T[i] * gf_softplus(-u0[i]);
      log_h0[i] = log_T[i] + log_softplus(-u0[i]);
    }
    double best[BLOCK], sum[BLOCK], relative[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
      best[i] = sum[i] = relative[i] = NAN;
      if (start + i >= n) continue;
      evaluations[start + i] = 1;
      if (!(gf_isfinite(u0[i]) && gf_isfinite(u1[i]) && h0[i] < INFINITY && gf_isfinite(log_h1[i]) && z1[i] == z1[i]))
        continue;
      if (!(gf_abs(u0[i] - u1[i]) > 1e-12 * (1.0 + gf_abs(u1[i])) && u1[i] > g->lowest && u1[i] < g->highest)) continue;
      if (is_blocked(g, u0[i], u1[i])) continue;
      const int upward = log_h0[i] > log_h1[i];
      Problem p = {T[i], 1.0 / T[i], log_T[i], 0.0};
      Grid grids[2];
      const double h_high = upward ? h0[i] : h1[i], log_low = upward ? log_h1[i] : log_h0[i];
      const double log_high = upward ? log_h0[i] : log_h1[i];
#if BY_DECAY
      const int number = decay_grids(g, &p, upward ? h1[i] : h0[i], log_low, h_high, log_high, grids);
#else
      const double z_low = upward ? z1[i] : z[i], z_high = upward ? z[i] : z1[i];
      const int number = position_grid(g, &p, log_low, h_high, log_high, z_low, z_high, grids);
      if (!number) continue;
#endif
      sum[i] = integrate(g, &p, grids, number, &relative[i], &evaluations[start + i]);
      best[i] = p.best;
    }
    /* what rounding of the start and of the target does: by dtau/dlog h / tau at either end */
    double found[BLOCK], all[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
      const double total = best[i] + gf_log(sum[i]);
      const double q0 = log_T[i] - gf_softplus(u0[i]), q1 = log_T[i] - gf_softplus(u1[i]);
      const double at_start = log_h0[i] + h0[i] - 2.0 * (q0 + slope[i]) - total;
      const double at_end = log_h1[i] + h1[i] - 2.0 * q1 + end_slope[i] - total;
      const double steep = gf_minimum(1.0, h0[i] > 0 ? gf_exp(q0) / h0[i] : 1.0);
      double moved = EPS * steep * gf_abs(z[i]) * gf_exp(gf_minimum(slope[i], 700.0));
      double end_moved = EPS * (2.0 + gf_abs(log_h1[i]));
#if BY_DECAY
      moved += steep * (EPS * gf_abs(u0[i]) + digits_lost(g, g->lost_u, u0[i])) + EPS * (1.0 + gf_abs(log_T[i]));
#else
      const double steepness = gf_exp(gf_minimum(-0.5 * end_slope[i], 700.0));
      const double off = EPS * gf_abs(z1[i]) * steepness + digits_lost(g, g->lost_u, z1[i]);
      end_moved += off / (1.0 + gf_maximum(-u1[i], 0.0));
#endif
      const double ends = gf_exp(at_start) * moved + gf_exp(at_end) * end_moved;
      const double far = gf_maximum(gf_abs(u0[i]), gf_abs(u1[i]));
      found[i] = total - log_scale[i];
      all[i] = relative[i] + (ends == ends ? ends : 0.0) + EPS * (2.0 * gf_abs(found[i]) + far + 16.0);
    }
    for (int i = 0; i < BLOCK && start + i < n; i++) {
      const int fine = gf_isfinite(found[i]) && all[i] < 1.0;
      log_tau[start + i] = fine ? found[i] : NAN;
      error[start + i] = fine ? all[i] : NAN;
    }
  }
}
