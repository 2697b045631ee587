#include "devices/virtio/doorbell.h"

#include <sys/eventfd.h>
#include <utility>

#include "base/check.h"

namespace nandu {

// What a bell without an eventfd is. The listener outlives its watch while it is being called.
struct Doorbell::Posted : std::enable_shared_from_this<Posted> {
  struct Listener {
    EventLoop& loop;
    UniqueFunction<void()> on_event;
  };

  void Ring() {
    const MutexLock lock(mutex);
    if (!std::exchange(rung, true) && listener) {
      PostLocked();
    }
  }
  void Listen(std::shared_ptr<Listener> who) {
    const MutexLock lock(mutex);
    NANDU_CHECK(!listener, "a doorbell has one watch at a time");
    listener = std::move(who);
    if (rung) {
      PostLocked();
    }
  }
  void Leave() {
    const MutexLock lock(mutex);
    listener.reset();
  }

 private:
  // Under the lock, so that a loop is told nothing by a bell that it has left.
  void PostLocked() NANDU_TA(requires_capability(mutex)) {
    listener->loop.Post([self = shared_from_this(), who = listener] { self->Hear(who); });
  }
  void Hear(const std::shared_ptr<Listener>& who) {
    {
      const MutexLock lock(mutex);
      if (listener != who || !std::exchange(rung, false)) {
        return;
      }
    }
    who->on_event();
  }

  Mutex mutex;
  bool rung NANDU_TA(guarded_by(mutex)) = false;
  std::shared_ptr<Listener> listener NANDU_TA(guarded_by(mutex));
};

class Doorbell::PostedWatch final : public EventWatch {
 public:
  explicit PostedWatch(std::shared_ptr<Posted> bell) : bell_(std::move(bell)) {}
  PostedWatch(const PostedWatch&) = delete;
  PostedWatch& operator=(const PostedWatch&) = delete;
  ~PostedWatch() override { bell_->Leave(); }

 private:
  const std::shared_ptr<Posted> bell_;
};

Doorbell::Doorbell(UniqueFd fd) : fd_(std::move(fd)), posted_(fd_ ? nullptr : std::make_shared<Posted>()) {}

Doorbell::~Doorbell() = default;

void Doorbell::Ring() {
  if (posted_) {
    posted_->Ring();
  } else {
    ::eventfd_write(fd_.get(), 1);
  }
}

std::unique_ptr<EventWatch> Doorbell::Watch(EventLoop& loop, UniqueFunction<void()> on_event,
                                            UniqueFunction<bool()> poll) {
  if (!posted_) {
    return loop.Watch(fd_.get(), std::move(on_event), std::move(poll));
  }
  posted_->Listen(std::make_shared<Posted::Listener>(Posted::Listener{loop, std::move(on_event)}));
  return std::make_unique<PostedWatch>(posted_);
}

}  // namespace nandu
