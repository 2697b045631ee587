// Front end bookkeeping of every backend.
#include "chardev/chardev_base.h"

#include <cerrno>
#include <unistd.h>

namespace nandu {

ChardevBase::ChardevBase(ControlLoop& loop, std::string id)
    : loop_(loop), id_(std::move(id)), log_(Format("chardev {}", id_)) {}

size_t ChardevBase::Write(std::span<const std::byte> bytes) {
  const size_t taken = WriteBytes(bytes);
  if (log_file_ && taken > 0 && ::write(log_file_.get(), bytes.data(), taken) < 0 && errno != EAGAIN) {
    log_.Warn("cannot write its logfile: {}; check the disk it is on", ErrnoText(errno));
  }
  return taken;
}

Result<> ChardevBase::Attach(FrontEnd front_end) {
  if (front_end_) {
    return Fail(Errc::kBusy, "chardev '{}' is already in use; add mux=on to it to share it", id_);
  }
  front_end_ = std::make_shared<FrontEnd>(std::move(front_end));
  if (connected_) {
    SetConnected(true);
  }
  InputWanted();
  return {};
}

void ChardevBase::Detach() {
  front_end_.reset();
  CancelWritable();
}

void ChardevBase::AcceptInput() { InputWanted(); }

size_t ChardevBase::Room() const {
  const std::shared_ptr<FrontEnd> front_end = front_end_;
  return front_end && front_end->room ? front_end->room() : 0;
}

void ChardevBase::Deliver(std::span<const std::byte> bytes) {
  const std::shared_ptr<FrontEnd> front_end = front_end_;
  if (front_end && front_end->data) {
    front_end->data(bytes);
  }
}

void ChardevBase::SetConnected(bool connected) {
  connected_ = connected;
  const std::shared_ptr<FrontEnd> front_end = front_end_;
  if (front_end && front_end->connection) {
    front_end->connection(connected);
  }
}

void ChardevBase::PostSafely(UniqueFunction<void()> work) {
  loop_.Post([alive = std::weak_ptr<bool>(alive_), work = std::move(work)] {
    if (!alive.expired()) {
      work();
    }
  });
}

}  // namespace nandu
