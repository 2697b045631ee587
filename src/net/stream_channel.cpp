#include "net/stream_channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <utility>

namespace nandu {
namespace {

constexpr size_t kMaxIovecs = 1000;  // below IOV_MAX with the length

void CopyTail(std::span<const iovec> from, size_t skip, std::vector<std::byte>* to) {
  to->clear();
  for (const iovec& each : from) {
    const size_t left_out = std::min(skip, each.iov_len);
    skip -= left_out;
    const auto* const bytes = static_cast<const std::byte*>(each.iov_base);
    to->insert(to->end(), bytes + left_out, bytes + each.iov_len);
  }
}

}  // namespace

StreamChannel::StreamChannel(EventLoop& loop, std::shared_ptr<Door> door, OnGone gone)
    : loop_(loop), door_(std::move(door)), gone_(std::move(gone)) {
  door_->channel = this;
}

StreamChannel::~StreamChannel() { door_->channel = nullptr; }

void StreamChannel::Connect(std::shared_ptr<UniqueFd> socket) {
  socket_ = std::move(socket);
  readable_ = std::make_unique<FdPoll>(loop_, socket_, FdPoll::For::kReadable, [this] { OnReadable(); });
  writable_ = std::make_unique<FdPoll>(loop_, socket_, FdPoll::For::kWritable, [this] { OnWritable(); });
  splitter_ = std::make_unique<StreamSplitter>();
  rest_.clear();
  rest_first_ = 0;
  if (on_writable_) {
    writable_->Arm();
  }
  if (on_readable_) {
    readable_->Arm();
  }
}

void StreamChannel::Disconnect(const char* why) {
  readable_ = nullptr;
  writable_ = nullptr;
  splitter_ = nullptr;
  gone_(std::exchange(socket_, nullptr), why);
  if (on_writable_) {
    // What waits for room is not wanted by anybody any more.
    loop_.Post([door = door_] {
      if (door->channel != nullptr) {
        door->channel->OnWritable();
      }
    });
  }
}

bool StreamChannel::Flush() {
  while (rest_first_ < rest_.size()) {
    const ssize_t sent = ::send(socket_->get(), rest_.data() + rest_first_, rest_.size() - rest_first_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0 && errno == EAGAIN) {
      writable_->Arm();
      return false;
    }
    if (sent < 0) {
      rest_.clear();
      rest_first_ = 0;
      Disconnect("its peer is gone");
      return true;
    }
    rest_first_ += static_cast<size_t>(sent);
  }
  rest_.clear();
  rest_first_ = 0;
  return true;
}

NetChannel::SendResult StreamChannel::Send(std::span<const iovec> frame) {
  if (socket_ && !Flush()) {
    return SendResult::kBusy;
  }
  size_t bytes = 0;
  for (const iovec& each : frame) {
    bytes += each.iov_len;
  }
  if (!socket_ || bytes > kMaxStreamFrameBytes) {
    return SendResult::kDropped;
  }
  std::array<std::byte, kStreamLengthBytes> length = StreamLength(bytes);
  iov_.assign(1, {length.data(), length.size()});
  iov_.insert(iov_.end(), frame.begin(), frame.end());
  msghdr message{};
  message.msg_iov = iov_.data();
  message.msg_iovlen = std::min(iov_.size(), kMaxIovecs);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_->get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EAGAIN) {
    return SendResult::kBusy;
  }
  if (sent < 0) {
    Disconnect("its peer is gone");
    return SendResult::kDropped;
  }
  if (static_cast<size_t>(sent) < length.size() + bytes) {
    CopyTail(iov_, static_cast<size_t>(sent), &rest_);
    writable_->Arm();
  }
  return SendResult::kSent;
}

void StreamChannel::NotifyWritable(UniqueFunction<void()> on_writable) {
  on_writable_ = std::move(on_writable);
  if (!socket_) {
    return;
  }
  if (on_writable_ || !rest_.empty()) {
    writable_->Arm();
  } else {
    writable_->Cancel();
  }
}

void StreamChannel::OnWritable() {
  if (socket_ && !Flush()) {
    return;
  }
  if (const UniqueFunction<void()> on_writable = std::exchange(on_writable_, nullptr)) {
    on_writable();
  }
}

int64_t StreamChannel::Receive(std::span<const iovec> into) {
  while (socket_) {
    std::span<const std::byte> frame;
    const StreamSplitter::Next next = splitter_->TakeFrame(&frame);
    if (next == StreamSplitter::Next::kFrame) {
      size_t copied = 0;
      for (const iovec& each : into) {
        const size_t count = std::min(each.iov_len, frame.size() - copied);
        std::memcpy(each.iov_base, frame.data() + copied, count);
        copied += count;
      }
      return static_cast<int64_t>(copied);
    }
    if (next == StreamSplitter::Next::kBad) {
      Disconnect("its peer sent a frame of an impossible length");
      return 0;
    }
    const std::span<std::byte> room = splitter_->Room();
    const ssize_t got = ::recv(socket_->get(), room.data(), room.size(), 0);
    if (got > 0) {
      splitter_->Filled(static_cast<size_t>(got));
    } else if (got < 0 && errno == EAGAIN) {
      if (on_readable_) {
        readable_->Arm();
      }
      return 0;
    } else if (got == 0 || errno != EINTR) {
      Disconnect("its peer is gone");
    }
  }
  return 0;
}

void StreamChannel::StartRx(UniqueFunction<void()> on_readable) {
  on_readable_ = std::make_shared<UniqueFunction<void()>>(std::move(on_readable));
}

void StreamChannel::StopRx() {
  on_readable_ = nullptr;
  if (readable_) {
    readable_->Cancel();
  }
}

void StreamChannel::OnReadable() {
  if (const std::shared_ptr<UniqueFunction<void()>> on_readable = on_readable_) {
    (*on_readable)();
  }
}

}  // namespace nandu
