// -gdb: a debugger's session over a chardev. Control loop; the machine outlives it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gdb/session.h"
#include "machine/machine.h"

namespace nandu {

class GdbServer {
 public:
  // `chardev`: the id of a chardev nobody else uses.
  static Result<std::unique_ptr<GdbServer>> Create(Machine& machine, const std::string& chardev);
  ~GdbServer();
  GdbServer(const GdbServer&) = delete;
  GdbServer& operator=(const GdbServer&) = delete;

 private:
  GdbServer(Machine& machine, std::shared_ptr<Chardev> chardev);
  void Send(std::string_view bytes);
  void Flush();

  Machine& machine_;
  const std::shared_ptr<Chardev> chardev_;
  std::string waiting_;  // bytes the chardev had no room for
  GdbSession session_;
};

}  // namespace nandu
