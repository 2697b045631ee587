// guestfwd= to a chardev: one TCP port in the guest's network whose bytes come from and go to a character backend. The chardev lives on the
// control loop, the TCP stack on its network's thread; bytes cross by Post, in bounded amounts.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nandu/chardev.h>

#include "base/log.h"
#include "base/thread_annotations.h"
#include "loop/control_loop.h"
#include "net/slirp_stack.h"
#include "net/user_config.h"

namespace nandu {

class GuestPipe : public std::enable_shared_from_this<GuestPipe> {
 public:
  // `post` runs work on the network's thread, with its stack.
  using PostToNetwork = std::function<void(UniqueFunction<void(SlirpStack&)> work)>;
  GuestPipe(ControlLoop& control, std::shared_ptr<Chardev> chardev, GuestForward forward, PostToNetwork post)
      : control_(control), chardev_(std::move(chardev)), forward_(std::move(forward)), post_(std::move(post)) {}

  Result<> Open(SlirpStack& stack);  // before the thread runs
  void Close();                      // control loop; after the thread ended or with nothing sent any more
  void UpdateRoom(SlirpStack& stack);  // the network's thread, once a turn

 private:
  static constexpr size_t kMaxWaitingBytes = size_t{1} << 20;  // for a chardev that does not take them
  static ssize_t OnGuestData(const void* bytes, size_t count, void* opaque);  // the network's thread
  void ToChardev(std::span<const std::byte> bytes);                           // control loop, from here on
  void Flush();
  size_t Room();
  void ToGuest(std::span<const std::byte> bytes);

  ControlLoop& control_;
  const std::shared_ptr<Chardev> chardev_;
  GuestForward forward_;  // its server's address is known once it is open
  const PostToNetwork post_;
  std::vector<std::byte> out_;  // for the chardev; control loop
  RateLimitedLog log_{"guestfwd"};

  Mutex mutex_;
  size_t waiting_bytes_ NANDU_TA(guarded_by(mutex_)) = 0;  // from the guest, not yet taken by the chardev
  size_t room_bytes_ NANDU_TA(guarded_by(mutex_)) = 0;     // the stack takes
  size_t sent_bytes_ NANDU_TA(guarded_by(mutex_)) = 0;     // of it, on their way
};

}  // namespace nandu
