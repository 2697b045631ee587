#include "devices/pci/pci_options.h"

#include <charconv>

namespace nandu {

namespace {

// A hexadecimal number up to `max`, with or without 0x; -1 when it is none.
int HexUpTo(std::string_view text, unsigned max) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
  }
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() && value <= max ? static_cast<int>(value)
                                                                                  : -1;
}

}  // namespace

Result<int> ParsePciAddress(const std::string& addr) {
  if (addr.empty()) {
    return -1;
  }
  const std::string_view text = addr;
  const size_t dot = text.find('.');
  const int slot = HexUpTo(text.substr(0, dot), 0x1f);
  const int function = dot == std::string_view::npos ? 0 : HexUpTo(text.substr(dot + 1), 7);
  if (slot < 0 || function < 0) {
    return Fail(Errc::kInvalidArgument,
                "addr={} is no PCI address; write a slot of 0 to 1f (hexadecimal) and, if need be, a "
                "function of 0 to 7: addr=3 or "
                "addr=1d.2",
                addr);
  }
  return slot << 3 | function;
}

}  // namespace nandu
