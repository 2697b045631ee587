// One port's host half: the chardev at its end. Control loop.
#pragma once

#include <memory>

#include <nandu/chardev.h>

#include "devices/virtio/console/console_pipe.h"

namespace nandu {

class ConsolePort : public std::enable_shared_from_this<ConsolePort> {
 public:
  // `on_connection`: a client of the chardev came or went. Without a chardev everything the guest writes is
  // dropped.
  static std::shared_ptr<ConsolePort> Create(std::shared_ptr<Chardev> chardev,
                                             UniqueFunction<void(bool open)> on_connection);
  ~ConsolePort();

  // Before anything moves.
  void SetPipe(std::shared_ptr<ConsolePipe> pipe) { pipe_ = std::move(pipe); }
  Result<> Attach();
  void Detach();
  void Pump();  // the pipe woke this side: bytes to write, or room for input

 private:
  ConsolePort(std::shared_ptr<Chardev> chardev, UniqueFunction<void(bool open)> on_connection);

  const std::shared_ptr<Chardev> chardev_;
  const UniqueFunction<void(bool open)> on_connection_;
  std::shared_ptr<ConsolePipe> pipe_;
  bool attached_ = false;
  bool waiting_ = false;  // for the chardev to become writable
};

}  // namespace nandu
