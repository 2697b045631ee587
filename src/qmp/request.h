// One command as a client sent it. Plain data; includes Boost.JSON, so only sources include it.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>

#include "qmp/reply.h"

namespace nandu {

struct QmpRequest {
  std::string command;
  bool out_of_band = false;
  boost::json::value arguments = boost::json::object();
  std::optional<boost::json::value> id;
  std::optional<QmpFailure> failure;  // it is no command: what to answer instead
};

// Parses one JSON text. `oob`: the client negotiated exec-oob.
QmpRequest ParseQmpRequest(std::string_view text, size_t max_bytes, bool oob);

}  // namespace nandu
