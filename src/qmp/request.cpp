#include "qmp/request.h"

#include "base/json.h"

namespace nandu {
namespace {

namespace json = boost::json;

std::optional<QmpFailure> ReadMembers(const json::object& members, bool oob, QmpRequest* request) {
  const auto failure = [](std::string description) {
    return QmpFailure{QmpErrorClass::kGenericError, std::move(description)};
  };
  bool named = false;
  for (const json::key_value_pair& member : members) {
    const json::string_view name = member.key();
    if (name == "execute" || (name == "exec-oob" && oob)) {
      if (named) {
        return failure("a command has either 'execute' or 'exec-oob'");
      }
      if (!member.value().is_string()) {
        return failure("a command's 'execute' must be a string");
      }
      named = true;
      request->command = member.value().get_string();
      request->out_of_band = name == "exec-oob";
    } else if (name == "arguments") {
      if (!member.value().is_object()) {
        return failure("a command's 'arguments' must be an object");
      }
      request->arguments = member.value();
    } else if (name != "id") {
      return failure(
          Format("a command has no member '{}'", std::string_view(name.data(), name.size()).substr(0, 64)));
    }
  }
  if (!named) {
    return failure("a command needs a member 'execute'");
  }
  return std::nullopt;
}

}  // namespace

QmpRequest ParseQmpRequest(std::string_view text, size_t max_bytes, bool oob) {
  QmpRequest request;
  const Result<json::value> value = ParseJson(text, {.max_bytes = max_bytes});
  if (!value) {
    request.failure = QmpFailure{QmpErrorClass::kGenericError, value.error().message};
    return request;
  }
  if (!value->is_object()) {
    request.failure = QmpFailure{QmpErrorClass::kGenericError, "a command must be a JSON object"};
    return request;
  }
  const json::object& members = value->get_object();
  if (const json::value* id = members.if_contains("id")) {
    request.id = *id;  // answered even to what is no command
  }
  request.failure = ReadMembers(members, oob, &request);
  return request;
}

}  // namespace nandu
