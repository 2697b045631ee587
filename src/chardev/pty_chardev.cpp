// The pty backend: a pseudo terminal whose slave a user opens (virsh console, screen, minicom).
//
// The master tells whether somebody has the slave open only by POLLHUP, and nothing wakes when that ends
// (Linux drivers/tty/pty.c); so while nobody is there it is looked at once a second, and at each write.
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/backends.h"
#include "chardev/fd_stream.h"

namespace nandu {
namespace {

constexpr int64_t kLookAgainNs = 1'000'000'000;

class PtyChardev final : public ChardevBase {
 public:
  PtyChardev(ControlLoop& control, std::string id, UniqueFd master, std::string slave)
      : ChardevBase(control, std::move(id)),
        slave_(std::move(slave)),
        master_(std::move(master)),
        look_again_(control.CreateHostTimer([this] { LookForPeer(); })) {
    look_again_->ArmAfter(kLookAgainNs);
  }

  std::string filename() const override { return "pty:" + slave_; }
  void NotifyWritable(UniqueFunction<void()> on_writable) override {
    if (stream_) {
      stream_->NotifyWritable(std::move(on_writable));
    } else {
      PostSafely(std::move(on_writable));
    }
  }

 protected:
  size_t WriteBytes(std::span<const std::byte> bytes) override {
    if (!PeerIsThere()) {
      return bytes.size();
    }
    if (!stream_) {
      // Somebody opened the slave since the last look; what is written from now on is for them.
      if (!look_posted_) {
        look_posted_ = true;
        PostSafely([this] { LookForPeer(); });
      }
      const ssize_t wrote = ::write(master_.get(), bytes.data(), bytes.size());
      return wrote < 0 ? bytes.size() : static_cast<size_t>(wrote);
    }
    return stream_->Write(bytes);
  }
  void InputWanted() override {
    if (stream_) {
      stream_->Pump();
    }
  }
  void CancelWritable() override {
    if (stream_) {
      stream_->CancelWritable();
    }
  }

 private:
  bool PeerIsThere() const {
    pollfd look{master_.get(), POLLOUT, 0};
    return ::poll(&look, 1, 0) >= 0 && (look.revents & POLLHUP) == 0;
  }

  void LookForPeer() {
    look_posted_ = false;
    if (stream_) {
      return;
    }
    if (!PeerIsThere()) {
      look_again_->ArmAfter(kLookAgainNs);
      return;
    }
    stream_.emplace(loop(), master_.get(), master_.get(),
                    FdStream::Handlers{.room = [this] { return Room(); },
                                       .data = [this](std::span<const std::byte> bytes) { Deliver(bytes); },
                                       .input_ended = [this] { PeerLeft(); },
                                       .output_broken = [this] { PeerLeft(); }});
    SetConnected(true);
    InputWanted();
  }

  void PeerLeft() {
    stream_.reset();
    SetConnected(false);
    look_again_->ArmAfter(kLookAgainNs);
  }

  const std::string slave_;
  const UniqueFd master_;
  std::optional<FdStream> stream_;  // while somebody has the slave open
  std::unique_ptr<HostTimer> look_again_;
  bool look_posted_ = false;
};

}  // namespace

Result<std::unique_ptr<ChardevBase>> CreatePtyChardev(const ChardevContext& context, std::string id) {
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) {
    return FailErrno(errno, "chardev '{}': cannot make a pseudo terminal", id);
  }
  std::array<char, 64> slave{};
  if (const int reason = ::ptsname_r(master.get(), slave.data(), slave.size()); reason != 0) {
    return FailErrno(reason, "chardev '{}': cannot name its pseudo terminal", id);
  }
  // Opening and closing the slave once makes the master report POLLHUP until somebody opens it.
  const UniqueFd peer(::open(slave.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  termios modes{};
  if (!peer || ::tcgetattr(peer.get(), &modes) != 0) {
    return FailErrno(errno, "chardev '{}': cannot open {}", id, slave.data());
  }
  ::cfmakeraw(&modes);
  ::tcsetattr(peer.get(), TCSAFLUSH, &modes);
  // Scripts and libvirt read this line.
  std::printf("char device redirected to %s (label %s)\n", slave.data(), id.c_str());
  std::fflush(stdout);
  return std::make_unique<PtyChardev>(context.loop, std::move(id), std::move(master), slave.data());
}

}  // namespace nandu
