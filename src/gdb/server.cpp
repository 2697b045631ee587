#include "gdb/server.h"

namespace nandu {

GdbServer::GdbServer(Machine& machine, std::shared_ptr<Chardev> chardev)
    : machine_(machine),
      chardev_(std::move(chardev)),
      session_(machine.debug(), [this](std::string_view bytes) { Send(bytes); }) {}

Result<std::unique_ptr<GdbServer>> GdbServer::Create(Machine& machine, const std::string& chardev) {
  std::unique_ptr<GdbServer> server(new GdbServer(machine, TRY(machine.ClaimChardev(chardev, "gdb"))));
  GdbServer* const self = server.get();
  machine.debug().SetStopObserver([self](const DebugStop& stop) { self->session_.OnStopped(stop); });
  Chardev::FrontEnd front_end;
  front_end.room = [] { return GdbReader::kMostBytes; };
  front_end.data = [self](std::span<const std::byte> bytes) { self->session_.Receive(bytes); };
  front_end.connection = [self](bool open) {
    self->waiting_.clear();
    if (open) {
      self->session_.Opened();
    } else {
      self->session_.Closed();
    }
  };
  TRY(self->chardev_->Attach(std::move(front_end)));
  return server;
}

GdbServer::~GdbServer() {
  machine_.debug().SetStopObserver(nullptr);
  chardev_->Detach();
}

void GdbServer::Send(std::string_view bytes) {
  // A debugger asks and waits: one that does not read what it asked for is gone.
  constexpr size_t kMostWaiting = 16 * GdbReader::kMostBytes;
  const bool idle = waiting_.empty();
  waiting_ += bytes;
  if (waiting_.size() > kMostWaiting) {
    waiting_.clear();
    chardev_->DropPeer();
  } else if (idle) {
    Flush();
  }
}

void GdbServer::Flush() {
  waiting_.erase(0, chardev_->Write(std::as_bytes(std::span(waiting_))));
  if (!waiting_.empty()) {
    chardev_->NotifyWritable([this] { Flush(); });
  }
}

}  // namespace nandu
