// Calls of single operations, and TorchScript. Conventions as in api.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}
namespace fmrai {
class Call;
struct Frame;
class Session;
class Script;
class Attributes;
}

extern "C" {
fmrai::Frame* fmrai_frame_new(size_t slots);
void fmrai_frame_free(fmrai::Frame* frame);
char* fmrai_frame_set_tensor(fmrai::Frame* frame, uint32_t slot, const at::Tensor* tensor);
// kind: 0 nothing, 1 integer, 2 real, 3 truth, 4 tensor, 5 anything else.
char* fmrai_frame_set_number(fmrai::Frame* frame, uint32_t slot, uint8_t kind, int64_t integer, double real);
char* fmrai_frame_get(
    fmrai::Frame* frame, uint32_t slot, uint8_t* kind, int64_t* integer, double* real, at::Tensor** tensor);
char* fmrai_frame_copy(fmrai::Frame* frame, uint32_t from, uint32_t to);
char* fmrai_frame_clear(fmrai::Frame* frame, const uint32_t* slots, size_t count);
bool fmrai_frame_wrote(const fmrai::Frame* frame, const at::Tensor* tensor);

// `bytes` is encoded as in call.rs.
char* fmrai_call_new(const uint8_t* bytes, size_t length, fmrai::Call** call);
void fmrai_call_free(fmrai::Call* call);
char* fmrai_call_run(fmrai::Call* call, fmrai::Frame* frame);
char* fmrai_call_simulate(
    fmrai::Call* call, fmrai::Frame* frame, fmrai::Session* session, const uint8_t* forms, size_t length);
char* fmrai_session_finish(fmrai::Session* session);

char* fmrai_tensor_in(const at::Tensor* buffer, size_t offset, size_t bytes, at::Tensor** storage);
char* fmrai_tensor_strided(const at::Tensor* storage, const uint8_t* form, size_t length, at::Tensor** tensor);
char* fmrai_tensor_imagined(const uint8_t* form, size_t length, at::Tensor** tensor);
char* fmrai_tensor_imagined_view(const at::Tensor* base, const uint8_t* form, size_t length, at::Tensor** tensor);

char* fmrai_tensor_number(uint8_t kind, int64_t integer, double real, at::Tensor** tensor);
// A copy that no session sees being made.
char* fmrai_tensor_copy(const at::Tensor* tensor, at::Tensor** copy);
// Gives `tensor` the memory of `other`; what shares memory with `tensor` keeps the old one.
char* fmrai_tensor_exchange(const at::Tensor* tensor, const at::Tensor* other);

// Autocast of this thread for a kind of device; `before` receives what it was, to be given back on leaving.
struct fmrai_autocast_state {
  int32_t device;
  int32_t dtype;
  bool enabled;
};
char* fmrai_autocast_enter(
    const char* device, size_t length, int32_t dtype, bool enabled, fmrai_autocast_state* before);
char* fmrai_autocast_leave(const fmrai_autocast_state* before);

// The bytes of a file; they are read during the call only.
char* fmrai_script_load(const uint8_t* bytes, size_t count, fmrai::Script** script);
void fmrai_script_free(fmrai::Script* script);
// Description as JSON: class, inputs, modules.
char* fmrai_script_describe(
    const fmrai::Script* script, void (*sink)(void*, const uint8_t*, size_t), void* context);
// Named tensors are handed out one by one; the callee owns them.
char* fmrai_script_weights(
    const fmrai::Script* script, void (*each)(void*, const uint8_t*, size_t, at::Tensor*), void* context);
char* fmrai_script_forward(
    fmrai::Script* script, const at::Tensor* const* inputs, size_t count,
    void (*each)(void*, const uint8_t*, size_t, at::Tensor*), void* context);
// What the module refers to now.
char* fmrai_script_attributes(const fmrai::Script* script, fmrai::Attributes** attributes);
void fmrai_attributes_free(fmrai::Attributes* attributes);
char* fmrai_attributes_put_back(const fmrai::Attributes* attributes);
char* fmrai_attributes_are_current(const fmrai::Attributes* attributes, bool* current);
}
