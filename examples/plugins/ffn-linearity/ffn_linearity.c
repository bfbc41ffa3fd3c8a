/* A whole experiment in C: what each feed-forward block is worth to the loss on the next token, exactly (the model runs with
 * what the block writes set to zero) and by a first-order estimate (minus the gradient times what it writes, summed). Where the
 * two differ much, estimates by gradients cannot be trusted for this model.
 *
 *     cc -shared -fPIC -O2 -fvisibility=hidden -I fmrai-core/include -o libffn_linearity.so ffn_linearity.c */
#include "fmrai.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FMRAI_MANIFEST("{\"name\": \"ffn_linearity\", \"version\": \"0.1.0\", \"libtorch\": null}");

#define LAYERS 256
typedef struct { double exact[LAYERS], estimate[LAYERS], texts; } sums; /* what is stored */
typedef struct {
  sums seen;
  fmrai_site written[LAYERS]; /* what the block of a layer adds to the stream */
  uint32_t layer[LAYERS], layers, logits;
} linearity;

static fmrai_status fail(fmrai_sink *err, fmrai_status status, const char *message) {
  err->write(err->ctx, message, strlen(message));
  return status;
}

static fmrai_status put(fmrai_sink *out, const char *text) { return out->write(out->ctx, text, strlen(text)); }

static int is(fmrai_str text, const char *expected) {
  return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

static fmrai_status describe(void *ctx, fmrai_sink *out, fmrai_sink *err) {
  (void)ctx, (void)err;
  return put(out, "{\"name\": \"ffn_linearity\","
                  " \"summary\": \"what each feed-forward block is worth to the loss, exactly and by its gradient\","
                  " \"example\": {}, \"state\": \"bytes\", \"state_version\": 1,"
                  " \"schema\": {\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}}");
}

static int drives; /* whether the host drives experiments */

static fmrai_status create(void *ctx, const char *config, size_t len, void **out, fmrai_sink *err) {
  (void)ctx, (void)config, (void)len;
  if (!drives) return fail(err, FMRAI_ERR_UNSUPPORTED, "it needs a host with fmrai.experiment/1: use a newer fmrai");
  *out = calloc(1, sizeof(linearity));
  return *out ? FMRAI_OK : fail(err, FMRAI_ERR_OOM, "no memory");
}

static fmrai_status prepare(void *this, const fmrai_model *model, fmrai_sink *request, fmrai_sink *err) {
  linearity *self = this;
  if (!FMRAI_HAS(model, fmrai_model, logits) || model->logits == UINT32_MAX)
    return fail(err, FMRAI_ERR, "this model has no logits of tokens, the analysis needs them");
  self->logits = model->logits;
  for (uint32_t s = 0; s < model->n_sites && self->layers < LAYERS; s++) {
    if (!is(model->sites[s]->name, "ffn_output")) continue;
    self->layer[self->layers] = model->sites[s]->layer;
    self->written[self->layers++] = model->sites[s]->site;
  }
  if (self->layers == 0) return fail(err, FMRAI_ERR, "this model has no feed-forward block");
  return put(request, "{\"tensors\": []}"); /* everything is asked of the bench */
}

/* Only on hosts that do not know experiments, which never get past create. */
static fmrai_status track_batch(void *this, const fmrai_batch *batch, fmrai_sink *err) {
  (void)this, (void)batch;
  return fail(err, FMRAI_ERR_UNSUPPORTED, "it drives the model");
}

static fmrai_status passes(void *this, const fmrai_sample *const *samples, uint32_t n, double *out, fmrai_sink *err) {
  (void)samples, (void)n, (void)err;
  *out = ((linearity *)this)->layers + 2; /* one without each block, one with none away, one with gradients */
  return FMRAI_OK;
}

/* Adds minus the gradient times the value to the row that each element is of. Both are [row, position, channel]. */
static fmrai_status attribute(const DLTensor *at, const DLTensor *gradient, double *rows) {
  int64_t count = at->ndim == 3 ? at->shape[1] * at->shape[2] : 0, n = count ? at->shape[0] * count : 0;
  if (!n || at->dtype.code != kDLFloat || at->dtype.bits != gradient->dtype.bits) return FMRAI_ERR;
  for (int64_t i = 0; i < n; i++) {
    double product = at->dtype.bits == 64 ? ((double *)at->data)[i] * ((double *)gradient->data)[i]
                                          : (double)((float *)at->data)[i] * (double)((float *)gradient->data)[i];
    rows[i / count] -= product;
  }
  return FMRAI_OK;
}

static fmrai_status run_batch(void *this, const fmrai_batch *batch, const fmrai_bench *bench, fmrai_sink *err) {
  linearity *self = this;
  uint32_t rows = batch->n_samples, variants = self->layers + 1, words = 0;
  for (uint32_t s = 0; s < rows; s++) words += batch->samples[s]->n_tokens;
  fmrai_status status = FMRAI_OK;
  fmrai_variant *variant = calloc(variants, sizeof *variant);
  fmrai_edit *edit = calloc(variants, sizeof *edit);
  fmrai_target *target = calloc(rows + 1, sizeof *target);
  uint32_t *list = calloc((size_t)rows + 2 * words + 1, sizeof *list), *all = list, *next = list + rows;
  double *value = calloc((size_t)rows * variants + 1, sizeof *value), *loss = calloc(rows + 1, sizeof *loss);
  double *estimate = calloc((size_t)rows * self->layers + 1, sizeof *estimate);
  uint64_t *at = calloc(2 * (size_t)self->layers, sizeof *at), *gradient = at ? at + self->layers : NULL;
  if (!variant || !edit || !target || !list || !value || !loss || !estimate || !at) {
    status = fail(err, FMRAI_ERR_OOM, "no memory");
    goto end;
  }
  for (uint32_t row = 0; row < rows; row++) { /* each token but the first is to be told by those before it */
    const fmrai_sample *sample = batch->samples[row];
    all[row] = row;
    target[row].n = target[row].n_right = sample->n_tokens > 1 ? sample->n_tokens - 1 : 0;
    target[row].places = next, target[row].right = next + target[row].n;
    for (uint32_t token = 0; token < target[row].n; token++) {
      next[token] = (uint32_t)sample->span_begin + token;
      next[target[row].n + token] = sample->token_ids[token + 1];
    }
    next += 2 * target[row].n;
  }
  fmrai_objective objective = {.measure = FMRAI_MEASURE_NEXT_TOKEN, .logits = self->logits, .rows = target, .n_rows = rows};
  for (uint32_t v = 0; v < variants; v++) { /* the first one as it is, then without each block */
    variant[v].rows = all, variant[v].n_rows = rows;
    if (v == 0) continue;
    edit[v].site = self->written[v - 1], edit[v].change = FMRAI_CHANGE_ZERO;
    variant[v].edits = &edit[v], variant[v].n_edits = 1;
  }
  status = bench->measure(bench->ctx, variant, variants, &objective, 1, value, (uint64_t)rows * variants, err);
  if (status != FMRAI_OK) goto end;
  status = bench->gradients(bench->ctx, variant, &objective, self->written, self->layers, loss, at, gradient, err);
  if (status != FMRAI_OK) goto end;
  for (uint32_t l = 0; l < self->layers && status == FMRAI_OK; l++) {
    const DLTensor *held, *slope;
    if ((status = bench->view(bench->ctx, at[l], &held, err)) != FMRAI_OK) break;
    if ((status = bench->view(bench->ctx, gradient[l], &slope, err)) != FMRAI_OK) break;
    status = attribute(held, slope, estimate + (size_t)l * rows);
    if (status != FMRAI_OK) fail(err, status, "needed what blocks write as [row, position, channel]");
    bench->release(bench->ctx, at[l]);
    bench->release(bench->ctx, gradient[l]);
  }
  for (uint32_t row = 0; row < rows && status == FMRAI_OK; row++) { /* nothing fails from here on */
    if (target[row].n == 0) continue;
    self->seen.texts++;
    for (uint32_t l = 0; l < self->layers; l++) {
      self->seen.exact[l] += value[(size_t)(l + 1) * rows + row] - value[row];
      self->seen.estimate[l] += estimate[(size_t)l * rows + row];
    }
  }
end:
  free(variant), free(edit), free(target), free(list), free(value), free(loss), free(estimate), free(at);
  return status;
}

static fmrai_status state(void *this, fmrai_sink *out, fmrai_sink *err) {
  (void)err;
  return out->write(out->ctx, &((linearity *)this)->seen, sizeof(sums));
}

static fmrai_status merge(void *this, const void *bytes, size_t len, fmrai_sink *err) {
  sums *seen = &((linearity *)this)->seen, other;
  if (len != sizeof other) return fail(err, FMRAI_ERR_INVALID, "the state has another length");
  memcpy(&other, bytes, len);
  seen->texts += other.texts;
  for (uint32_t l = 0; l < LAYERS; l++) seen->exact[l] += other.exact[l], seen->estimate[l] += other.estimate[l];
  return FMRAI_OK;
}

static fmrai_status analyze(void *this, const fmrai_report *report, fmrai_sink *err) {
  linearity *self = this;
  if (self->seen.texts == 0) return fail(err, FMRAI_ERR, "no text of two tokens was seen, the analysis needs one");
  size_t room = 4096 + (size_t)self->layers * 128, end = 0;
  char *text = malloc(room);
  if (!text) return fail(err, FMRAI_ERR_OOM, "no memory");
#define SAY(...) end += (size_t)snprintf(text + end, room - end, __VA_ARGS__)
  SAY("{\"summary\": {\"texts\": %.0f}, \"tables\": [{\"name\": \"blocks\", \"columns\": [", self->seen.texts);
  SAY("{\"name\": \"layer\", \"type\": \"int\", \"values\": [");
  for (uint32_t l = 0; l < self->layers; l++) SAY("%s%u", l ? ", " : "", self->layer[l]);
  SAY("]}, {\"name\": \"loss_added\", \"unit\": \"nats\", \"type\": \"float\", \"values\": [");
  for (uint32_t l = 0; l < self->layers; l++) SAY("%s%.17g", l ? ", " : "", self->seen.exact[l] / self->seen.texts);
  SAY("]}, {\"name\": \"estimate\", \"unit\": \"nats\", \"type\": \"float\", \"values\": [");
  for (uint32_t l = 0; l < self->layers; l++) SAY("%s%.17g", l ? ", " : "", self->seen.estimate[l] / self->seen.texts);
  SAY("]}]}]}");
  fmrai_status status = report->set_document(report->ctx, text, end);
  free(text);
  return status;
}

static fmrai_status destroy(void *this, fmrai_sink *err) {
  (void)err;
  free(this);
  return FMRAI_OK;
}

static const fmrai_experiment experiment = {.passes = passes, .run_batch = run_batch};
static const void *extension(const char *id) { return strcmp(id, FMRAI_EXPERIMENT) == 0 ? &experiment : NULL; }

static const fmrai_analyzer ffn_linearity = {
    .struct_size = sizeof(fmrai_analyzer), .describe = describe, .create = create, .prepare = prepare,
    .track_batch = track_batch, .state = state, .merge = merge, .analyze = analyze, .destroy = destroy,
    .get_extension = extension,
};

static fmrai_status init(const fmrai_host *host, fmrai_sink *err) {
  (void)err;
  drives = host->get_extension && host->get_extension(FMRAI_EXPERIMENT) != NULL;
  return FMRAI_OK;
}
static uint32_t count(void) { return 1; }
static const fmrai_analyzer *nth(uint32_t index) { return index == 0 ? &ffn_linearity : NULL; }

static const fmrai_plugin plugin = {
    .magic = FMRAI_MAGIC, .abi_major = FMRAI_ABI_MAJOR, .abi_minor = FMRAI_ABI_MINOR,
    .struct_size = sizeof(fmrai_plugin), .init = init, .analyzer_count = count, .analyzer = nth,
};

FMRAI_EXPORT const fmrai_plugin *fmrai_plugin_entry_v1(uint32_t host_major, uint32_t host_minor) {
  (void)host_minor;
  return host_major == FMRAI_ABI_MAJOR ? &plugin : NULL;
}
