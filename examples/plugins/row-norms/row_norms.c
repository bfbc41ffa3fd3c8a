/* A whole analyzer in C: the root mean square of what each feed-forward block gives to the rest of the model.
 *
 *     cc -shared -fPIC -O2 -fvisibility=hidden -I fmrai-core/include -o librow_norms.so row_norms.c -lm */
#include "fmrai.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FMRAI_MANIFEST("{\"name\": \"row_norms\", \"version\": \"0.1.0\", \"libtorch\": null}");

#define LAYERS 512
/* What is stored is what comes first: sums and counts of each layer. */
typedef struct {
  struct { double sum[LAYERS]; uint64_t count[LAYERS]; } seen;
  uint32_t tensor[LAYERS];
  uint32_t layers;
} norms;

static int64_t live_instances, live_tensors;

static fmrai_status fail(fmrai_sink *err, fmrai_status status, const char *message) {
  err->write(err->ctx, message, strlen(message));
  return status;
}

static fmrai_status put(fmrai_sink *out, const char *text) { return out->write(out->ctx, text, strlen(text)); }

static fmrai_status describe(void *ctx, fmrai_sink *out, fmrai_sink *err) {
  (void)ctx, (void)err;
  return put(out, "{\"name\": \"row_norms\", \"summary\": \"root mean square of what each feed-forward block writes\","
                  " \"example\": {}, \"state\": \"bytes\", \"state_version\": 1,"
                  " \"schema\": {\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}}");
}

static fmrai_status create(void *ctx, const char *config, size_t len, void **out, fmrai_sink *err) {
  (void)ctx, (void)config, (void)len;
  norms *self = calloc(1, sizeof *self);
  if (!self) return fail(err, FMRAI_ERR_OOM, "no memory");
  __atomic_add_fetch(&live_instances, 1, __ATOMIC_SEQ_CST);
  *out = self;
  return FMRAI_OK;
}

static int is(fmrai_str text, const char *expected) {
  return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

static fmrai_status prepare(void *this, const fmrai_model *model, fmrai_sink *request, fmrai_sink *err) {
  norms *self = this;
  char text[LAYERS * 12 + 32] = "{\"tensors\": [";
  size_t end = strlen(text);
  for (uint32_t b = 0; b < model->n_blocks && self->layers < LAYERS; b++) {
    const fmrai_block *block = model->blocks[b];
    for (uint32_t p = 0; is(block->role, "ffn") && p < block->n_parts; p++) {
      if (!is(block->parts[p]->name, "output")) continue;
      uint32_t tensor = block->parts[p]->tensor;
      end += (size_t)snprintf(text + end, sizeof text - end, "%s%u", self->layers ? ", " : "", tensor);
      self->tensor[self->layers++] = tensor;
    }
  }
  if (self->layers == 0) return fail(err, FMRAI_ERR, "this model has no feed-forward block");
  snprintf(text + end, sizeof text - end, "]}");
  return put(request, text);
}

/* The float32 [batch, position, channel] of a layer; NULL if there is none that holds all samples. */
static const DLTensor *output_of(const norms *self, uint32_t layer, const fmrai_batch *batch) {
  const DLTensor *t = NULL;
  for (uint32_t i = 0; i < batch->n_tensors; i++)
    if (batch->tensors[i]->id == self->tensor[layer]) t = batch->tensors[i]->dl;
  if (!t || t->dtype.code != kDLFloat || t->dtype.bits != 32 || t->ndim != 3) return NULL;
  if ((uint64_t)t->shape[0] < batch->n_samples) return NULL;
  for (uint32_t s = 0; s < batch->n_samples; s++)
    if (batch->samples[s]->span_end > (uint64_t)t->shape[1]) return NULL;
  return t;
}

static fmrai_status track_batch(void *this, const fmrai_batch *batch, fmrai_sink *err) {
  norms *self = this;
  for (uint32_t layer = 0; layer < self->layers; layer++) /* all of them before the first sum: a failure changes nothing */
    if (!output_of(self, layer, batch))
      return fail(err, FMRAI_ERR, "needed outputs of feed-forward blocks in float32, [batch, position, channel]");
  for (uint32_t layer = 0; layer < self->layers; layer++) {
    const DLTensor *t = output_of(self, layer, batch);
    const float *data = (const float *)((const char *)t->data + t->byte_offset);
    for (uint32_t s = 0; s < batch->n_samples; s++) {
      uint64_t begin = batch->samples[s]->span_begin, stop = batch->samples[s]->span_end; /* no padding */
      for (uint64_t i = begin; i < stop; i++)
        for (int64_t c = 0; c < t->shape[2]; c++) {
          double x = data[((int64_t)s * t->shape[1] + (int64_t)i) * t->shape[2] + c];
          self->seen.sum[layer] += x * x;
          self->seen.count[layer]++;
        }
    }
  }
  return FMRAI_OK;
}

static fmrai_status state(void *this, fmrai_sink *out, fmrai_sink *err) {
  (void)err;
  return out->write(out->ctx, &((norms *)this)->seen, sizeof ((norms *)this)->seen);
}

static fmrai_status merge(void *this, const void *bytes, size_t len, fmrai_sink *err) {
  norms *self = this, *other = malloc(sizeof *other); /* a copy: bytes need not be aligned */
  if (!other) return fail(err, FMRAI_ERR_OOM, "no memory");
  if (len != sizeof other->seen) {
    free(other);
    return fail(err, FMRAI_ERR_INVALID, "the state has another length");
  }
  memcpy(&other->seen, bytes, len);
  for (uint32_t layer = 0; layer < LAYERS; layer++) {
    self->seen.sum[layer] += other->seen.sum[layer];
    self->seen.count[layer] += other->seen.count[layer];
  }
  free(other);
  return FMRAI_OK;
}

typedef struct { DLManagedTensorVersioned tensor; int64_t shape, stride; double values[]; } owned;

static void delete_owned(DLManagedTensorVersioned *tensor) {
  free(tensor->manager_ctx);
  __atomic_sub_fetch(&live_tensors, 1, __ATOMIC_SEQ_CST);
}

static fmrai_status analyze(void *this, const fmrai_report *report, fmrai_sink *err) {
  norms *self = this;
  owned *o = calloc(1, sizeof *o + self->layers * sizeof(double));
  if (!o) return fail(err, FMRAI_ERR_OOM, "no memory");
  for (uint32_t layer = 0; layer < self->layers; layer++) {
    if (self->seen.count[layer] == 0) {
      free(o);
      return fail(err, FMRAI_ERR, "no token was seen, the analysis needs at least one");
    }
    o->values[layer] = sqrt(self->seen.sum[layer] / (double)self->seen.count[layer]);
  }
  o->shape = self->layers, o->stride = 1;
  o->tensor.version.major = 1;
  o->tensor.manager_ctx = o;
  o->tensor.deleter = delete_owned;
  DLTensor *t = &o->tensor.dl_tensor;
  t->data = o->values, t->device.device_type = kDLCPU, t->ndim = 1;
  t->dtype.code = kDLFloat, t->dtype.bits = 64, t->dtype.lanes = 1;
  t->shape = &o->shape, t->strides = &o->stride;
  __atomic_add_fetch(&live_tensors, 1, __ATOMIC_SEQ_CST);
  fmrai_status status = report->add_tensor(report->ctx, "rms", 3, &o->tensor);
  if (status != FMRAI_OK) return fail(err, status, "the host refused a tensor");
  char text[160];
  snprintf(text, sizeof text, "{\"summary\": {\"layers\": %u}, \"tensors\": [{\"name\": \"rms\", \"axes\": [\"layer\"]}]}",
           self->layers);
  return report->set_document(report->ctx, text, strlen(text));
}

static fmrai_status destroy(void *this, fmrai_sink *err) {
  (void)err;
  free(this);
  __atomic_sub_fetch(&live_instances, 1, __ATOMIC_SEQ_CST);
  return FMRAI_OK;
}

static int64_t instances(void) { return __atomic_load_n(&live_instances, __ATOMIC_SEQ_CST); }
static int64_t tensors(void) { return __atomic_load_n(&live_tensors, __ATOMIC_SEQ_CST); }
static const fmrai_live live = {instances, tensors};
static const void *get_extension(const char *id) { return strcmp(id, FMRAI_LIVE) == 0 ? &live : NULL; }

static const fmrai_analyzer row_norms = {
    .struct_size = sizeof(fmrai_analyzer), .describe = describe, .create = create, .prepare = prepare,
    .track_batch = track_batch, .state = state, .merge = merge, .analyze = analyze, .destroy = destroy,
};

static fmrai_status init(const fmrai_host *host, fmrai_sink *err) {
  (void)host, (void)err;
  return FMRAI_OK;
}
static uint32_t count(void) { return 1; }
static const fmrai_analyzer *nth(uint32_t index) { return index == 0 ? &row_norms : NULL; }

static const fmrai_plugin plugin = {
    .magic = FMRAI_MAGIC, .abi_major = FMRAI_ABI_MAJOR, .abi_minor = FMRAI_ABI_MINOR,
    .struct_size = sizeof(fmrai_plugin), .init = init, .analyzer_count = count, .analyzer = nth,
    .get_extension = get_extension,
};

FMRAI_EXPORT const fmrai_plugin *fmrai_plugin_entry_v1(uint32_t host_major, uint32_t host_minor) {
  (void)host_minor;
  return host_major == FMRAI_ABI_MAJOR ? &plugin : NULL;
}
