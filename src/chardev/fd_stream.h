// Bytes between descriptors and a backend: reads as much as there is room for, writes what the kernel takes,
// waits for the rest. Control loop; nothing blocks. The descriptors are non-blocking (or sockets) and outlive
// the stream.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/unique_function.h"
#include "loop/control_loop.h"

namespace nandu {

class FdStream {
 public:
  // From the loop, never from within Write.
  struct Handlers {
    UniqueFunction<size_t()> room;
    UniqueFunction<void(std::span<const std::byte>)> data;
    UniqueFunction<void()> input_ended;  // end of file or an error; nothing is read any more
    UniqueFunction<void()>
        output_broken;  // the other end takes nothing any more; writes are dropped from now on
  };
  // -1 for a direction that does not exist.
  FdStream(ControlLoop& loop, int read_fd, int write_fd, Handlers handlers);
  FdStream(const FdStream&) = delete;
  FdStream& operator=(const FdStream&) = delete;
  ~FdStream();

  void Pump();  // reads when there is room; called again when room grew
  size_t Write(std::span<const std::byte> bytes);
  void NotifyWritable(UniqueFunction<void()> on_writable);
  void CancelWritable();
  bool reading() const;  // false: input ended

 private:
  struct State;  // shared with the callback that runs, so that a handler may destroy the stream
  static void Arm(const std::shared_ptr<State>& state);
  static void ReadOnce(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

// Whether the kernel can wait for this descriptor; regular files and /dev/null are always ready instead.
bool IsPollable(int fd);

}  // namespace nandu
