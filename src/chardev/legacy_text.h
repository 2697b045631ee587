// QEMU's older way to name a chardev, in -serial, -monitor, -qmp and -parallel: "stdio", "mon:stdio",
// "unix:/x,server=on,wait=off", "tcp:host:port,server,nowait", "file:x", "pipe:x", "pty", "null", "none",
// "chardev:id".
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nandu {

struct LegacyChardev {
  enum class Kind : uint8_t {
    kNone,      // "none": no device at all
    kExisting,  // "chardev:id"
    kNew,       // make one of `backend` with `options`
  };
  Kind kind = Kind::kNone;
  std::string id;                                      // kExisting: of the -chardev it names
  std::string backend;                                 // kNew: "socket"
  std::shared_ptr<const boost::json::object> options;  // kNew: as -chardev would have them
};

enum class LegacyMux : uint8_t { kAllowed, kRefused };  // "mon:": for -serial and -parallel only
Result<LegacyChardev> ParseLegacyChardev(std::string_view text, LegacyMux mux);

}  // namespace nandu
