// See attributes.h.
#include "attributes.h"

#include <ATen/Functions.h>
#include <ATen/core/Generator.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <mutex>
#include <unordered_set>

#include "hook.h"

namespace fmrai {
namespace {

// The same reference, or the same value where there is no reference.
bool same(const c10::IValue& a, const c10::IValue& b) { return a.is(b); }

bool same(const std::vector<c10::IValue>& a, const std::vector<c10::IValue>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i], b[i])) return false;
  }
  return true;
}

std::vector<c10::IValue> items_of(const c10::List<c10::IValue>& list) {
  std::vector<c10::IValue> items;
  items.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) items.push_back(list.get(i));
  return items;
}

std::vector<std::pair<c10::IValue, c10::IValue>> entries_of(const c10::impl::GenericDict& dictionary) {
  std::vector<std::pair<c10::IValue, c10::IValue>> entries;
  entries.reserve(dictionary.size());
  for (const auto& entry : dictionary) entries.emplace_back(entry.key(), entry.value());
  return entries;
}

at::Tensor state_of(at::Generator generator) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

}  // namespace

Attributes::Attributes(const c10::IValue& root) {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  std::unordered_set<const void*> seen;
  std::vector<c10::IValue> left{root};
  auto once = [&](const void* address) { return seen.insert(address).second; };
  while (!left.empty()) {
    const c10::IValue value = std::move(left.back());
    left.pop_back();
    if (value.isObject()) {
      auto object = value.toObject();
      if (!once(object.get())) continue;
      objects_.emplace_back(object, object->slots());
      left.insert(left.end(), object->slots().begin(), object->slots().end());
    } else if (value.isList()) {
      auto list = value.toList();
      if (!once(value.internalToPointer())) continue;
      auto items = items_of(list);
      left.insert(left.end(), items.begin(), items.end());
      lists_.emplace_back(std::move(list), std::move(items));
    } else if (value.isGenericDict()) {
      auto dictionary = value.toGenericDict();
      if (!once(value.internalToPointer())) continue;
      auto entries = entries_of(dictionary);
      for (const auto& entry : entries) left.push_back(entry.second);
      dictionaries_.emplace_back(std::move(dictionary), std::move(entries));
    } else if (value.isTuple()) {
      // Cannot be assigned, but what is in it can.
      const auto elements = value.toTupleRef().elements().vec();
      left.insert(left.end(), elements.begin(), elements.end());
    } else if (value.isGenerator()) {
      const auto generator = value.toGenerator();
      if (once(generator.unsafeGetGeneratorImpl())) generators_.emplace_back(generator, state_of(generator));
    }
  }
}

void Attributes::put_back() const {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  for (const auto& [object, slots] : objects_) {
    for (size_t i = 0; i < slots.size(); ++i) object->setSlot(i, slots[i]);
  }
  for (const auto& [list, items] : lists_) {
    auto into = list;
    into.clear();
    for (const auto& item : items) into.push_back(item);
  }
  for (const auto& [dictionary, entries] : dictionaries_) {
    auto into = dictionary;
    into.clear();
    for (const auto& [key, value] : entries) into.insert(key, value);
  }
  for (const auto& [generator, state] : generators_) {
    auto own = generator;
    std::lock_guard<std::mutex> lock(own.mutex());
    own.set_state(state);
  }
}

bool Attributes::are_current() const {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  for (const auto& [object, slots] : objects_) {
    if (!same(object->slots(), slots)) return false;
  }
  for (const auto& [list, items] : lists_) {
    if (!same(items_of(list), items)) return false;
  }
  for (const auto& [dictionary, entries] : dictionaries_) {
    const auto now = entries_of(dictionary);
    if (now.size() != entries.size()) return false;
    for (size_t i = 0; i < now.size(); ++i) {
      if (!same(now[i].first, entries[i].first) || !same(now[i].second, entries[i].second)) return false;
    }
  }
  for (const auto& [generator, state] : generators_) {
    if (!at::equal(state_of(generator), state)) return false;
  }
  return true;
}

}  // namespace fmrai
