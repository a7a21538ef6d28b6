/* SPDX-License-Identifier: Apache-2.0 */
/* The attention contract: the one public header of attest.
 *
 *   s_ij = scale * q_i . k_j      o_i = sum_j softmax_j(s_ij) v_j      LSE_i = ln sum_j exp(s_ij)
 *
 * A kernel states what it can do in an `att_kernel`; the host states one call in an `att_problem`.
 * Order of operations: scale, softcap c*tanh(s/c), ALiBi, additive bias, selection of the allowed
 * keys, softmax (+ sink in the denominator), times V.  A key is allowed when causal AND window AND
 * mask AND bias != -inf AND j < length AND block mask; a key that is not allowed never affects the
 * result, even when it holds NaN or Inf.  A row with no allowed key gives out = +0, LSE = -inf.
 * A problem that contradicts itself, in its fields or in the contents of lengths, cumulative
 * lengths or block table, is answered with INVALID (or UNSUPPORTED) before one byte of the outputs
 * is written.
 *
 * Plain C11, usable from C++.  Kernels never exit, print, longjmp or install signal handlers. */
#ifndef ATT_ATTN_H
#define ATT_ATTN_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATT_ABI_MAJOR 0u
#define ATT_ABI_MINOR 2u
/* Major in the upper 16 bits, minor in the lower.  A minor version only appends fields. */
#define ATT_ABI ((ATT_ABI_MAJOR << 16) | ATT_ABI_MINOR)

typedef enum att_status {
    ATT_OK = 0,
    ATT_UNSUPPORTED, /* the kernel says it can't do this; a hole in coverage, never a pass */
    ATT_INVALID,     /* the caller's arguments contradict each other */
    ATT_NO_MEMORY,
    ATT_FAILED, /* anything else; the text says what */
    ATT_IO,     /* a file could not be read or written */
    ATT_CORRUPT /* a file or message is not what it claims to be */
} att_status;

typedef enum att_dtype {
    ATT_F32 = 0,
    ATT_F64,
    ATT_F16,
    ATT_BF16,
    ATT_F8_E4M3,
    ATT_F8_E5M2,
    ATT_I8,
    ATT_Q8_0, /* blocks of 32: f16 scale, 32 x int8 (34 bytes) */
    ATT_Q4_0, /* blocks of 32: f16 scale, 16 bytes of nibbles (18 bytes) */
    ATT_I32,
    ATT_I64,
    ATT_U8, /* boolean masks: nonzero = attend */
    ATT_DTYPES
} att_dtype;

/* A view.  Element (i0,i1,i2,i3) lies at data + (i0*stride[0] + ... ) elements; strides are signed,
 * in elements, and may be 0 on inputs.  Unused leading dimensions have shape 1, stride 0.  Block
 * types (Q8_0, Q4_0): the last dimension is contiguous and all strides are multiples of 32.
 * data == NULL means "not given".  Outputs never alias inputs (but see att_rope, att_recur). */
typedef struct att_tensor {
    void *data;
    int32_t dtype; /* att_dtype */
    int32_t reserved;
    int64_t shape[4];
    int64_t stride[4];
} att_tensor;

typedef enum att_causal {
    ATT_CAUSAL_NONE = 0,
    ATT_CAUSAL_TOP_LEFT,     /* query position p = i */
    ATT_CAUSAL_BOTTOM_RIGHT, /* p = i + kv_len - q_len, from the actual lengths of each sequence */
    ATT_CAUSAL_POSITIONS     /* p = q_positions */
} att_causal;
/* Without causality a window still needs query positions: it uses bottom-right ones unless
 * q_positions is given. */

typedef enum att_op {
    ATT_OP_ATTEND = 0,
    ATT_OP_ATTEND_BACKWARD,
    ATT_OP_RECUR,
    ATT_OP_SELECT,
    ATT_OP_ROPE,
    ATT_OP_MERGE,
    ATT_OP_QUANTISE,
    ATT_OP_DEQUANTISE,
    ATT_OP_SESSION,
    ATT_OP_MIX,
    ATT_OPS
} att_op;

/* Rules of the linear family; S is the state [F,Dv] of a head, kept in f32 (F = Dk unless said). */
typedef enum att_rule {
    ATT_RULE_LINEAR = 0,  /* S += k v^T;                  o = scale * S^T q */
    ATT_RULE_LINEAR_ELU1, /* phi = elu + 1: S += phi(k) v^T, z += phi(k),
                           * o = S^T phi(q) / (z . phi(q)) */
    ATT_RULE_RETENTION,   /* S = gamma_h S + k v^T,       gamma_h = 1 - 2^(-5-h) */
    ATT_RULE_GLA,         /* S = diag(exp g) S + k v^T */
    ATT_RULE_DELTA,       /* S += beta k (v - S^T k)^T */
    ATT_RULE_GATED_DELTA, /* S = exp(g) S, then the delta update reads the decayed S */
    ATT_RULE_SSD,         /* S = exp(g) S + k v^T, scale 1 */
    ATT_RULE_BASED /* as linear_elu1 with F = 1 + Dk + Dk^2 features, 1, x, x x^T / sqrt(2), of
                    * x = k and scale q: weights 1 + s + s^2 / 2, s = scale q . k */
} att_rule;

/* The linear family's extra inputs and outputs (ATT_OP_RECUR).  The output is read after the
 * update.  Query heads group over state heads as in GQA. */
typedef struct att_recur {
    int32_t rule; /* att_rule */
    int32_t reserved;
    att_tensor g;         /* log decay, natural: [B,Hkv,S,Dk] or [B,Hkv,S,1] */
    att_tensor beta;      /* [B,Hkv,S,1] */
    att_tensor state_in;  /* f32 [B,Hkv,F,Dv]; not given = zeros */
    att_tensor z_in;      /* f32 [B,Hkv,1,F] normaliser; not given = zeros */
    att_tensor state_out; /* may be exactly state_in, as z_out z_in: in place, or refused */
    att_tensor z_out;
} att_recur;

/* Gradients of sum(dout * out) (ATT_OP_ATTEND_BACKWARD).  Inputs: dout, and the forward's out and
 * lse (problem), which a kernel may use or recompute.  dk and dv sum over the query heads of a
 * group, dbias where the bias broadcasts.  Only allowed pairs count: a row without keys, a key
 * that no query may see and a bias that no pair reads get +0, whatever their inputs hold.  dbias is
 * written whole, the others within the lengths only.  Shapes as those of q, k, v and bias, strides
 * their own. */
typedef struct att_grad {
    att_tensor dout; /* as out */
    att_tensor dq, dk, dv;
    att_tensor dbias; /* optional, as bias */
} att_grad;

typedef enum att_pairing { ATT_ROPE_HALF = 0, ATT_ROPE_INTERLEAVED } att_pairing;

/* Scaling to longer contexts: with f = theta^(-2i/rotary_dim), L = original_len and g cut to 0..1,
 * pair i turns by position * (g f/factor + (1 - g) f).
 * - YARN: g = (i - lo) / (hi - lo), lo = max(0, floor d(fast)), hi = min(rotary_dim - 1, ceil
 *   d(slow)), lo + 0.001 if equal, d(n) = rotary_dim ln(L / (2 pi n)) / (2 ln theta); cos and sin
 *   times mscale (0: 0.1 ln factor + 1).
 * - LLAMA3: g = (fast - L f / (2 pi)) / (fast - slow). */
typedef enum att_turning { ATT_ROPE_PLAIN = 0, ATT_ROPE_YARN, ATT_ROPE_LLAMA3 } att_turning;

/* Rotary embedding of q into out (ATT_OP_ROPE): (x1, x2) -> (c x1 - s x2, s x1 + c x2).  Pair i is
 * dimensions (i, i + rotary_dim/2) or (2i, 2i + 1); it turns by position * theta^(-2i/rotary_dim),
 * or by cos/sin {1,B,S,rotary_dim/2} where given (whatever the scaling).  Dimensions from
 * rotary_dim on are copied. Positions: q_positions, else 0, 1, ...  Alone among the operators it
 * may be asked to work in place: out is then exactly q (data, shape and strides); a kernel that
 * can't refuses. */
typedef struct att_rope {
    int32_t pairing; /* att_pairing */
    int32_t scaling; /* att_turning; where it is not PLAIN, the fields of minor 2 count */
    int64_t rotary_dim;
    double theta;
    att_tensor cos, sin;
    double factor, original_len, fast, slow, mscale; /* minor 2 */
} att_rope;

/* LSE merge of `parts` partial results (ATT_OP_MERGE): outs[i] [B,Hq,Sq,Dv], lses[i] [B,Hq,Sq] into
 * the problem's out and lse.  A part with LSE = -inf holds nothing. */
typedef struct att_merge {
    int64_t parts;
    const att_tensor *outs;
    const att_tensor *lses;
} att_merge;

/* What an indexer scores keys with, for all query heads of a row together (ATT_OP_ATTEND and
 * ATT_OP_SELECT of kernels that have one; others do without):
 *   I_ts = sum_j index_w_tj relu(index_q_tj . index_k_s)
 * Laid out as q and k are, packed or paged; any of q's float types each.  A plan keeps to the
 * section's shapes. */
typedef struct att_index {
    att_tensor index_q; /* [B,Hi,Sq,Di] */
    att_tensor index_k; /* [B,1,Skv,Di] */
    att_tensor index_w; /* [B,Hi,Sq,1] */
} att_index;
/* What is mixed of softmax attentions (ATT_OP_MIX); p the query's position, h its head.  Each is
 * under the problem's rules, and +0 where no key is allowed. */
/* What is mixed of softmax attentions (ATT_OP_MIX), each under the problem's rules, +0 without
 * keys; p: the query's position.  Dense (not packed, paged, quantised), no LSE.  From FORGETTING on
 * causal BOTTOM_RIGHT; NSA, MEMORY: no rule but that, lengths and scale.  Compressed: a key and
 * value, the means, for each block of `block` keys that ends at or before p.  Selected: keys up to
 * p of `keep` blocks: p's own, block 0, the one before p's own, then those of the largest
 * compressed probabilities, summed over the query heads of a group. */
typedef enum att_mix_kind {
    ATT_MIX_DIFFERENTIAL = 0, /* A1 - lambda_h A2: q = [q1|q2], k = [k1|k2]; scale of Dk/2 */
    ATT_MIX_GATED,            /* sigmoid(gate) A */
    ATT_MIX_FORGETTING,       /* logit of key j += sum of forget over j < l <= p */
    ATT_MIX_NSA,              /* gate_0 compressed + gate_1 selected + gate_2 near */
    ATT_MIX_MEMORY /* gate far + (1 - gate) near.  Near: the last `window` keys up to p; far: of
                    * those before, the `keep` of largest logit */
} att_mix_kind;

typedef struct att_mix {
    int32_t kind; /* att_mix_kind */
    int32_t reserved;
    att_tensor lambda;           /* f32 [Hq] or [1] */
    att_tensor gate;             /* broadcast to (B,Hq,Sq,n): n = Dv (GATED), 3 (NSA), 1 (MEMORY) */
    att_tensor forget;           /* [B,Hq,Skv] as {1,B,Hq,Skv}: ln of the forget gates, finite */
    int64_t block, keep, window; /* each at least 1 where the kind has it; ties either way */
} att_mix;

typedef enum att_quant_scheme {
    ATT_QUANT_NONE = 0,
    ATT_QUANT_AFFINE, /* x = scale * (q - zero) */
    ATT_QUANT_BLOCK   /* the scales lie inside the blocks (Q8_0, Q4_0) */
} att_quant_scheme;

/* How K or V is quantised: one scale (and zero) a `group` of elements along `axis`.  Scales and
 * zeros have the extents of the tensor, `axis` divided by `group` (rounded up), or 1: broadcast.
 *
 * ATT_OP_QUANTISE: k, of a float type, into out (codes, of the same shape) and k_quant's scales and
 * (where given) zeros, each element within half a step of its group's range; no NaN or Inf is lost.
 * ATT_OP_DEQUANTISE: the codes k with k_quant into out, of a float type: what they mean, rounded
 * once.  Nothing else of the problem counts but its sizes. */
typedef struct att_quant {
    int32_t scheme; /* att_quant_scheme */
    int32_t axis;   /* 2 = token, 3 = channel */
    int64_t group;
    att_tensor scales; /* f32, f16 or bf16 */
    att_tensor zeros;  /* those, or I8, U8; not given = 0 */
} att_quant;

/* One call.  Initialise with att_problem_init; set what differs.  B batch, Hq query heads, Hkv
 * key/value heads with Hq % Hkv == 0 (query head h reads kv head h / (Hq/Hkv)), Sq queries, Skv
 * keys, Dk head_dim, Dv value_dim. */
typedef struct att_problem {
    uint32_t struct_size; /* sizeof(att_problem) of whoever filled it */
    uint32_t abi;
    uint64_t flags; /* none defined yet; an unknown flag means UNSUPPORTED */

    int64_t batch, heads_q, heads_kv, q_len, kv_len, head_dim, value_dim;
    att_tensor q; /* [B,Hq,Sq,Dk]; varlen: [1,Hq,total_q,Dk] */
    att_tensor k; /* [B,Hkv,Skv,Dk]; varlen: [1,Hkv,total_k,Dk]; paged: [pages,Hkv,page_size,Dk] */
    att_tensor v; /* as k, with Dv */
    att_tensor out; /* [B,Hq,Sq,Dv] */
    att_tensor lse; /* f32 (f64 for the oracle) [B,Hq,Sq] as shape {1,B,Hq,Sq}; natural log, without
                     * the sink; not given = not wanted */

    double scale;         /* NaN = head_dim^-1/2 */
    double softcap;       /* 0 = off */
    int32_t causal;       /* att_causal */
    int32_t acc_dtype;    /* requested accumulator, att_dtype; F32 unless said */
    int64_t window_left;  /* inclusive keys before the query position; -1 = unlimited */
    int64_t window_right; /* and after it */

    att_tensor bias; /* additive, any float type, broadcast right-aligned to (B,Hq,Sq,Skv) */
    att_tensor mask; /* U8, nonzero = attend, broadcast likewise */
    att_tensor alibi_slopes; /* f32 [Hq]: adds -m_h * |p - key position| */
    att_tensor sinks;        /* f32 [Hq]: the denominator gains exp(z_h); no value is added */
    att_tensor q_positions;  /* I64 [B,Sq] as shape {1,1,B,Sq} */
    att_tensor k_positions;  /* I64 [B,Skv] likewise; not given: key position = j */

    att_tensor cu_q, cu_k; /* I32 [B+1]: packed sequences; rows past a length stay untouched */
    att_tensor q_lengths;  /* I32 [B]: used rows of each sequence */
    att_tensor kv_lengths; /* I32 [B] */

    att_tensor block_table; /* I32 [B,pages a sequence]; entries past the length are ignored */
    int64_t page_size;      /* 0 = not paged */

    att_tensor block_mask; /* U8, broadcast right-aligned to (B,Hq,ceil(Sq/bq),ceil(Skv/bk)) */
    int64_t block_q, block_k;

    att_quant k_quant, v_quant;

    const att_recur *recur; /* the section of the operator that needs it, NULL for the others */
    const att_grad *grad;
    const att_rope *rope;
    const att_merge *merge;
    const att_index *index;
    const att_mix *mix;
} att_problem;

/* ------------------------------------------------------------------------- parameters */

typedef enum att_param_type { ATT_PARAM_INT = 0, ATT_PARAM_REAL, ATT_PARAM_WORD } att_param_type;

/* What an INT parameter means for an approximation, so that a host can ask kernels that it has
 * never seen whether more of it brings them nearer to dense attention. */
typedef enum att_role {
    ATT_ROLE_NONE = 0,
    ATT_ROLE_BUDGET,  /* what is kept: more of it keeps no less, and as many as the problem has (of
                       * the parameter's unit: keys, blocks, heads) is dense attention */
    ATT_ROLE_SAMPLES, /* random draws: the mean error falls with their root */
    ATT_ROLE_SEED     /* draws anew */
} att_role;

/* One declared parameter of a kernel or an eval.  A table ends with name == NULL. */
typedef struct att_param {
    const char *name;     /* letters, digits, _ */
    int32_t type;         /* att_param_type */
    int32_t role;         /* att_role */
    const char *unit;     /* "keys", "tokens", "" ... */
    const char *fallback; /* the default, as text */
    const char *domain;   /* INT, REAL: "lo:hi" inclusive, "" = any; WORD: "a|b|c", "" = any text */
    const char *levels;   /* values worth covering, space separated; NULL: only the default */
    const char *help;     /* one line */
} att_param;

/* The value of a parameter, in the order of the table. */
typedef struct att_value {
    int64_t i;     /* INT */
    double f;      /* REAL (INT too, converted) */
    const char *s; /* WORD; owned by the host */
} att_value;

/* ------------------------------------------------------------------------------- host */

typedef struct att_host att_host;
struct att_host {
    uint32_t struct_size;
    int32_t threads; /* parallel_for runs on at most this many */
    void *impl;
    /* Runs body(arg, i, thread) for every i in [0, n), 0 <= thread < threads; returns when all have
     * ended.  Not to be nested. */
    void (*parallel_for)(const att_host *host, int64_t n,
                         void (*body)(void *arg, int64_t i, int thread), void *arg);
};

/* What a kernel asks for in plan.  `handle` is the kernel's own; the host gives it back to drop. */
typedef struct att_plan {
    size_t scratch_bytes;
    size_t scratch_align; /* power of two; 0 = 64 */
    void *handle;
} att_plan;

/* What the host lends for one call.  `data` may be dirty.  `params` are the kernel's own parameters
 * in declared order, NULL when it declares none. */
typedef struct att_scratch {
    void *data;
    size_t bytes;
    void *handle;
    const att_value *params;
    const att_host *host; /* never NULL */
} att_scratch;

/* --------------------------------------------------------------------------- descriptor */

typedef enum att_class {
    ATT_EXACT = 0, /* softmax attention, to rounding */
    ATT_APPROX,    /* approximates softmax attention; exact on the keys that `select` reports */
    ATT_OWN        /* a function of its own, with its own oracle (the reference's recur or mix) */
} att_class;

/* Declared arithmetic.  ATT_DTYPES as `prob` or `out` means "that of the tensors it was given". */
typedef struct att_precision {
    int32_t acc;  /* accumulator, att_dtype */
    int32_t prob; /* probabilities before they meet V */
    int32_t out;  /* rounding of the result */
    int32_t reserved;
} att_precision;

/* Cost of one problem.  What mask, bias and block mask hide counts as kept: only lengths and
 * positions are looked at, never K and V.  A row is a token of a KV head.  With a recur section the
 * cost is that of ATT_OP_RECUR. */
typedef struct att_cost {
    double keys_read;    /* rows scored or summed for a query head and query row, over all of those;
                          * not what is read of K for summaries that could be kept */
    double flops_useful; /* 2 P (Dk + Dv), P the pairs attended to (`select`'s); the linear family:
                          * 2 F Dv a token's update, as much again for a delta rule's read, and
                          * 2 F Dv a query's read; 2 F more for each that meets a normaliser */
    double flops_executed;
    double kv_bytes_read;  /* of K and V without scales; what is read again counts again */
    double state_bytes;    /* what must be kept between steps for a context of kv_len, without
                            * scales; of a session: of batch sequences that hold kv_len */
    double k_rows, v_rows; /* rows of K, and of V, that a call touches at all; one that sequences
                            * share counts for each */
    double v_run; /* 0: just so many.  Else contents decide: at most so many, and V is touched in
                   * aligned runs of v_run keys that each hold a pair attended to (or one that
                   * mask, bias or key positions hide) */
} att_cost;

#define ATT_TRAIT_DETERMINISTIC    1u /* bitwise equal over runs */
#define ATT_TRAIT_THREAD_INVARIANT 2u /* bitwise equal over thread counts */
#define ATT_TRAIT_INDEXED          4u /* reads the problem's index section, where there is one */
#define ATT_TRAIT_LOOKS_AHEAD      8u /* APPROX: later rows change what a row keeps (prefill) */

/* Why something is unsupported or failed: NUL-terminated text in the caller's buffer. */
typedef struct att_reason {
    char text[256];
} att_reason;

typedef struct att_session att_session; /* the kernel's own */

typedef struct att_kernel att_kernel;

/* A KV cache under test (ATT_OP_SESSION); what each step is handed and must do stands at the end of
 * this header.  rollback and fork may be NULL: not offered. */
typedef struct att_session_ops {
    att_status (*open)(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out);
    att_status (*append)(att_session *session, const att_problem *p);
    att_status (*attend)(att_session *session, const att_problem *p);
    att_status (*rollback)(att_session *session, int64_t length);
    att_status (*fork)(const att_session *session, att_session **out);
    void (*close)(att_session *session);
    /* Which keys each row of the last attend saw: allowed[((b*Hq + h)*n + i)*len + j], len the
     * longest length, j a token's position.  NULL: all that causality and window leave. */
    att_status (*seen)(const att_session *session, uint8_t *allowed);     /* minor 2; may be NULL */
    att_status (*held)(const att_session *session, const att_problem *p); /* minor 2; may be NULL */
} att_session_ops;

struct att_kernel {
    uint32_t struct_size; /* sizeof(att_kernel) */
    uint32_t abi;         /* ATT_ABI */
    const char *name;     /* letters, digits, _ : the name on the command line */
    const char *family;   /* exact, sparse, linear, memory, heads, control, zoo */
    const char *summary;  /* one line */
    const char *source;   /* paper, or the real bug a zoo kernel re-enacts */
    int32_t class_;       /* att_class */
    uint32_t traits;      /* ATT_TRAIT_* */
    att_precision precision;
    int64_t align;     /* of q, k, v, out data in bytes; 0 = element */
    int64_t over_read; /* bytes it may read past a buffer's end; 0 for honest kernels */
    double margin;     /* APPROX: declared non-inferiority margin in accuracy; 0 = none declared */
    const att_param *params; /* ends with name == NULL; NULL = none */

    /* OK, or UNSUPPORTED with a reason.  Must not look at tensor contents. */
    att_status (*supports)(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why);
    /* Scratch needs; NULL = none.  A plan may be reused, with the same params, while all sizes of
     * the problem and the shapes, dtypes and strides of q, k, v, out and lse stay.  Everything else
     * may differ from the problem it was made for and from call to call: addresses and contents,
     * scale, softcap, causality, windows, lengths, pages; masks, biases, sinks, slopes and
     * positions may come, change and go.  Nothing that a call is handed (problem, scratch, params)
     * lives after it, and its outputs are whole when it returns. */
    att_status (*plan)(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out);
    void (*drop)(const att_kernel *self, void *handle);
    /* What the problem costs; NULL = not declared.  The host sets every field to NaN before. */
    att_status (*cost)(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out);
    /* Text of the last failure in this thread; NULL = none offered. */
    const char *(*last_error)(const att_kernel *self);

    /* Operators; NULL = not offered. */
    att_status (*attend)(const att_kernel *self, const att_problem *p, const att_scratch *s);
    att_status (*attend_backward)(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s);
    att_status (*recur)(const att_kernel *self, const att_problem *p, const att_scratch *s);
    /* The pairs the kernel attends to: allowed[((b*Hq + h)*Sq + i)*Skv + j] = 0 or 1, contiguous,
     * already intersected with the problem's own rules. */
    att_status (*select)(const att_kernel *self, const att_problem *p, const att_scratch *s,
                         uint8_t *allowed);
    att_status (*rope)(const att_kernel *self, const att_problem *p, const att_scratch *s);
    att_status (*merge)(const att_kernel *self, const att_problem *p, const att_scratch *s);
    att_status (*quantise)(const att_kernel *self, const att_problem *p,
                           const att_scratch *s); /* k -> out */
    att_status (*dequantise)(const att_kernel *self, const att_problem *p,
                             const att_scratch *s); /* k -> out */
    const att_session_ops *session;
    att_status (*mix)(const att_kernel *self, const att_problem *p, const att_scratch *s);
};

/* A plugin exports this under the name "att_plugin": its kernels, `count` of them.  NULL: it does
 * not speak host_abi. */
typedef const att_kernel *const *(*att_plugin_fn)(uint32_t host_abi, size_t *count);

/* ------------------------------------------------------------------------------ helpers */

static inline att_problem att_problem_init(void)
{
    att_problem p = {0};
    p.struct_size = (uint32_t)sizeof p;
    p.abi = ATT_ABI;
    p.scale = NAN;
    p.window_left = -1;
    p.window_right = -1;
    return p;
}

/* The scale in force. */
static inline double att_scale(const att_problem *p)
{
    return isnan(p->scale) ? 1.0 / sqrt((double)p->head_dim) : p->scale;
}

/* What a kernel declares that a problem costs; NaN where it declares nothing. */
static inline att_cost att_cost_of(const att_kernel *k, const att_problem *p,
                                   const att_value *params)
{
    const att_cost unknown = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    att_cost cost = unknown;
    return k->cost && k->cost(k, p, params, &cost) == ATT_OK ? cost : unknown;
}

/* Bytes of one element; 0 for block types. */
static inline size_t att_dtype_size(int32_t dtype)
{
    static const unsigned char size[ATT_DTYPES] = {4, 8, 2, 2, 1, 1, 1, 0, 0, 4, 8, 1};
    return dtype >= 0 && dtype < ATT_DTYPES ? size[dtype] : 0;
}

/* A dense row-major view of data. */
static inline att_tensor att_tensor_dense(void *data, int32_t dtype, int64_t n0, int64_t n1,
                                          int64_t n2, int64_t n3)
{
    att_tensor t = {data, dtype, 0, {n0, n1, n2, n3}, {n1 * n2 * n3, n2 * n3, n3, 1}};
    return t;
}

/* Offset, in elements, of (i0,i1,i2,i3). */
static inline int64_t att_tensor_at(const att_tensor *t, int64_t i0, int64_t i1, int64_t i2,
                                    int64_t i3)
{
    return i0 * t->stride[0] + i1 * t->stride[1] + i2 * t->stride[2] + i3 * t->stride[3];
}

/* ------------------------------------------------------------------------------ sessions */

/* What the steps of att_session_ops mean.  Each sequence of the batch has a length of its own; its
 * tokens stand at positions 0, 1, ... in the order in which they were appended.  A step that is not
 * OK leaves the session as it was.
 *
 * - open.  p: sizes, the dtypes of q, k, v and out (tensors without data), causality, the window.
 *   batch: sequences at first, all empty; kv_len: the most tokens that one will hold; q_len: the
 *   most that a step moves (tokens of an append, queries of an attend, tokens that a rollback gives
 *   back).  What s points to lives until the session and its forks are closed, but for the plan's
 *   handle, which lives until open returns.
 * - append.  p: k and v [B,Hkv,n,D] with kv_len = n, copied: the memory is the caller's again.
 *   kv_lengths, where given: how many of its n tokens each sequence takes.  int8: codes, and
 *   k_quant and v_quant with a scale a token and head, f32 [B,Hkv,n,1] (AFFINE, axis 2, group 1).
 *   Another batch than before: sequences at the end join, empty, or leave.
 * - attend.  p: q and out [B,Hq,n,D], lse; kv_len is the longest length; no k and v, no lengths.
 *   The queries are those of the last n positions of each sequence (bottom-right).  Scale and
 *   softcap may differ from call to call, causality and window are those of open.
 * - rollback keeps the first `length` tokens of each sequence that has more.  With a window it may
 *   be refused (UNSUPPORTED) where a sequence has held more than length + q_len tokens since it was
 *   last empty; to 0, and without a window, never.
 *   One that evicts (seen) may refuse any but to 0.
 * - fork: another session that holds the same; nothing done to one is seen by the other.
 * - held, of a session that rounds what it keeps: k and v f32 [B,Hkv,kv_len,D], kv_len the longest
 *   length, filled with what the next attend reads. */

#ifdef __cplusplus
}
#endif
#endif
