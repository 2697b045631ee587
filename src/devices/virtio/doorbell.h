// The doorbell of one virtqueue. With an eventfd KVM rings it without an exit (ioeventfd) and a kernel thread
// may hear it (vhost); without one, where this process may open no more files, a kick is an exit that rings
// it, and what was rung is posted to the loop that listens.
#pragma once

#include <memory>

#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "base/unique_function.h"
#include "loop/event_loop.h"

namespace nandu {

class Doorbell {
 public:
  explicit Doorbell(UniqueFd fd);  // empty: it is posted
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;
  ~Doorbell();

  int fd() const { return fd_.get(); }  // -1: there is none
  void Ring();                          // any thread; once rung, again is free until it was heard
  // As EventLoop::Watch: on the loop's thread, one at a time, and what nobody heard waits for the next.
  // Without an eventfd `poll` is not asked.
  std::unique_ptr<EventWatch> Watch(EventLoop& loop, UniqueFunction<void()> on_event,
                                    UniqueFunction<bool()> poll = nullptr);

 private:
  class PostedWatch;
  struct Posted;
  const UniqueFd fd_;
  const std::shared_ptr<Posted> posted_;  // where there is no eventfd
};

}  // namespace nandu
