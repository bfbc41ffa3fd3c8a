// See program_api.h.
#include "program_api.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <memory>
#include <new>

#include "attributes.h"
#include "call.h"
#include "guard.h"
#include "hook.h"
#include "script.h"
#include "session.h"

namespace {

fmrai::Form form(fmrai::Reader& reader) {
  fmrai::Form form;
  form.dtype = reader.number<int32_t>();
  const auto rank = reader.number<uint32_t>();
  for (uint32_t i = 0; i < rank; ++i) form.sizes.push_back(reader.number<int64_t>());
  for (uint32_t i = 0; i < rank; ++i) form.strides.push_back(reader.number<int64_t>());
  form.offset = reader.number<int64_t>();
  return form;
}

using EachTensor = void (*)(void*, const uint8_t*, size_t, at::Tensor*);
fmrai::EachTensor handing_out(EachTensor each, void* context) {
  return [=](const std::string& name, const at::Tensor& tensor) {
    each(context, reinterpret_cast<const uint8_t*>(name.data()), name.size(), new at::Tensor(tensor));
  };
}

}  // namespace

using fmrai::guarded;

extern "C" {

fmrai::Frame* fmrai_frame_new(size_t slots) {
  try {
    return new fmrai::Frame(slots);
  } catch (...) {
    return nullptr;
  }
}

void fmrai_frame_free(fmrai::Frame* frame) { delete frame; }

char* fmrai_frame_set_tensor(fmrai::Frame* frame, uint32_t slot, const at::Tensor* tensor) {
  return guarded([&] { frame->at(slot) = *tensor; });
}

char* fmrai_frame_set_number(fmrai::Frame* frame, uint32_t slot, uint8_t kind, int64_t integer, double real) {
  return guarded([&] {
    auto& value = frame->at(slot);
    if (kind == 1) {
      value = integer;
    } else if (kind == 2) {
      value = real;
    } else if (kind == 3) {
      value = integer != 0;
    } else {
      value = c10::IValue();
    }
  });
}

char* fmrai_frame_get(
    fmrai::Frame* frame, uint32_t slot, uint8_t* kind, int64_t* integer, double* real, at::Tensor** tensor) {
  return guarded([&] {
    const auto& value = frame->at(slot);
    *kind = 5;
    if (value.isNone()) {
      *kind = 0;
    } else if (value.isInt()) {
      *kind = 1;
      *integer = value.toInt();
    } else if (value.isDouble()) {
      *kind = 2;
      *real = value.toDouble();
    } else if (value.isBool()) {
      *kind = 3;
      *integer = value.toBool();
    } else if (value.isTensor()) {
      *kind = 4;
      *tensor = new at::Tensor(value.toTensor());
    }
  });
}

char* fmrai_frame_copy(fmrai::Frame* frame, uint32_t from, uint32_t to) {
  return guarded([&] {
    c10::IValue value = frame->at(from);
    frame->at(to) = std::move(value);
  });
}

char* fmrai_frame_clear(fmrai::Frame* frame, const uint32_t* slots, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; ++i) frame->at(slots[i]) = c10::IValue();
  });
}

bool fmrai_frame_wrote(const fmrai::Frame* frame, const at::Tensor* tensor) {
  return tensor->defined() && tensor->has_storage() && frame->written.count(tensor->storage().unsafeGetStorageImpl()) != 0;
}

char* fmrai_call_new(const uint8_t* bytes, size_t length, fmrai::Call** call) {
  return guarded([&] {
    fmrai::register_stand_ins();
    *call = new fmrai::Call(fmrai::Reader(bytes, length));
  });
}

void fmrai_call_free(fmrai::Call* call) { delete call; }

char* fmrai_call_run(fmrai::Call* call, fmrai::Frame* frame) {
  return guarded([&] { call->run(*frame); });
}

char* fmrai_call_simulate(
    fmrai::Call* call, fmrai::Frame* frame, fmrai::Session* session, const uint8_t* forms, size_t length) {
  return guarded([&] {
    fmrai::Reader reader(forms, length);
    std::vector<fmrai::Form> all;
    while (!reader.done()) all.push_back(form(reader));
    call->simulate(*frame, *session, all);
  });
}

char* fmrai_session_finish(fmrai::Session* session) {
  return guarded([&] { session->finish(); });
}

char* fmrai_tensor_in(const at::Tensor* buffer, size_t offset, size_t bytes, at::Tensor** storage) {
  return guarded([&] { *storage = new at::Tensor(fmrai::storage_in(*buffer, offset, bytes)); });
}

char* fmrai_tensor_strided(const at::Tensor* storage, const uint8_t* bytes, size_t length, at::Tensor** tensor) {
  return guarded([&] {
    fmrai::Reader reader(bytes, length);
    *tensor = new at::Tensor(fmrai::strided(*storage, form(reader)));
  });
}

char* fmrai_tensor_imagined(const uint8_t* bytes, size_t length, at::Tensor** tensor) {
  return guarded([&] {
    fmrai::Reader reader(bytes, length);
    *tensor = new at::Tensor(fmrai::imagined_tensor(form(reader)));
  });
}

char* fmrai_tensor_imagined_view(const at::Tensor* base, const uint8_t* bytes, size_t length, at::Tensor** tensor) {
  return guarded([&] {
    fmrai::Reader reader(bytes, length);
    *tensor = new at::Tensor(fmrai::imagined_view(*base, form(reader)));
  });
}

char* fmrai_tensor_number(uint8_t kind, int64_t integer, double real, at::Tensor** tensor) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    const at::Scalar number = kind == 2 ? at::Scalar(real) : kind == 3 ? at::Scalar(integer != 0) : at::Scalar(integer);
    *tensor = new at::Tensor(at::scalar_tensor(number, at::TensorOptions(number.type())));
  });
}

char* fmrai_tensor_copy(const at::Tensor* tensor, at::Tensor** copy) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    at::NoGradGuard no_grad;
    *copy = new at::Tensor(tensor->detach().clone());
  });
}

char* fmrai_tensor_exchange(const at::Tensor* tensor, const at::Tensor* other) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    tensor->set_data(*other);
  });
}

char* fmrai_autocast_enter(
    const char* device, size_t length, int32_t dtype, bool enabled, fmrai_autocast_state* before) {
  return guarded([&] {
    const auto kind = c10::Device(std::string(device, length)).type();
    *before = {static_cast<int32_t>(kind), static_cast<int32_t>(at::autocast::get_autocast_dtype(kind)),
               at::autocast::is_autocast_enabled(kind)};
    if (dtype >= 0) at::autocast::set_autocast_dtype(kind, static_cast<at::ScalarType>(dtype));
    at::autocast::set_autocast_enabled(kind, enabled);
    at::autocast::increment_nesting();
  });
}

char* fmrai_autocast_leave(const fmrai_autocast_state* before) {
  return guarded([&] {
    const auto kind = static_cast<c10::DeviceType>(before->device);
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(kind, static_cast<at::ScalarType>(before->dtype));
    at::autocast::set_autocast_enabled(kind, before->enabled);
  });
}

char* fmrai_script_load(const uint8_t* bytes, size_t count, fmrai::Script** script) {
  return guarded([&] { *script = new fmrai::Script(bytes, count); });
}

void fmrai_script_free(fmrai::Script* script) { delete script; }

char* fmrai_script_describe(const fmrai::Script* script, fmrai::Sink sink, void* context) {
  return guarded([&] { fmrai::give(script->describe(), sink, context); });
}

char* fmrai_script_weights(const fmrai::Script* script, EachTensor each, void* context) {
  return guarded([&] { script->weights(handing_out(each, context)); });
}

char* fmrai_script_forward(
    fmrai::Script* script, const at::Tensor* const* inputs, size_t count, EachTensor each, void* context) {
  return guarded([&] { script->forward({inputs, inputs + count}, handing_out(each, context)); });
}

char* fmrai_script_attributes(const fmrai::Script* script, fmrai::Attributes** attributes) {
  return guarded([&] { *attributes = new fmrai::Attributes(script->root()); });
}

void fmrai_attributes_free(fmrai::Attributes* attributes) { delete attributes; }

char* fmrai_attributes_put_back(const fmrai::Attributes* attributes) {
  return guarded([&] { attributes->put_back(); });
}

char* fmrai_attributes_are_current(const fmrai::Attributes* attributes, bool* current) {
  return guarded([&] { *current = attributes->are_current(); });
}

}  // extern "C"
