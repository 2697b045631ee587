// Frames in and out of one descriptor.
#include "net/packet_channel.h"

#include <cerrno>
#include <sys/uio.h>
#include <utility>

namespace nandu {

PacketChannel::PacketChannel(EventLoop& loop, std::shared_ptr<UniqueFd> fd, const PacketDestination& destination)
    : fd_(std::move(fd)),
      destination_(destination),
      readable_(loop, fd_, FdPoll::For::kReadable, [this] { OnReadable(); }),
      writable_(loop, fd_, FdPoll::For::kWritable, [this] { OnWritable(); }) {}

ssize_t PacketChannel::Write(std::span<const iovec> frame) {
  if (destination_.length == 0) {
    return ::writev(fd_->get(), frame.data(), static_cast<int>(frame.size()));
  }
  msghdr message{};
  message.msg_name = &destination_.address;
  message.msg_namelen = destination_.length;
  message.msg_iov = const_cast<iovec*>(frame.data());  // sendmsg(2) reads it
  message.msg_iovlen = frame.size();
  return ::sendmsg(fd_->get(), &message, MSG_NOSIGNAL);
}

NetChannel::SendResult PacketChannel::Send(std::span<const iovec> frame) {
  while (Write(frame) < 0) {
    if (errno == EAGAIN) {
      return SendResult::kBusy;
    }
    if (errno != EINTR) {
      return SendResult::kDropped;  // of a tap: EIO, the interface is down; EINVAL, a header the kernel refuses
    }
  }
  return SendResult::kSent;
}

void PacketChannel::NotifyWritable(UniqueFunction<void()> on_writable) {
  on_writable_ = std::move(on_writable);
  if (on_writable_) {
    writable_.Arm();
  } else {
    writable_.Cancel();
  }
}

void PacketChannel::OnWritable() {
  if (const UniqueFunction<void()> on_writable = std::exchange(on_writable_, nullptr)) {
    on_writable();
  }
}

int64_t PacketChannel::Receive(std::span<const iovec> into) {
  while (true) {
    const ssize_t got = ::readv(fd_->get(), into.data(), static_cast<int>(into.size()));
    if (got > 0) {
      return got;
    }
    if (got == 0 || errno == EAGAIN) {
      if (on_readable_) {
        readable_.Arm();
      }
      return 0;
    }
    // ECONNREFUSED tells of a datagram that was sent before, and is told once.
    if (errno != EINTR && errno != ECONNREFUSED) {
      return -errno;  // EBADFD: a tap's queue is detached, or the interface is gone; nothing will come, so
                      // nothing is waited for
    }
  }
}

void PacketChannel::StartRx(UniqueFunction<void()> on_readable) {
  on_readable_ = std::make_shared<UniqueFunction<void()>>(std::move(on_readable));
}

void PacketChannel::StopRx() {
  on_readable_ = nullptr;
  readable_.Cancel();
}

void PacketChannel::OnReadable() {
  if (const std::shared_ptr<UniqueFunction<void()>> on_readable = on_readable_) {
    (*on_readable)();
  }
}

}  // namespace nandu
