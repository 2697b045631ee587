// A port and its chardev.
#include "devices/virtio/console/console_port.h"

namespace nandu {

ConsolePort::ConsolePort(std::shared_ptr<Chardev> chardev, UniqueFunction<void(bool open)> on_connection)
    : chardev_(std::move(chardev)), on_connection_(std::move(on_connection)) {}

ConsolePort::~ConsolePort() { Detach(); }

std::shared_ptr<ConsolePort> ConsolePort::Create(std::shared_ptr<Chardev> chardev,
                                                 UniqueFunction<void(bool open)> on_connection) {
  return std::shared_ptr<ConsolePort>(new ConsolePort(std::move(chardev), std::move(on_connection)));
}

Result<> ConsolePort::Attach() {
  if (!chardev_) {
    return {};
  }
  TRY(chardev_->Attach({.room = [this] { return pipe_->RoomForGuest(); },
                        .data = [this](std::span<const std::byte> bytes) { pipe_->PushForGuest(bytes); },
                        .connection = [this](bool open) { on_connection_(open); },
                        .break_condition = nullptr,
                        .focus = nullptr}));
  attached_ = true;
  return {};
}

void ConsolePort::Detach() {
  if (attached_) {
    chardev_->Detach();
    attached_ = false;
  }
}

void ConsolePort::Pump() {
  if (!waiting_) {
    const bool all = pipe_->DrainToHost([this](std::span<const std::byte> bytes) {
      return chardev_ ? chardev_->Write(bytes) : bytes.size();
    });
    if (!all) {
      waiting_ = true;
      chardev_->NotifyWritable([weak = weak_from_this()] {
        if (const std::shared_ptr<ConsolePort> port = weak.lock()) {
          port->waiting_ = false;
          port->Pump();
        }
      });
    }
  }
  if (attached_ && pipe_->RoomForGuest() > 0) {
    chardev_->AcceptInput();
  }
}

}  // namespace nandu
