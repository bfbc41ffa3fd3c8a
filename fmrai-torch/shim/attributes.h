// Everything that can be reached from a TorchScript module and that a method may assign: attributes, lists, dictionaries.
#pragma once

#include <ATen/core/ivalue.h>

#include <utility>
#include <vector>

namespace fmrai {

// References as they are now: of tensors the memory is not copied. Numbers, texts and truths are kept as values.
class Attributes {
 public:
  explicit Attributes(const c10::IValue& root);

  // Puts every reference back. May be called again.
  void put_back() const;
  // True if every reference is as it was.
  bool are_current() const;

 private:
  void add(const c10::IValue& value);

  std::vector<std::pair<c10::intrusive_ptr<c10::ivalue::Object>, std::vector<c10::IValue>>> objects_;
  std::vector<std::pair<c10::List<c10::IValue>, std::vector<c10::IValue>>> lists_;
  std::vector<std::pair<c10::impl::GenericDict, std::vector<std::pair<c10::IValue, c10::IValue>>>> dictionaries_;
  std::vector<std::pair<at::Generator, at::Tensor>> generators_;
};

}  // namespace fmrai
