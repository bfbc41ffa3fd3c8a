/* fmrai.h - the plugin ABI of fMRAi, version 1.3: all that an analyzer in C or C++ needs.
 *
 * A plugin is a shared library that exports one symbol, `fmrai_plugin_entry_v1`, and carries a manifest that the host
 * reads from the file before any code of it runs (FMRAI_MANIFEST). Build it with hidden visibility:
 *
 *     cc -shared -fPIC -O2 -fvisibility=hidden -o libmine.so mine.c
 *
 * OWNERSHIP has three rules, and no side ever frees memory of the other:
 *   1. What is passed in (strings, models, batches, states) is borrowed until the call returns.
 *   2. Bytes that go out are written to a sink, which copies them before `write` returns.
 *   3. A tensor that goes out, or that is retained, is a DLManagedTensorVersioned whose deleter is called exactly once
 *      by who holds it. `fmrai_report.add_tensor` takes ownership always, also when it fails.
 *
 * THREADS: an instance is never used by two calls at once but may move between threads; different instances are used at
 * once, so static variables need locks. Host functions and sinks may be called from any thread during a call; `log`
 * at any time from `init` on.
 *
 * FAILURE is a status other than FMRAI_OK and a message in the sink `err`. No exception, panic or longjmp may leave a
 * function. The host fails that analysis with the message and goes on with the others.
 *
 * GROWTH: a major version never changes; a minor version appends fields to structs that begin with `struct_size`, and
 * each side reads of the other's struct what is there (FMRAI_HAS). Lists of such structs are lists of pointers. No
 * struct is passed by value; there is no bool, enum or long in any.
 *
 * LIFE of an instance: create, prepare, then track_batch once for every batch; state and merge at any time after
 * prepare; analyze at the end, possibly more than once; destroy. A method that runs the model itself has the extension
 * FMRAI_EXPERIMENT: it is given run_batch, with a bench, in place of track_batch. */
#ifndef FMRAI_H
#define FMRAI_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define FMRAI_ABI_MAJOR 1u
#define FMRAI_ABI_MINOR 2u
#define FMRAI_MAGIC 0x4942416941524D66ull /* "fMRAiABI", little-endian */

typedef int32_t fmrai_status;
#define FMRAI_OK 0
#define FMRAI_ERR 1             /* anything without a status of its own */
#define FMRAI_ERR_PANIC 2       /* a panic or exception was caught; the instance is only destroyed after it */
#define FMRAI_ERR_VERSION 3     /* the other side speaks a version that is not supported */
#define FMRAI_ERR_UNSUPPORTED 4 /* not offered by this side */
#define FMRAI_ERR_INVALID 5     /* an argument breaks this contract */
#define FMRAI_ERR_OOM 6         /* out of memory */
#define FMRAI_ERR_CONFIG 7      /* the user's config makes no sense; err may hold {"field", "found", "valid"} as JSON */

/* ---- DLPack 1.x, laid out as dlpack.h has it; include that first to use it instead ---- */
#ifndef DLPACK_DLPACK_H_
typedef struct { uint32_t major; uint32_t minor; } DLPackVersion;
typedef struct { int32_t device_type; int32_t device_id; } DLDevice;
typedef struct { uint8_t code; uint8_t bits; uint16_t lanes; } DLDataType;
typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements, never NULL for tensors of the host with ndim > 0 */
  uint64_t byte_offset;
} DLTensor;
typedef struct DLManagedTensorVersioned {
  DLPackVersion version; /* where major is not 1, nothing but the deleter may be touched */
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned *self); /* NULL: nothing to do */
  uint64_t flags;
  DLTensor dl_tensor;
} DLManagedTensorVersioned;
enum { kDLCPU = 1, kDLCUDA = 2 };
enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLBool = 6 };
#endif

/* UTF-8, not NUL-terminated; ptr is NULL where there is no text. Frozen. */
typedef struct fmrai_str { const char *ptr; size_t len; } fmrai_str;

/* Takes bytes; may be called any number of times. */
typedef struct fmrai_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx;
  fmrai_status (*write)(void *ctx, const void *bytes, size_t len);
} fmrai_sink;

/* ---- places in a pass, for methods that drive the model ---- */

/* What runs along an axis. */
#define FMRAI_AXIS_ROW 1u      /* rows of the batch */
#define FMRAI_AXIS_HEAD 2u
#define FMRAI_AXIS_POSITION 3u /* of attention probabilities: the queries */
#define FMRAI_AXIS_KEY 4u      /* the keys of attention probabilities */
#define FMRAI_AXIS_CHANNEL 5u  /* channels, neurons, tokens of the vocabulary */
/* How long it is. */
#define FMRAI_SIZE_ROWS 1u  /* as many as there are rows in the pass */
#define FMRAI_SIZE_KNOWN 2u /* `size` */
#define FMRAI_SIZE_LIKE 3u  /* as the axis of the tensor that is `size` from its end; 1 is the last one */
#define FMRAI_SIZE_REST 4u  /* what remains; at most one axis */
/* An axis. Frozen, as all structs without a struct_size. */
typedef struct fmrai_axis { uint32_t axis; uint32_t kind; uint64_t size; } fmrai_axis;

#define FMRAI_PLACE_TENSOR 1u /* id is that of a tensor that an operation makes */
#define FMRAI_PLACE_SCORES 2u /* id is that of an operation of fused attention: its scores [row, head, query, key] */
/* A place in a pass, and the axes in which its tensor is seen, outermost first. What is read, set or differentiated there
 * has these axes. */
typedef struct fmrai_site {
  uint32_t place;
  uint32_t id;
  uint32_t n_axes;
  uint32_t reserved;
  fmrai_axis axes[8];
} fmrai_site;

/* Since 1.2. A site of a block, by the name that plans have for it: residual.before, residual.between, residual.after,
 * attention_output, ffn_output, neurons [row, position, channel]; head, query, key, value [row, head, position, channel];
 * probabilities [row, head, query, key]. */
typedef struct fmrai_named_site {
  uint32_t struct_size;
  uint32_t layer; /* of the block, from 0 */
  fmrai_str name;
  fmrai_site site;
} fmrai_named_site;

/* ---- what a plugin is shown of the model, once ---- */

/* A named tensor of a block, e.g. "probabilities". */
typedef struct fmrai_part { uint32_t struct_size; uint32_t tensor; fmrai_str name; } fmrai_part;

/* A block found in the model: attention, ffn, norm, ... `fmrai inspect` lists roles and parts. */
typedef struct fmrai_block {
  uint32_t struct_size;
  uint32_t layer; /* position among the blocks of its role, from 0 */
  fmrai_str role;
  fmrai_str module;
  const fmrai_part *const *parts;
  uint32_t n_parts;
  uint32_t reserved;
} fmrai_block;

/* An operation of the graph; its constants are in graph_json. */
typedef struct fmrai_operation {
  uint32_t struct_size;
  uint32_t id;
  fmrai_str name; /* e.g. "aten::softmax.int" */
  fmrai_str module;
  const uint32_t *inputs; /* ids of tensors */
  const uint32_t *outputs;
  uint32_t n_inputs;
  uint32_t n_outputs;
} fmrai_operation;

typedef struct fmrai_model {
  uint32_t struct_size;
  uint32_t n_tensors; /* ids of tensors run from 0 to n_tensors - 1 */
  uint32_t n_operations;
  uint32_t n_blocks;
  const fmrai_operation *const *operations; /* in execution order */
  const fmrai_block *const *blocks;         /* by role, then layer */
  fmrai_str graph_json;                     /* all of the graph, as `fmrai inspect --json` writes it */
  fmrai_str structure_json;                 /* all blocks; what is known of positions, and of what queries see: plugins.md */
  fmrai_str vocabulary_json;                /* {"tokens", "texts", "first", "separator", "padding", "unknown"}; NULL if no text.
                                               tokens: as the tokenizer has them; texts: what they stand for, by its decoder */
  const void *weights;                      /* for weight; NULL where only activations are at hand */
  /* A copy of a parameter of the graph as float32, for you to delete; FMRAI_ERR_UNSUPPORTED for any other tensor. Both
   * may be kept: they hold until the instance that was shown them is destroyed. May be called from any thread. */
  fmrai_status (*weight)(const void *weights, uint32_t tensor, DLManagedTensorVersioned **out, fmrai_sink *err);
  /* Since 1.1. Weights that hold for as long as you like: a handle of its own, for weight and retain_weights, that is given
   * back once with release_weights; NULL if there is no memory. `weights` is the one above, or another such handle. */
  const void *(*retain_weights)(const void *weights);
  void (*release_weights)(const void *weights); /* NULL does nothing */
  const fmrai_named_site *const *sites; /* since 1.2, by layer */
  uint32_t n_sites;
  uint32_t logits; /* the tensor of the logits [row, position, token]; UINT32_MAX if there is none */
} fmrai_model;

/* ---- what a plugin is shown of each batch ---- */

#define FMRAI_TENSOR_READ_ONLY 1u  /* always set: writing would change what other analyzers see */
#define FMRAI_TENSOR_CONTIGUOUS 2u /* dense, row-major */
typedef struct fmrai_tensor {
  uint32_t struct_size;
  uint32_t id;
  uint32_t flags;
  uint32_t reserved;
  const DLTensor *dl; /* dense; float16 and bfloat16 come widened to float32 on the CPU; NULL if there is none, see error */
  fmrai_str error;
  const void *handle; /* for fmrai_retain; NULL for tensors of a device */
} fmrai_tensor;

/* Since 1.1. The tokens that a further input of token ids has for a sample, e.g. a decoder's, with their own length and padding. */
typedef struct fmrai_sequence {
  uint32_t struct_size;
  uint32_t n_tokens;
  fmrai_str input; /* its name, e.g. "decoder_input_ids" */
  const uint32_t *token_ids; /* without padding */
  const uint8_t *special;    /* for each token 1 if the tokenizer would have added it */
  uint64_t span_begin;       /* where they stand in the padded row of that input */
  uint64_t span_end;
} fmrai_sequence;

/* Since 1.2. A part of a text that has a name in the data: tokens begin to end - 1, without padding. */
typedef struct fmrai_mark { uint32_t struct_size; uint32_t reserved; fmrai_str name; uint64_t begin; uint64_t end; } fmrai_mark;

#define FMRAI_PAIR_CLEAN 1u
#define FMRAI_PAIR_CORRUPTED 2u
/* Since 1.2. What data of pairs say of a text. The corrupted text of a pair is the sample after its clean one. */
typedef struct fmrai_pair {
  uint32_t struct_size;
  uint32_t role;
  const uint32_t *right; /* tokens that are right after the clean text */
  const uint32_t *wrong;
  uint32_t n_right;
  uint32_t n_wrong;
  const fmrai_mark *const *marks;
  uint32_t n_marks;
  uint32_t reserved;
} fmrai_pair;

/* A row of the batch: axis 0 of the model's inputs. Its tokens are those of `input_ids`. Positions of a tensor are those of
 * the input that structure_json names for it: "query_positions" and "key_positions" of a block of attention, "positions"
 * of a feed-forward block. */
typedef struct fmrai_sample {
  uint32_t struct_size;
  uint32_t n_tokens; /* 0 where the input is not text */
  uint64_t id;       /* unique in the run */
  fmrai_str text;    /* NULL if there is none */
  const uint32_t *token_ids;  /* without padding */
  const uint8_t *special;     /* for each token 1 if the tokenizer added it */
  const uint64_t *offsets;    /* for each token begin and end in text, in bytes */
  uint64_t span_begin;        /* tokens stand at these positions of the padded row, ... */
  uint64_t span_end;          /* ... everything outside is padding, to be ignored */
  const fmrai_sequence *const *sequences; /* since 1.1: tokens of other inputs */
  uint32_t n_sequences;
  uint32_t reserved;
  const fmrai_pair *pair; /* since 1.2: NULL where the data are no pairs */
  fmrai_str fields; /* since 1.3: further fields of its record, a JSON object; NULL if there are none */
} fmrai_sample;

typedef struct fmrai_batch {
  uint32_t struct_size;
  uint32_t n_tensors;
  uint64_t index;
  const fmrai_tensor *const *tensors; /* those that prepare asked for, by id */
  const fmrai_sample *const *samples;
  uint32_t n_samples;
  uint32_t reserved;
  void *stream; /* NULL: all work on tensors of devices has ended before a call; end yours before you return */
} fmrai_batch;

/* ---- what a plugin hands back ---- */

/* Takes the report. The document is JSON; every field is optional:
 *   { "summary": { any },
 *     "tables":  [ { "name", "columns": [ { "name", "unit", "type": "int"|"float"|"text", "values": [...] } ] } ],
 *     "tensors": [ { "name", "axes": ["layer", ...], "unit" } ],
 *     "figures": [ as in figures/NAME.json of any run ],
 *     "store": { "schema", "version": n, "relations": [ { "about", "table": { a table }, "key": [ columns ],
 *                "indexes": [ { "name", "columns": [...] } ] } ] },
 *     "gaps": [ names of tensors, of tables and of columns as "TABLE.COLUMN", in which NaN means that there is nothing to
 *               tell; "*" at the end stands for any rest. NaN elsewhere, and infinity, is told as a warning. ] }
 * A number that JSON has no form for is null (NaN) or "inf" or "-inf". Each tensor is added under the name in the
 * document: CPU, float32, float64, int64, or smaller integers; any strides. */
typedef struct fmrai_report {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx;
  fmrai_status (*set_document)(void *ctx, const char *json, size_t len);
  fmrai_status (*add_tensor)(void *ctx, const char *name, size_t len, DLManagedTensorVersioned *tensor);
} fmrai_report;

/* ---- the two sides ---- */

#define FMRAI_LOG_ERROR 1u
#define FMRAI_LOG_WARN 2u
#define FMRAI_LOG_INFO 3u
#define FMRAI_LOG_DEBUG 4u
/* What the host offers; lives as long as the process. */
typedef struct fmrai_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  fmrai_str name;
  fmrai_str version;
  void (*log)(uint32_t level, const char *target, size_t target_len, const char *message, size_t len);
  const void *(*get_extension)(const char *id); /* NULL for what it does not know */
} fmrai_host;

/* One kind of analyzer. */
typedef struct fmrai_analyzer {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx; /* passed to describe, configure and create */
  /* {"name", "summary", "origin", "example": {config}, "schema": {JSON Schema of the config},
   *  "state": "bytes" or "fmrai", "state_version": n} */
  fmrai_status (*describe)(void *ctx, fmrai_sink *out, fmrai_sink *err);
  /* The config with all defaults filled in, as JSON. May be NULL: the host fills in from the example. */
  fmrai_status (*configure)(void *ctx, const char *config, size_t len, fmrai_sink *complete, fmrai_sink *err);
  fmrai_status (*create)(void *ctx, const char *config, size_t len, void **out, fmrai_sink *err);
  /* Writes {"tensors": [ids to keep], "device": "cpu" (or absent), or "same" for tensors of a CUDA device to stay there
   * in the model's element type; those of the CPU come as ever}. */
  fmrai_status (*prepare)(void *self, const fmrai_model *model, fmrai_sink *request, fmrai_sink *err);
  fmrai_status (*track_batch)(void *self, const fmrai_batch *batch, fmrai_sink *err);
  fmrai_status (*state)(void *self, fmrai_sink *out, fmrai_sink *err);
  /* Absorbs a state of the same config and model; leaves the instance as it was if it fails. */
  fmrai_status (*merge)(void *self, const void *state, size_t len, fmrai_sink *err);
  fmrai_status (*analyze)(void *self, const fmrai_report *report, fmrai_sink *err);
  fmrai_status (*destroy)(void *self, fmrai_sink *err); /* frees self in any case, also where it reports a failure */
  const void *(*get_extension)(const char *id); /* may be NULL */
} fmrai_analyzer;

#define FMRAI_PLUGIN_PANIC_ABORT 1u /* its failures would end the process: refused */
typedef struct fmrai_plugin {
  uint64_t magic; /* these 16 bytes never change, in any major version */
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t struct_size;
  uint32_t flags;
  fmrai_status (*init)(const fmrai_host *host, fmrai_sink *err); /* may be called more than once */
  uint32_t (*analyzer_count)(void);
  const fmrai_analyzer *(*analyzer)(uint32_t index);
  const void *(*get_extension)(const char *id); /* may be NULL */
} fmrai_plugin;

#if defined(_WIN32)
#define FMRAI_EXPORT __declspec(dllexport)
#else
#define FMRAI_EXPORT __attribute__((visibility("default")))
#endif
/* The only symbol that a plugin exports. NULL declines this host. */
FMRAI_EXPORT const fmrai_plugin *fmrai_plugin_entry_v1(uint32_t host_major, uint32_t host_minor);

/* ---- extensions: the struct behind a name never changes ---- */

/* Of the host. Keeps a tensor beyond its batch, by a copy that the plugin has to delete. */
#define FMRAI_RETAIN "fmrai.retain/1"
typedef struct fmrai_retain {
  fmrai_status (*retain)(const void *handle, DLManagedTensorVersioned **out, fmrai_sink *err);
} fmrai_retain;

/* Of an analyzer. What people can query already, at a checkpoint: like analyze, but only the report's store is read. */
#define FMRAI_INTERIM "fmrai.interim/1"
typedef struct fmrai_interim {
  fmrai_status (*interim)(void *self, const fmrai_report *report, fmrai_sink *err);
} fmrai_interim;

/* Of a plugin. Lets `fmrai plugin check` find leaks. */
#define FMRAI_LIVE "fmrai.live/1"
typedef struct fmrai_live {
  int64_t (*instances)(void); /* created and not yet destroyed */
  int64_t (*tensors)(void);   /* handed out and not yet deleted */
} fmrai_live;

/* Methods that drive the model: FMRAI_EXPERIMENT of an analyzer is an fmrai_experiment; of a host it is something if the host
 * drives them, with nothing behind it. Older hosts call track_batch: it and create return FMRAI_ERR_UNSUPPORTED there.
 *
 * A variant is some rows of the batch with edits; an edit says where, on which part, and what happens there. What is measured
 * of it is an objective, one number for each row, which can be differentiated. Tensors stay with the model: a handle (never 0)
 * stands for one, until it is released or run_batch returns. */
#define FMRAI_EXPERIMENT "fmrai.experiment/1"

/* The places along an axis that are edited, ascending. */
typedef struct fmrai_places { uint32_t axis; uint32_t n; const uint32_t *places; } fmrai_places;

#define FMRAI_CHANGE_ZERO 1u
#define FMRAI_CHANGE_CLEAN 2u   /* becomes what the clean pass has there in the rows `clean` of the batch, one for each edited row */
#define FMRAI_CHANGE_SET 3u     /* becomes `value`: axes of the site, each as long as the part, or 1 */
#define FMRAI_CHANGE_ADD 4u     /* `value`, as for SET, times `number` is added */
#define FMRAI_CHANGE_SCALE 5u   /* is multiplied by `number` */
#define FMRAI_CHANGE_PROJECT 6u /* loses what it has of the direction `value`, [channel] */
typedef struct fmrai_edit {
  fmrai_site site;
  uint32_t change;
  uint32_t n_part;
  const fmrai_places *part; /* along axes that are not listed, everything; rows are not listed here */
  const uint32_t *rows;     /* rows of the variant that are edited, from 0; NULL for all */
  const uint32_t *clean;
  uint32_t n_rows;
  uint32_t n_clean;
  uint64_t value; /* a handle */
  double number;
} fmrai_edit;

typedef struct fmrai_variant {
  const uint32_t *rows; /* rows of the batch that it runs on, in any order, also more than once */
  const fmrai_edit *edits;
  uint32_t n_rows;
  uint32_t n_edits;
} fmrai_variant;

#define FMRAI_MEASURE_LOGIT_DIFFERENCE 1u /* mean logit of the right tokens minus mean logit of the wrong ones */
#define FMRAI_MEASURE_PROBABILITY 2u      /* sum of the probabilities of the right tokens */
#define FMRAI_MEASURE_LOSS 3u             /* minus the logarithm of that sum, in nats */
#define FMRAI_MEASURE_NEXT_TOKEN 4u       /* mean of minus the log probability of right[i] at places[i], in nats */
#define FMRAI_MEASURE_DIVERGENCE 5u       /* mean over the places of KL(clean || this pass), in nats */
#define FMRAI_MEASURE_ELEMENTS 6u         /* sum of elements of a site, times their weights */
/* What is measured of a row of the batch. */
typedef struct fmrai_target {
  uint32_t row;           /* of DIVERGENCE: the row of the clean pass that is compared with */
  uint32_t n;             /* places; 1 for the first three measures */
  uint32_t n_right;
  uint32_t n_wrong;
  const uint32_t *places; /* positions in the padded row; of ELEMENTS n times a place along each axis of the site but the rows */
  const uint32_t *right;
  const uint32_t *wrong;
  const double *weights;  /* of ELEMENTS, n of them; NULL for 1 each */
} fmrai_target;

typedef struct fmrai_objective {
  uint32_t measure;
  uint32_t logits;         /* the tensor [row, position, token], but for ELEMENTS */
  const fmrai_site *site;  /* of ELEMENTS */
  const fmrai_target *rows; /* one for each row of the batch */
  uint32_t n_rows;
  uint32_t reserved;
} fmrai_objective;

/* A way that a derivative is taken along. */
typedef struct fmrai_path {
  fmrai_site to;             /* with respect to what */
  const fmrai_site *through; /* by way of what; NULL for every way */
  const uint32_t *heads;     /* the heads of it that count; none for all */
  uint32_t n_heads;
  uint32_t reserved;
} fmrai_path;

/* The bench of a batch, used on the thread of run_batch alone while that lasts. What a variant or objective lacks is an
 * error before anything runs. */
typedef struct fmrai_bench {
  void *ctx;
  /* values has place for [variant][objective][row of the variant], one after the other; n_values says how many. */
  fmrai_status (*measure)(void *ctx, const fmrai_variant *variants, uint32_t n_variants, const fmrai_objective *objectives,
                          uint32_t n_objectives, double *values, uint64_t n_values, fmrai_sink *err);
  /* What sites hold in each variant, after its edits: handles has place for [variant][site]. */
  fmrai_status (*read)(void *ctx, const fmrai_variant *variants, uint32_t n_variants, const fmrai_site *sites, uint32_t n_sites,
                       uint64_t *handles, fmrai_sink *err);
  /* The objective of each row of the variant, and for each site the handle of what it holds (at, may be NULL) and of the
   * derivative of each row's objective with respect to that. */
  fmrai_status (*gradients)(void *ctx, const fmrai_variant *variant, const fmrai_objective *objective, const fmrai_site *sites,
                            uint32_t n_sites, double *values, uint64_t *at, uint64_t *gradients, fmrai_sink *err);
  /* The same along paths: gradients has place for a handle of each. */
  fmrai_status (*path_gradients)(void *ctx, const fmrai_variant *variant, const fmrai_objective *objective, const fmrai_path *paths,
                                 uint32_t n_paths, double *values, uint64_t *gradients, fmrai_sink *err);
  /* What sites hold when the model runs on n_rows times length tokens in place of the batch. */
  fmrai_status (*read_tokens)(void *ctx, const uint32_t *tokens, uint32_t n_rows, uint32_t length, const fmrai_site *sites,
                              uint32_t n_sites, uint64_t *handles, fmrai_sink *err);
  /* Gives a tensor (CPU, float32, float64 or integers, any strides), which is copied. */
  fmrai_status (*put)(void *ctx, const DLTensor *tensor, uint64_t *handle, fmrai_sink *err);
  /* Shows one: dense, float32, or float64 where the model computes in it, in CPU memory, until its handle ends. */
  fmrai_status (*view)(void *ctx, uint64_t handle, const DLTensor **out, fmrai_sink *err);
  void (*release)(void *ctx, uint64_t handle);
} fmrai_bench;

typedef struct fmrai_experiment {
  /* How many passes a batch of these samples takes beside the clean one, each row of a variant counted as its share. */
  fmrai_status (*passes)(void *self, const fmrai_sample *const *samples, uint32_t n_samples, double *out, fmrai_sink *err);
  /* In place of track_batch: the same, with the bench. A failure leaves the instance as it was. */
  fmrai_status (*run_batch)(void *self, const fmrai_batch *batch, const fmrai_bench *bench, fmrai_sink *err);
  uint32_t (*sweeps)(void *self); /* how often it goes through the data; NULL for once */
  fmrai_status (*next_sweep)(void *self, fmrai_sink *err); /* a sweep but the last has ended; NULL where there is one only */
} fmrai_experiment;

/* ---- the manifest ---- */

/* 24 bytes (magic, abi_major, abi_minor, flags, reserved), then JSON up to a NUL:
 * {"name", "version", "libtorch": null or the exact version that the plugin links} */
#if defined(__APPLE__)
#define FMRAI_SECTION "__DATA,__fmrai"
#else
#define FMRAI_SECTION ".fmrai"
#endif
#if defined(__GNUC__)
#define FMRAI_MANIFEST(json_literal)                                                            \
  __attribute__((section(FMRAI_SECTION), used)) static const struct {                           \
    uint64_t magic; uint32_t major, minor, flags, reserved; char json[sizeof(json_literal)];    \
  } fmrai_manifest_ = {FMRAI_MAGIC, FMRAI_ABI_MAJOR, FMRAI_ABI_MINOR, 0, 0, json_literal}
#endif

/* True if the struct of the other side is long enough to have FIELD. */
#define FMRAI_HAS(POINTER, TYPE, FIELD) \
  ((POINTER)->struct_size >= offsetof(TYPE, FIELD) + sizeof((POINTER)->FIELD))

#ifdef __cplusplus
} /* extern "C" */
#include <cstring>
#include <exception>
namespace fmrai {
/* Runs a function of yours; every exception becomes a status with its message. Wrap each function of the ABI in it. */
template <class F> fmrai_status guard(fmrai_sink *err, F run) noexcept {
  auto say = [&](const char *text) { if (err && err->write) err->write(err->ctx, text, std::strlen(text)); };
  try { run(); return FMRAI_OK; }
  catch (const std::exception &e) { say(e.what()); return FMRAI_ERR_PANIC; }
  catch (...) { say("an exception that is no std::exception"); return FMRAI_ERR_PANIC; }
}
} /* namespace fmrai */
#endif
#endif /* FMRAI_H */
