// Reading by room, writing by what the kernel takes.
#include "chardev/fd_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace nandu {
namespace {

constexpr size_t kReadBytes = 4096;  // one read's worth; other chardevs get their turn in between

bool IsSocket(int fd) {
  struct stat info {};
  return fd >= 0 && ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

}  // namespace

bool IsPollable(int fd) {
  const UniqueFd probe(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  return probe && ::epoll_ctl(probe.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

struct FdStream::State {
  State(ControlLoop& control, int in, int out, Handlers callbacks)
      : loop(control),
        read_fd(in),
        write_fd(out),
        write_is_socket(IsSocket(out)),
        handlers(std::move(callbacks)),
        read_watch(in >= 0 && IsPollable(in) ? loop.WatchFd(in) : nullptr),
        write_watch(out >= 0 && out != in && IsPollable(out) ? loop.WatchFd(out) : nullptr) {}

  FdWatch* WriteWatch() const { return write_fd == read_fd ? read_watch.get() : write_watch.get(); }

  ControlLoop& loop;
  const int read_fd;
  const int write_fd;
  const bool write_is_socket;
  const Handlers handlers;
  std::unique_ptr<FdWatch> read_watch;   // null: always ready
  std::unique_ptr<FdWatch> write_watch;  // null: the read watch's descriptor, or always ready
  bool closed = false;                   // the stream is gone
  bool reading = true;
  bool waiting = false;  // a read is on its way
  bool broken = false;
};

FdStream::FdStream(ControlLoop& loop, int read_fd, int write_fd, Handlers handlers)
    : state_(std::make_shared<State>(loop, read_fd, write_fd, std::move(handlers))) {
  state_->reading = read_fd >= 0;
}

FdStream::~FdStream() {
  state_->closed = true;
  state_->read_watch.reset();
  state_->write_watch.reset();
}

bool FdStream::reading() const { return state_->reading; }

void FdStream::Pump() { Arm(state_); }

void FdStream::Arm(const std::shared_ptr<State>& shared) {
  State& state = *shared;
  if (state.closed || !state.reading || state.waiting || state.handlers.room() == 0) {
    return;
  }
  state.waiting = true;
  auto ready = [weak = std::weak_ptr<State>(shared)] {
    if (const std::shared_ptr<State> alive = weak.lock()) {
      ReadOnce(alive);
    }
  };
  if (state.read_watch) {
    state.read_watch->WaitReadable(std::move(ready));
  } else {
    state.loop.Post(std::move(ready));
  }
}

void FdStream::ReadOnce(const std::shared_ptr<State>& shared) {
  State& state = *shared;
  if (state.closed) {
    return;
  }
  state.waiting = false;
  std::array<std::byte, kReadBytes> buffer;
  const size_t wanted = std::min(state.handlers.room(), buffer.size());
  if (wanted == 0) {
    return;  // the next Pump waits again
  }
  const ssize_t got = ::read(state.read_fd, buffer.data(), wanted);
  if (got > 0) {
    state.handlers.data(std::span(buffer).first(static_cast<size_t>(got)));
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    state.reading = false;
    state.handlers.input_ended();
    return;
  }
  Arm(shared);
}

size_t FdStream::Write(std::span<const std::byte> bytes) {
  State& state = *state_;
  size_t done = 0;
  while (!state.broken && state.write_fd >= 0 && done < bytes.size()) {
    const std::span<const std::byte> rest = bytes.subspan(done);
    const ssize_t wrote = state.write_is_socket
                              ? ::send(state.write_fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT)
                              : ::write(state.write_fd, rest.data(), rest.size());
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN) {
      return done;
    } else if (errno != EINTR) {
      state.broken = true;
      state.loop.Post([weak = std::weak_ptr<State>(state_)] {
        const std::shared_ptr<State> shared = weak.lock();
        if (shared && !shared->closed) {
          shared->handlers.output_broken();
        }
      });
    }
  }
  return bytes.size();  // written, or nobody is there to read it
}

void FdStream::NotifyWritable(UniqueFunction<void()> on_writable) {
  if (FdWatch* watch = state_->WriteWatch(); watch != nullptr && !state_->broken) {
    watch->WaitWritable(std::move(on_writable));
    return;
  }
  state_->loop.Post([weak = std::weak_ptr<State>(state_), on_writable = std::move(on_writable)] {
    const std::shared_ptr<State> shared = weak.lock();
    if (shared && !shared->closed) {
      on_writable();
    }
  });
}

void FdStream::CancelWritable() {
  if (FdWatch* watch = state_->WriteWatch(); watch != nullptr) {
    watch->CancelWritable();
  }
}

}  // namespace nandu
