// What a network backend may use of the VM besides files and sockets of its own. Control loop.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nandu/chardev.h>

#include "base/result.h"
#include "loop/control_loop.h"
#include "sandbox/opener.h"

namespace nandu {

struct NetdevContext {
  Opener& opener;
  ControlLoop* control = nullptr;  // null in tests that need none
  // The chardev that `text` names ("chardev:ID") or makes under `id`, for `user` alone.
  std::function<Result<std::shared_ptr<Chardev>>(const std::string& text, const std::string& id, const std::string& user)>
      open_chardev;
  std::function<void(std::string_view event, const boost::json::object& data)> emit;  // may be empty
};

}  // namespace nandu
