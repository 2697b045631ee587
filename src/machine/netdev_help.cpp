#include "machine/netdev_help.h"

#include "machine/options_help.h"
#include "net/netdevs.h"

namespace nandu {

const TypeInfo* NetdevOptions(std::string_view type) {
  const NetdevType* const found = FindNetdevType(type);
  return found == nullptr ? nullptr : found->options();
}

std::string NetdevHelpText() {
  std::string text = "Available netdev backend types:\n";
  for (const NetdevType& type : NetdevTypes()) {
    text += Format("{:<8} {}\n", type.name, type.description);
  }
  return text;
}

Result<std::string> NetdevOptionsHelpText(std::string_view type) {
  if (const TypeInfo* const options = NetdevOptions(type)) {
    return OptionsHelpText(type, *options);
  }
  return Fail(Errc::kInvalidArgument, "there is no netdev type '{}'; 'nandu -netdev help' lists them", type);
}

}  // namespace nandu
