// Frames in and out of one tap queue.
#include "net/tap_channel.h"

#include <cerrno>
#include <sys/uio.h>

namespace nandu {

TapChannel::TapChannel(EventLoop& loop, std::shared_ptr<UniqueFd> fd) : loop_(loop), fd_(std::move(fd)) {
  for (std::unique_ptr<Poll>* poll : {&readable_, &writable_}) {
    *poll = std::make_unique<Poll>();
    (*poll)->op.done = OnPoll;
    (*poll)->owner = this;
    (*poll)->fd = fd_;
  }
  writable_->writable = true;
}

TapChannel::~TapChannel() {
  Abandon(std::move(readable_));
  Abandon(std::move(writable_));
}

void TapChannel::Abandon(std::unique_ptr<Poll> poll) {
  poll->owner = nullptr;
  if (poll->pending) {
    loop_.ring().Cancel(&poll->op);
    static_cast<void>(poll.release());  // OnPoll deletes it
  }
}

NetChannel::SendResult TapChannel::Send(std::span<const iovec> frame) {
  while (::writev(fd_->get(), frame.data(), static_cast<int>(frame.size())) < 0) {
    if (errno == EAGAIN) {
      return SendResult::kBusy;
    }
    if (errno != EINTR) {
      return SendResult::kDropped;  // EIO: the interface is down; EINVAL: a header the kernel refuses
    }
  }
  return SendResult::kSent;
}

void TapChannel::NotifyWritable(UniqueFunction<void()> on_writable) {
  on_writable_ = std::move(on_writable);
  if (on_writable_) {
    Arm(*writable_);
  } else if (writable_->pending) {
    loop_.ring().Cancel(&writable_->op);
  }
}

int64_t TapChannel::Receive(std::span<const iovec> into) {
  while (true) {
    const ssize_t got = ::readv(fd_->get(), into.data(), static_cast<int>(into.size()));
    if (got > 0) {
      return got;
    }
    if (got == 0 || errno == EAGAIN) {
      if (on_readable_) {
        Arm(*readable_);
      }
      return 0;
    }
    if (errno != EINTR) {
      return -errno;  // EBADFD: its queue is detached, or the interface is gone; nothing will come, so
                      // nothing is waited for
    }
  }
}

void TapChannel::StartRx(UniqueFunction<void()> on_readable) {
  on_readable_ = std::make_shared<UniqueFunction<void()>>(std::move(on_readable));
}

void TapChannel::StopRx() {
  on_readable_ = nullptr;
  if (readable_->pending) {
    loop_.ring().Cancel(&readable_->op);
  }
}

void TapChannel::Arm(Poll& poll) {
  if (poll.pending) {
    return;  // a poll that was cancelled and is still on its way arms again when it ends
  }
  poll.pending = true;
  if (poll.writable) {
    loop_.ring().PollWritable(poll.fd->get(), &poll.op);
  } else {
    loop_.ring().PollReadable(poll.fd->get(), &poll.op);
  }
}

void TapChannel::OnPoll(IoOp* op, int32_t result) {
  auto* poll = reinterpret_cast<Poll*>(op);
  poll->pending = false;
  TapChannel* owner = poll->owner;
  if (owner == nullptr) {
    delete poll;
    return;
  }
  if (poll->writable && result == -ECANCELED && owner->on_writable_) {
    owner->Arm(*poll);  // wanted again while the cancel was on its way
    return;
  }
  if (poll->writable) {
    if (const UniqueFunction<void()> on_writable = std::exchange(owner->on_writable_, nullptr)) {
      on_writable();
    }
    return;
  }
  if (!owner->on_readable_) {
    return;
  }
  if (result == -ECANCELED) {
    owner->Arm(*poll);  // stopped and started again while the cancel was on its way
    return;
  }
  const std::shared_ptr<UniqueFunction<void()>> on_readable = owner->on_readable_;
  (*on_readable)();
}

}  // namespace nandu
