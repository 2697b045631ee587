#include "loop/io_loop.h"

#include <cerrno>
#include <future>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

#include "base/check.h"
#include "base/thread_name.h"
#include "loop/thread_start.h"

namespace nandu {

Result<std::unique_ptr<IoLoop>> IoLoop::Create(std::string name, const IoLoopOptions& options) {
  UniqueFd wake_fd(::eventfd(0, EFD_CLOEXEC));
  if (!wake_fd) {
    return FailErrno(errno, "iothread {}: eventfd", name);
  }
  std::unique_ptr<IoLoop> loop(new IoLoop(std::move(name), options, std::move(wake_fd)));
  TRY(Prefix(loop->MakeEngine(options.engine, options.max_threads), "iothread " + loop->name_));
  return loop;
}

IoLoop::IoLoop(std::string name, const IoLoopOptions& options, UniqueFd wake_fd)
    : LoopCore(options, std::move(wake_fd)), name_(std::move(name)) {}

IoLoop::~IoLoop() { Stop(); }

Result<> IoLoop::Start() {
  NANDU_CHECK(!thread_.joinable(), "an I/O loop is started once");
  std::promise<Result<>> attached;
  std::future<Result<>> result = attached.get_future();
  try {
    const SignalsBlocked blocked;
    thread_ = std::thread([this, &attached] {
      NameThisThread("IO " + name_);
      thread_id_ = ::gettid();
      Result<> ready = Attach();
      const bool runs = ready.has_value();
      attached.set_value(std::move(ready));
      while (runs && !stopping_) {
        Turn(Wait::kYes);
      }
      if (runs) {
        Finish();
      }
    });
  } catch (const std::system_error& error) {
    return FailErrno(error.code().value(), "iothread {}: cannot start its thread", name_);
  }
  Result<> ready = result.get();
  if (!ready) {
    thread_.join();
  }
  return Prefix(std::move(ready), "iothread " + name_);
}

void IoLoop::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  Post([this] { stopping_ = true; });
  thread_.join();
}

}  // namespace nandu
