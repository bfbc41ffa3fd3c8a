// Exceptions end here: what the functions of api.h share.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace fmrai {

// The first line of a message, in memory that the caller frees.
inline char* first_line(const char* message) {
  const char* end = std::strchr(message, '\n');
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
