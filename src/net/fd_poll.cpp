#include "net/fd_poll.h"

#include <cerrno>

namespace nandu {

FdPoll::FdPoll(EventLoop& loop, std::shared_ptr<UniqueFd> fd, For direction, UniqueFunction<void()> on_ready)
    : loop_(loop),
      direction_(direction),
      on_ready_(std::make_shared<UniqueFunction<void()>>(std::move(on_ready))),
      op_(std::make_unique<Op>()) {
  op_->op.done = OnDone;
  op_->owner = this;
  op_->fd = std::move(fd);
}

FdPoll::~FdPoll() {
  op_->owner = nullptr;
  if (op_->pending) {
    loop_.ring().Cancel(&op_->op);
    static_cast<void>(op_.release());  // OnDone deletes it
  }
}

void FdPoll::Arm() {
  wanted_ = true;
  if (!op_->pending) {
    Submit();
  }
}

void FdPoll::Cancel() {
  wanted_ = false;
  if (op_->pending) {
    loop_.ring().Cancel(&op_->op);
  }
}

void FdPoll::Submit() {
  op_->pending = true;
  if (direction_ == For::kWritable) {
    loop_.ring().PollWritable(op_->fd->get(), &op_->op);
  } else {
    loop_.ring().PollReadable(op_->fd->get(), &op_->op);
  }
}

void FdPoll::OnDone(IoOp* op, int32_t result) {
  auto* const mine = reinterpret_cast<Op*>(op);
  mine->pending = false;
  FdPoll* const owner = mine->owner;
  if (owner == nullptr) {
    delete mine;
    return;
  }
  if (!owner->wanted_) {
    return;
  }
  if (result == -ECANCELED) {
    owner->Submit();  // wanted again while the cancel was on its way
    return;
  }
  owner->wanted_ = false;
  const std::shared_ptr<UniqueFunction<void()>> on_ready = owner->on_ready_;
  (*on_ready)();
}

}  // namespace nandu
