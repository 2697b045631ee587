// A backend over descriptors it owns that stay the same for its life: file, pipe, stdio. Control loop.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "chardev/chardev_base.h"
#include "chardev/fd_stream.h"
#include "sandbox/opener.h"

namespace nandu {

class FdChardev : public ChardevBase {
 public:
  // -1 for a direction that does not exist. `filename`: as query-chardev says it.
  FdChardev(ControlLoop& loop, std::string id, std::string filename, UniqueFd read_fd, UniqueFd write_fd);
  std::string filename() const override { return filename_; }
  void NotifyWritable(UniqueFunction<void()> on_writable) override {
    stream_.NotifyWritable(std::move(on_writable));
  }

 protected:
  size_t WriteBytes(std::span<const std::byte> bytes) override { return stream_.Write(bytes); }
  void InputWanted() override { stream_.Pump(); }
  void CancelWritable() override { stream_.CancelWritable(); }

 private:
  const std::string filename_;
  const UniqueFd read_fd_;
  const UniqueFd write_fd_;
  FdStream stream_;
};

// Opens a path a user named, close-on-exec and non-blocking. `what`: "chardev 'serial0'", for the error's
// sentence.
Result<UniqueFd> OpenChardevPath(Opener& opener, const std::string& path, int flags, std::string_view what);
// A write to a pipe without a reader is an errno here, not a signal. Called by every backend that writes to
// descriptors it was given.
void IgnoreBrokenPipeSignal();

}  // namespace nandu
