// An I/O loop with its thread: what `-object iothread` makes, and the shared default one. Create, Start and
// Stop on one thread (the control loop's).
//
//     auto loop = TRY(IoLoop::Create("iothread0", {}));     // says here whether io_uring may be used
//     TRY(loop->Start());                                   // thread "IO iothread0"
//     loop->Post([&] { loop->ring().Readv(...); });
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "loop/loop_core.h"

namespace nandu {

class IoLoop final : public LoopCore {
 public:
  // `name`: the iothread's id. Fails when the engine asked for cannot be had; kAuto falls back to worker
  // threads and fallback_reason() says why.
  static Result<std::unique_ptr<IoLoop>> Create(std::string name, const IoLoopOptions& options);
  ~IoLoop() override;  // stops

  Result<> Start();
  // Runs what was posted before, waits for what is in flight (cancel polls first), and ends the thread. What
  // is posted afterwards is dropped.
  void Stop();

  const std::string& name() const { return name_; }
  std::string_view engine() { return ring().engine(); }
  pid_t thread_id() const { return thread_id_; }  // 0 before Start; query-iothreads

 private:
  IoLoop(std::string name, const IoLoopOptions& options, UniqueFd wake_fd);

  const std::string name_;
  std::thread thread_;
  pid_t thread_id_ = 0;
  bool stopping_ = false;  // on the loop
};

}  // namespace nandu
