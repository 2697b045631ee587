#include "cli/property_list.h"

#include <algorithm>

#include "base/nearest.h"
#include "cli/numbers.h"

namespace nandu {
namespace {

// QEMU takes kernel_irqchip and kernel-irqchip alike.
bool SameKey(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b,
                            [](char x, char y) { return (x == '_' ? '-' : x) == (y == '_' ? '-' : y); });
}

}  // namespace

Result<PropertyList> PropertyList::Parse(std::string_view text, std::string_view implied) {
  PropertyList list;
  list.items_ = TRY(ParseKeyValues(text, implied));
  return list;
}

bool PropertyList::Has(std::string_view key) const {
  return std::ranges::any_of(items_, [key](const KeyValue& item) { return SameKey(item.key, key); });
}

std::string PropertyList::Take(std::string_view key, std::string_view fallback) {
  known_.emplace_back(key);
  std::string value(fallback);
  std::erase_if(items_, [&](const KeyValue& item) {
    if (!SameKey(item.key, key)) {
      return false;
    }
    value = item.value;
    return true;
  });
  return value;
}

Result<bool> PropertyList::TakeSwitch(std::string_view key, bool fallback) {
  const bool given = Has(key);
  const std::string value = Take(key);
  return given ? Prefix(SwitchFrom(value), key) : Result<bool>(fallback);
}

Result<unsigned> PropertyList::TakeNumber(std::string_view key, unsigned fallback, unsigned low,
                                          unsigned high) {
  const bool given = Has(key);
  const std::string value = Take(key);
  return given ? Prefix(NumberFrom(value, low, high), key) : Result<unsigned>(fallback);
}

Result<> PropertyList::TakeOnly(std::string_view key, std::initializer_list<std::string_view> served,
                                std::string_view why) {
  const bool given = Has(key);
  const std::string value = Take(key);
  if (given && std::ranges::find(served, value) == served.end()) {
    return Fail(Errc::kUnsupported, "{}={} is not served: {}", key, value, why);
  }
  return {};
}

std::string PropertyList::KnownText() const {
  std::vector<std::string> names = known_;
  std::ranges::sort(names);
  std::string text;
  for (const std::string& name : names) {
    text += Format("  {}=\n", name);
  }
  return text;
}

Result<> PropertyList::Finish() const {
  if (items_.empty()) {
    return {};
  }
  const std::vector<std::string_view> known(known_.begin(), known_.end());
  return Fail(Errc::kInvalidArgument, "unknown property '{}'{}", items_.front().key,
              DidYouMean(items_.front().key, known));
}

}  // namespace nandu
