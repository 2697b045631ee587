// QEMU's key=value lists: "virtio-blk-pci,drive=disk0,serial=a,,b" and their JSON form.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nandu {

struct KeyValue {
  std::string key;
  std::string value;
  bool bare = false;  // written without '=': "server" for server=on, "noserver" for server=off
};

// `implied` names the first word when it has no '=' ("driver", "type"); empty: none may be implied. ",,"
// stands for a comma in a value. A word without '=' that is not the implied one is a flag: key=on, as QEMU's
// short form.
Result<std::vector<KeyValue>> ParseKeyValues(std::string_view text, std::string_view implied);

enum class Nesting : bool {
  kFlat,
  kDotted
};  // kDotted: "file.driver=file" becomes {"file": {"driver": "file"}}, as -blockdev

// The list as an object; later keys replace earlier ones, as QEMU's. A text that begins with '{' is JSON and
// is parsed as such.
Result<boost::json::object> ParseOptionBag(std::string_view text, std::string_view implied, Nesting nesting);

// Takes a string out of such an object; empty when it is not there.
Result<std::string> TakeString(boost::json::object* bag, std::string_view key);

}  // namespace nandu
