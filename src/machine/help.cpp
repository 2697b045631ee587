#include "machine/help.h"

#include "machine/iothreads.h"
#include "machine/memory_backend.h"
#include "machine/options_help.h"
#include "vcpu/cpu_model.h"

namespace nandu {
namespace {

struct ObjectType {
  std::string_view name;
  const TypeInfo& (*options)();
};

constexpr ObjectType kObjects[] = {
    {"iothread", IothreadOptionsType},
    {"memory-backend-file", FileBackendOptionsType},
    {"memory-backend-memfd", MemfdBackendOptionsType},
    {"memory-backend-ram", RamBackendOptionsType},
};

}  // namespace

std::string CpuHelpText() { return CpuHelp(); }

std::string ObjectHelpText() {
  std::string text = "List of user creatable objects:\n";
  for (const ObjectType& object : kObjects) {
    text += Format("  {}\n", object.name);
  }
  return text;
}

Result<std::string> ObjectOptionsHelpText(std::string_view type) {
  for (const ObjectType& object : kObjects) {
    if (object.name == type) {
      return OptionsHelpText(type, object.options());
    }
  }
  return Fail(Errc::kUnsupported, "object type '{}' is not served; 'nandu -object help' lists them", type);
}

}  // namespace nandu
