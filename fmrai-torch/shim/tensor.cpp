// See tensor.h.
#include "tensor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "guard.h"
#include "hook.h"

using fmrai::guarded;

namespace {

uint8_t* part(const at::Tensor& tensor, size_t at, size_t count) {
  if (!tensor.device().is_cpu() || !tensor.is_contiguous()) throw std::logic_error("dense memory of the CPU is needed");
  if (at > tensor.nbytes() || count > tensor.nbytes() - at) throw std::out_of_range("the part lies outside of the tensor");
  return static_cast<uint8_t*>(tensor.data_ptr()) + at;
}

}  // namespace

extern "C" {

char* fmrai_tensor_facts_of(const at::Tensor* tensor, fmrai_tensor_facts* facts) {
  return guarded([&] {
    *facts = {};
    facts->dtype = -1;
    facts->device_index = -1;
    if (!tensor->defined()) return;
    facts->defined = true;
    facts->dtype = static_cast<int32_t>(tensor->scalar_type());
    facts->device = static_cast<int32_t>(tensor->device().type());
    facts->device_index = tensor->device().index();
    facts->axes = static_cast<uint32_t>(tensor->dim());
    facts->elements = static_cast<uint64_t>(tensor->numel());
    facts->strided = tensor->layout() == at::kStrided && !tensor->is_nested() && tensor->has_storage();
    facts->contiguous = facts->strided && tensor->is_contiguous() && !tensor->is_conj() && !tensor->is_neg();
    facts->gradient = tensor->requires_grad();
  });
}

char* fmrai_tensor_sizes(const at::Tensor* tensor, int64_t* sizes, size_t axes) {
  return guarded([&] {
    const auto found = tensor->sizes();
    if (found.size() != axes) throw std::logic_error("it has another number of axes");
    std::copy(found.begin(), found.end(), sizes);
  });
}

void* fmrai_tensor_data(const at::Tensor* tensor) {
  void* data = nullptr;
  std::free(guarded([&] {
    if (tensor->defined() && tensor->has_storage()) data = tensor->data_ptr();
  }));
  return data;
}

at::Tensor* fmrai_tensor_share(const at::Tensor* tensor) { return new (std::nothrow) at::Tensor(*tensor); }

void fmrai_tensor_free(at::Tensor* tensor) { delete tensor; }

char* fmrai_tensor_of_bytes(
    const uint8_t* bytes, size_t count, const int64_t* sizes, size_t axes, int32_t dtype, at::Tensor** tensor) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    auto made = at::empty({sizes, axes}, at::TensorOptions(at::kCPU).dtype(static_cast<at::ScalarType>(dtype)));
    if (made.nbytes() != count) {
      throw std::runtime_error(
          "a tensor of " + std::to_string(made.nbytes()) + " bytes was given " + std::to_string(count));
    }
    if (count > 0) std::memcpy(made.data_ptr(), bytes, count);
    *tensor = new at::Tensor(std::move(made));
  });
}

char* fmrai_tensor_bytes(const at::Tensor* tensor, uint8_t* bytes, size_t count) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    at::NoGradGuard no_grad;
    auto dense = tensor->detach().to(at::kCPU).resolve_conj().resolve_neg();
    if (dense.layout() != at::kStrided) dense = dense.to_dense();
    dense = dense.contiguous();
    if (dense.nbytes() != count) {
      throw std::runtime_error("it has " + std::to_string(dense.nbytes()) + " bytes, not " + std::to_string(count));
    }
    if (count > 0) std::memcpy(bytes, dense.data_ptr(), count);
  });
}

char* fmrai_tensor_write_part(const at::Tensor* tensor, size_t at, const uint8_t* bytes, size_t count) {
  return guarded([&] { std::copy(bytes, bytes + count, part(*tensor, at, count)); });
}

char* fmrai_tensor_read_part(const at::Tensor* tensor, size_t at, uint8_t* bytes, size_t count) {
  return guarded([&] {
    const uint8_t* start = part(*tensor, at, count);
    std::copy(start, start + count, bytes);
  });
}

char* fmrai_tensor_leaf(const at::Tensor* tensor, at::Tensor** leaf) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    *leaf = new at::Tensor(tensor->detach().clone().requires_grad_(true));
  });
}

char* fmrai_gradients_of(
    const at::Tensor* of, const at::Tensor* weights, const at::Tensor* const* to, size_t count, bool keep,
    at::Tensor** gradients) {
  return guarded([&] {
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    std::vector<at::Tensor> inputs;
    for (size_t i = 0; i < count; ++i) inputs.push_back(*to[i]);
    std::vector<at::Tensor> factors;
    if (weights != nullptr) factors.push_back(*weights);
    auto made = torch::autograd::grad({*of}, inputs, factors, keep, false, /*allow_unused=*/true);
    for (size_t i = 0; i < count; ++i) {
      gradients[i] = made[i].defined() ? new at::Tensor(made[i].detach()) : nullptr;
    }
  });
}

bool fmrai_gradients(bool enabled) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(enabled);
  return before;
}

char* fmrai_threads(int32_t count) {
  return guarded([&] { at::set_num_threads(count); });
}

char* fmrai_seed(uint64_t seed) {
  return guarded([&] { at::manual_seed(seed); });
}

char* fmrai_synchronize(int32_t cuda) {
  return guarded([&] { torch::cuda::synchronize(cuda); });
}

uint32_t fmrai_cuda_devices(void) {
  try {
    return static_cast<uint32_t>(torch::cuda::device_count());
  } catch (...) {
    return 0;  // a driver that does not answer is no device
  }
}

}  // extern "C"
