// What is known of an operation beyond what the dispatcher tells, where a program calls it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fmrai {

struct Note {
  std::string module;
  std::string source;
  std::vector<uint8_t> sizes;      // per argument: it is computed from sizes of the input
  std::vector<std::string> names;  // of the tensors it makes, in order
};

// The note of the next operation that this thread calls; taken by the first operation that the hook sees.
const Note* take_note();

class Noted {
 public:
  explicit Noted(const Note* note);
  ~Noted();
  Noted(const Noted&) = delete;
  Noted& operator=(const Noted&) = delete;
};

}  // namespace fmrai
