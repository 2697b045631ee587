#include "net/guest_pipe.h"

#include <algorithm>
#include <cerrno>

namespace nandu {

Result<> GuestPipe::Open(SlirpStack& stack) {
  TRY(stack.AddPipe(&forward_, OnGuestData, this));
  Chardev::FrontEnd front_end;
  front_end.room = [this] { return Room(); };
  front_end.data = [this](std::span<const std::byte> bytes) { ToGuest(bytes); };
  return chardev_->Attach(std::move(front_end));
}

void GuestPipe::Close() { chardev_->Detach(); }

ssize_t GuestPipe::OnGuestData(const void* bytes, size_t count, void* opaque) {
  auto* const self = static_cast<GuestPipe*>(opaque);
  {
    const MutexLock lock(self->mutex_);
    if (self->waiting_bytes_ + count > kMaxWaitingBytes) {
      self->log_.Warn("{}:{}: the chardev takes nothing, the connection waits", AddressText(self->forward_.server),
                      self->forward_.port);
      errno = EAGAIN;
      return -1;
    }
    self->waiting_bytes_ += count;
  }
  const auto* const first = static_cast<const std::byte*>(bytes);
  self->control_.Post([weak = self->weak_from_this(), copy = std::vector<std::byte>(first, first + count)] {
    if (const std::shared_ptr<GuestPipe> pipe = weak.lock()) {
      pipe->ToChardev(copy);
    }
  });
  return static_cast<ssize_t>(count);
}

void GuestPipe::ToChardev(std::span<const std::byte> bytes) {
  const bool waits = !out_.empty();  // for the chardev, which says when it goes on
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  if (!waits) {
    Flush();
  }
}

void GuestPipe::Flush() {
  const size_t taken = chardev_->Write(out_);
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(taken));
  {
    const MutexLock lock(mutex_);
    waiting_bytes_ -= taken;
  }
  if (!out_.empty()) {
    chardev_->NotifyWritable([weak = weak_from_this()] {
      if (const std::shared_ptr<GuestPipe> pipe = weak.lock()) {
        pipe->Flush();
      }
    });
  }
}

size_t GuestPipe::Room() {
  const MutexLock lock(mutex_);
  return room_bytes_ - std::min(room_bytes_, sent_bytes_);
}

void GuestPipe::ToGuest(std::span<const std::byte> bytes) {
  {
    const MutexLock lock(mutex_);
    sent_bytes_ += bytes.size();
  }
  const auto* const first = reinterpret_cast<const uint8_t*>(bytes.data());
  post_([self = shared_from_this(), copy = std::vector<uint8_t>(first, first + bytes.size())](SlirpStack& stack) {
    // A connection that ended meanwhile takes nothing.
    const size_t room = stack.PipeRoom(self->forward_);
    if (const size_t count = std::min(room, copy.size()); count > 0) {
      stack.PipeSend(self->forward_, std::span(copy).first(count));
    }
    const MutexLock lock(self->mutex_);
    self->sent_bytes_ -= copy.size();
  });
}

void GuestPipe::UpdateRoom(SlirpStack& stack) {
  const size_t room = stack.PipeRoom(forward_);
  bool more = false;
  {
    const MutexLock lock(mutex_);
    more = room > room_bytes_;
    room_bytes_ = room;
  }
  if (more) {
    control_.Post([weak = weak_from_this()] {
      if (const std::shared_ptr<GuestPipe> pipe = weak.lock()) {
        pipe->chardev_->AcceptInput();
      }
    });
  }
}

}  // namespace nandu
