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
Script(const uint8_t* bytes, size_t count);

  // {"class": "...", "inputs": [{"name": "...", "type": "...", "required": true, "rows": 9}], "modules": [{"path": "...", "class": "..."}]}
  std::string describe() const;
  void weights(const EachTensor& each) const;
  // Null for inputs that are left out.
  // All of it runs on this thread, forked tasks too.
  void forward(const std::vector<const at::Tensor*>& inputs, const EachTensor& each);
  // What the module refers to, itself included.
  c10::IValue root() const { return module_._ivalue(); }

 private:
  struct Named {
    std::string path;
    std::string type;
  };
  friend std::string module_path(const std::vector<std::string>& hierarchy);

  // Makes the first run of a method like every later one.
  void prepare(torch::jit::Method& method, const std::vector<c10::IValue>& values);

  torch::jit::Module module_;
  std::vector<Named> modules_;
  bool warm_ = false;
};

// The path of the module that runs, from what the interpreter tells of it: for each call `NAME(CLASS)::METHOD`. Lists of modules
// are left out there; they are put in again where a module of the running script can be meant.
std::string module_path(const std::vector<std::string>& hierarchy);

}  // namespace fmrai
