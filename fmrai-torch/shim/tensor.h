// Tensors as Rust holds them: what they are, their elements, and settings of the thread. Errors as in api.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {
// What a tensor is; sizes are asked for apart.
struct fmrai_tensor_facts {
  int32_t dtype;         // of c10::ScalarType; -1 where it is undefined
  int32_t device;        // of c10::DeviceType
  int32_t device_index;  // -1 where there is but one
  uint32_t axes;
  uint64_t elements;
  bool defined;
  bool strided;     // its elements lie in memory, one stride for each axis
  bool contiguous;  // row-major, without gaps
  bool gradient;    // an operation on it is recorded for gradients
};

char* fmrai_tensor_facts_of(const at::Tensor* tensor, fmrai_tensor_facts* facts);
// Sizes, outermost axis first, into as many places as there are axes.
char* fmrai_tensor_sizes(const at::Tensor* tensor, int64_t* sizes, size_t axes);
// Address of its first element; null where it has none.
void* fmrai_tensor_data(const at::Tensor* tensor);

at::Tensor* fmrai_tensor_share(const at::Tensor* tensor);  // null when out of memory
void fmrai_tensor_free(at::Tensor* tensor);
// A new dense tensor of the CPU with a copy of these bytes, which have to be as many as it needs.
char* fmrai_tensor_of_bytes(
    const uint8_t* bytes, size_t count, const int64_t* sizes, size_t axes, int32_t dtype, at::Tensor** tensor);
// Copies its elements, row-major, into `bytes`, which has to be as long as they are. No session sees it.
char* fmrai_tensor_bytes(const at::Tensor* tensor, uint8_t* bytes, size_t count);

// Copies bytes into and out of a dense tensor of the CPU, from the byte `at` on.
char* fmrai_tensor_write_part(const at::Tensor* tensor, size_t at, const uint8_t* bytes, size_t count);
char* fmrai_tensor_read_part(const at::Tensor* tensor, size_t at, uint8_t* bytes, size_t count);

// The same elements outside of any record of gradients, as something to differentiate with respect to.
char* fmrai_tensor_leaf(const at::Tensor* tensor, at::Tensor** leaf);
// Derivatives of a tensor with respect to others; null for one that it does not depend on. `weights` has the form of the tensor, and says how much
// each of its elements counts; null for a tensor of one element. The record is given up unless it is to be kept.
char* fmrai_gradients_of(
    const at::Tensor* of, const at::Tensor* weights, const at::Tensor* const* to, size_t count, bool keep,
    at::Tensor** gradients);
// Whether gradients are recorded on this thread; returns what was set before.
bool fmrai_gradients(bool enabled);
char* fmrai_threads(int32_t count);
char* fmrai_seed(uint64_t seed);
char* fmrai_synchronize(int32_t cuda);
// How many CUDA devices there are.
uint32_t fmrai_cuda_devices(void);
}
