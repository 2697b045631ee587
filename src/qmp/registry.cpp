#include "qmp/registry.h"

#include <boost/json/value.hpp>

#include "base/check.h"

namespace nandu {

bool QmpRegistry::ParseArguments(const TypeInfo& type, void* into, const boost::json::value& arguments,
                                 PendingReply& reply) {
  const Result<> parsed =
      FromJson(type, into, arguments, {.path = "arguments", .absent = AbsentFields::kRefuse});
  if (!parsed) {
    const QmpFailure failure{QmpErrorClass::kGenericError, parsed.error().message};
    reply.Send({nullptr, nullptr, &failure});
    return false;
  }
  return true;
}

void QmpRegistry::Add(std::string_view name, QmpCommand command) {
  const bool fresh = commands_.try_emplace(std::string(name), std::move(command)).second;
  NANDU_CHECK(fresh, "a command is bound once");
}

const QmpCommand* QmpRegistry::Find(std::string_view name) const {
  const auto at = commands_.find(name);
  return at == commands_.end() ? nullptr : &at->second;
}

}  // namespace nandu
