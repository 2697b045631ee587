// Bounded bytes between two threads.
#include "devices/virtio/console/console_pipe.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace nandu {

void ByteQueue::Push(std::span<const std::byte> bytes) {
  if (first_ > 0 && first_ >= bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void ByteQueue::Drop(size_t count) {
  first_ += count;
  if (empty()) {
    Clear();
  }
}

void ByteQueue::Clear() {
  std::vector<std::byte>().swap(bytes_);
  first_ = 0;
}

ConsolePipe::ConsolePipe(UniqueFunction<void()> wake_host, UniqueFunction<void()> wake_guest)
    : wake_host_(std::move(wake_host)), wake_guest_(std::move(wake_guest)) {}

size_t ConsolePipe::PushToHost(std::span<const std::byte> bytes) {
  size_t taken = 0;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    taken = std::min(bytes.size(), kCapacity - to_host_.size());
    wake = to_host_.empty() && taken > 0;
    to_host_.Push(bytes.first(taken));
    guest_waits_for_room_ = taken < bytes.size();
  }
  if (wake) {
    wake_host_();
  }
  return taken;
}

size_t ConsolePipe::TakeForGuest(std::span<std::byte> into) {
  size_t taken = 0;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    taken = std::min(into.size(), for_guest_.size());
    if (taken == 0) {
      return 0;
    }
    std::memcpy(into.data(), for_guest_.bytes().data(), taken);
    for_guest_.Drop(taken);
    wake = std::exchange(host_waits_for_room_, false);
  }
  if (wake) {
    wake_host_();
  }
  return taken;
}

size_t ConsolePipe::WaitingForGuest() const {
  const MutexLock lock(mutex_);
  return for_guest_.size();
}

void ConsolePipe::SetGuestReading(bool reading) {
  {
    const MutexLock lock(mutex_);
    guest_reading_ = reading;
  }
  if (reading) {
    wake_host_();
  }
}

void ConsolePipe::SetFrozen(Freeze freeze) {
  {
    const MutexLock lock(mutex_);
    frozen_ = freeze == Freeze::kYes;
  }
  if (freeze == Freeze::kNo) {
    wake_host_();
  }
}

void ConsolePipe::ClearForGuest() {
  const MutexLock lock(mutex_);
  for_guest_.Clear();
}

bool ConsolePipe::DrainToHost(const UniqueFunction<size_t(std::span<const std::byte>)>& write) {
  while (true) {
    // Copied out, so that no call leaves this class under its lock.
    std::array<std::byte, 4096> piece;
    size_t length = 0;
    {
      const MutexLock lock(mutex_);
      length = frozen_ ? 0 : std::min(piece.size(), to_host_.size());
      if (length == 0) {
        return true;
      }
      std::memcpy(piece.data(), to_host_.bytes().data(), length);
    }
    const size_t taken = write(std::span(piece).first(length));
    NANDU_CHECK(taken <= length, "a chardev takes no more than it is given");
    bool wake = false;
    {
      const MutexLock lock(mutex_);
      to_host_.Drop(taken);
      wake = taken > 0 && std::exchange(guest_waits_for_room_, false);
    }
    if (wake) {
      wake_guest_();
    }
    if (taken < length) {
      return false;
    }
  }
}

size_t ConsolePipe::RoomForGuest() const {
  const MutexLock lock(mutex_);
  return guest_reading_ && !frozen_ ? kCapacity - for_guest_.size() : 0;
}

void ConsolePipe::PushForGuest(std::span<const std::byte> bytes) {
  {
    const MutexLock lock(mutex_);
    const size_t room = kCapacity - for_guest_.size();
    NANDU_CHECK(bytes.size() <= room, "a chardev delivers no more than there is room for");
    for_guest_.Push(bytes);
    host_waits_for_room_ = bytes.size() == room;
  }
  wake_guest_();
}

std::vector<std::byte> ConsolePipe::SaveToHost() const {
  const MutexLock lock(mutex_);
  return {to_host_.bytes().begin(), to_host_.bytes().end()};
}

std::vector<std::byte> ConsolePipe::SaveForGuest() const {
  const MutexLock lock(mutex_);
  return {for_guest_.bytes().begin(), for_guest_.bytes().end()};
}

void ConsolePipe::Load(std::span<const std::byte> to_host, std::span<const std::byte> for_guest) {
  NANDU_CHECK(to_host.size() <= kCapacity && for_guest.size() <= kCapacity, "a loaded state was checked");
  const MutexLock lock(mutex_);
  to_host_.Clear();
  to_host_.Push(to_host);
  for_guest_.Clear();
  for_guest_.Push(for_guest);
}

}  // namespace nandu
