#include "machine/options_help.h"

#include <boost/json/value.hpp>

#include "base/json.h"

namespace nandu {
namespace {

std::string KindText(const TypeInfo& type) {
  switch (type.kind) {
    case TypeKind::kBool: return "bool";
    case TypeKind::kInteger: return "number";
    case TypeKind::kDouble: return "number";
    case TypeKind::kString: return "string";
    case TypeKind::kEnum: {
      std::string choices;
      for (const EnumeratorInfo& enumerator : type.enumerators) {
        choices += (choices.empty() ? "" : "|") + enumerator.wire;
      }
      return choices;
    }
    case TypeKind::kOptional: return KindText(type.element());
    default: return "value";
  }
}

// What stands in an options struct before anybody says anything; empty for what is then absent.
std::string DefaultText(const TypeInfo& type, const void* object) {
  const boost::json::value value = ToJson(type, object);
  return value.is_null() || (value.is_string() && value.as_string().empty()) ? std::string()
                                                                             : JsonText(value);
}

}  // namespace

std::string OptionsHelpText(std::string_view name, const TypeInfo& type) {
  const auto* defaults = static_cast<const char*>(type.default_object());
  std::string text = Format("{} options:\n", name);
  for (const FieldInfo& field : type.fields) {
    const TypeInfo& field_type = field.type();
    const std::string left = Format("  {}=<{}>", field.wire, KindText(field_type));
    const std::string standard = DefaultText(field_type, defaults + field.offset);
    text += standard.empty() ? left + "\n" : Format("{:<40} (default: {})\n", left, standard);
  }
  return text;
}

}  // namespace nandu
