// The bytes between one port's two halves: queues on an I/O loop, chardev on the control loop. Bounded both
// ways, so that neither side can make the other's memory grow; a side that found it full or empty is woken
// when that changes. Any thread, under its own leaf mutex.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_annotations.h"
#include "base/unique_function.h"

namespace nandu {

// A bounded first-in first-out of bytes.
class ByteQueue {
 public:
  size_t size() const { return bytes_.size() - first_; }
  bool empty() const { return size() == 0; }
  void Push(std::span<const std::byte> bytes);
  std::span<const std::byte> bytes() const { return std::span(bytes_).subspan(first_); }
  void Drop(size_t count);
  void Clear();

 private:
  std::vector<std::byte> bytes_;  // freed when it runs empty: an idle port costs nothing
  size_t first_ = 0;
};

class ConsolePipe {
 public:
  static constexpr size_t kCapacity = 64 * 1024;  // each way

  // `wake_host` and `wake_guest` post to the loop of that side; they are called with no lock held, any
  // thread.
  ConsolePipe(UniqueFunction<void()> wake_host, UniqueFunction<void()> wake_guest);
  ConsolePipe(const ConsolePipe&) = delete;
  ConsolePipe& operator=(const ConsolePipe&) = delete;

  // ---- the guest's side ----
  size_t PushToHost(std::span<const std::byte> bytes);  // what fits; wakes the guest's side when the rest may
  size_t TakeForGuest(std::span<std::byte> into);       // 0: none now; woken when there is
  size_t WaitingForGuest() const;
  void SetGuestReading(bool reading);  // nothing is taken from the chardev while it does not read
  enum class Freeze : uint8_t { kNo, kYes };
  void SetFrozen(Freeze freeze);  // while quiesced nothing moves, so that what is saved stays true
  void ClearForGuest();           // what the reader that left did not read

  // ---- the host's side ----
  // Hands out what the guest wrote, piece by piece, until `write` takes less than it was given; false when
  // that happened.
  bool DrainToHost(const UniqueFunction<size_t(std::span<const std::byte>)>& write);
  size_t RoomForGuest() const;
  void PushForGuest(std::span<const std::byte> bytes);  // at most RoomForGuest()

  // ---- saved state; while frozen ----
  std::vector<std::byte> SaveToHost() const;
  std::vector<std::byte> SaveForGuest() const;
  void Load(std::span<const std::byte> to_host,
            std::span<const std::byte> for_guest);  // at most kCapacity each

  void WakeHost() const { wake_host_(); }

 private:
  const UniqueFunction<void()> wake_host_;
  const UniqueFunction<void()> wake_guest_;
  mutable Mutex mutex_;
  ByteQueue to_host_ NANDU_TA(guarded_by(mutex_));
  ByteQueue for_guest_ NANDU_TA(guarded_by(mutex_));
  bool guest_waits_for_room_ NANDU_TA(guarded_by(mutex_)) = false;
  bool host_waits_for_room_ NANDU_TA(guarded_by(mutex_)) = false;
  bool guest_reading_ NANDU_TA(guarded_by(mutex_)) = false;
  bool frozen_ NANDU_TA(guarded_by(mutex_)) = false;
};

}  // namespace nandu
