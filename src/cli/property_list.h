// One option's properties, taken one by one; what is left at the end is unknown and named with the nearest
// known one.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/keyval.h"

namespace nandu {

class PropertyList {
 public:
  static Result<PropertyList> Parse(std::string_view text, std::string_view implied);

  bool Has(std::string_view key) const;
  // The last value given, and the property is taken. `fallback` when it was not given.
  std::string Take(std::string_view key, std::string_view fallback = {});
  Result<bool> TakeSwitch(std::string_view key, bool fallback);
  Result<unsigned> TakeNumber(std::string_view key, unsigned fallback, unsigned low, unsigned high);
  // A property nandu serves with these values only: anything else is refused with `why`.
  Result<> TakeOnly(std::string_view key, std::initializer_list<std::string_view> served,
                    std::string_view why);
  std::string KnownText() const;  // a line for each property that was asked for so far, for help
  // Everything was taken, or the error names what was not.
  Result<> Finish() const;

 private:
  std::vector<KeyValue> items_;
  std::vector<std::string> known_;
};

}  // namespace nandu
