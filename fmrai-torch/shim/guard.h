// Exceptions end here: what the functions of api.h share.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace fmrai {

// The first line of a message, in memory that the caller frees. Those of the TorchScript interpreter are given whole: they
// begin with where it was, and end with what went wrong.
inline char* first_line(const char* message) {
  const char* interpreter = "The following operation failed in the TorchScript interpreter";
  const bool whole = std::strncmp(message, interpreter, std::strlen(interpreter)) == 0;
  const char* end = whole ? nullptr : std::strchr(message, '\n');
  const size_t length = end != nullptr ? static_cast<size_t>(end - message) : std::strlen(message);
  char* out = static_cast<char*>(std::malloc(length + 1));
  if (out == nullptr) std::abort();
  std::memcpy(out, message, length);
  out[length] = '\0';
  return out;
}

template <typename F>
char* guarded(F f) noexcept {
  try {
    f();
    return nullptr;
  } catch (const std::exception& e) {
    return first_line(e.what());
  } catch (...) {
    return first_line("unknown C++ exception");
  }
}

using Sink = void (*)(void*, const uint8_t*, size_t);
inline void give(const std::string& bytes, Sink sink, void* context) {
  sink(context, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace fmrai
