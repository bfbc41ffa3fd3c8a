// A TorchScript module.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <string>
#include <vector>

namespace fmrai {

using EachTensor = std::function<void(const std::string& name, const at::Tensor& tensor)>;

class Script {
 public:
  explicit Script(const std::string& path);

  // {"class": "...", "inputs": [{"name": "...", "type": "...", "required": true}], "modules": [{"path": "...", "class": "..."}]}
  std::string describe() const;
  void weights(const EachTensor& each) const;
  // Null for inputs that are left out.
  void forward(const std::vector<const at::Tensor*>& inputs, const EachTensor& each);

 private:
  torch::jit::Module module_;
};

}  // namespace fmrai
