#include "devices/legacy/flash_store.h"

#include <future>
#include <utility>

namespace nandu {

Result<std::shared_ptr<FlashStore>> FlashStore::Create(std::string name, EventLoop& loop,
                                                       std::shared_ptr<BlockNode> node) {
  std::shared_ptr<FlashStore> store(new FlashStore(std::move(name), loop, std::move(node)));
  store->channel_ = TRY(store->node_->OpenChannel(loop));
  return store;
}

void FlashStore::Close() {
  loop_.Post([self = shared_from_this()] { self->channel_.reset(); });
}

Result<> FlashStore::Load(std::span<std::byte> array) {
  struct Read {
    BlockRequest request;
    iovec piece = {};
    std::promise<BlkStatus> done;
  } read;
  read.piece = {array.data(), array.size()};
  read.request.bytes = array.size();
  read.request.iov = {&read.piece, 1};
  read.request.owner = &read;
  read.request.done = [](BlockRequest* request, BlkStatus status) {
    static_cast<Read*>(request->owner)->done.set_value(status);
  };
  loop_.Post([this, &read] { channel_->Submit(&read.request); });
  if (read.done.get_future().get() != BlkStatus::kOk) {
    return FailErrno(read.request.sys_errno, "{}: cannot read '{}'", name_, node_->node_name());
  }
  return {};
}

std::shared_ptr<ParkedExit> FlashStore::Store(uint64_t offset, std::span<const std::byte> data) {
  auto token = std::make_shared<ParkedExit>();
  bool first = false;
  {
    const MutexLock lock(mutex_);
    jobs_.push_back(Job{offset, {data.begin(), data.end()}, token});
    first = jobs_.size() == 1;
  }
  if (first) {
    loop_.Post([self = shared_from_this()] { self->Start(); });
  }
  return token;
}

void FlashStore::Start() {
  request_ = BlockRequest{};
  {
    const MutexLock lock(mutex_);
    Job& job = jobs_.front();  // stays where it is until it is finished: a deque moves nothing
    piece_ = {job.data.data(), job.data.size()};
    request_.offset = job.offset;
    request_.bytes = job.data.size();
  }
  request_.op = BlockRequest::Op::kWrite;
  request_.iov = {&piece_, 1};
  request_.owner = this;
  request_.done = [](BlockRequest* request, BlkStatus status) {
    static_cast<FlashStore*>(request->owner)->Finish(status);
  };
  channel_->Submit(&request_);
}

void FlashStore::Finish(BlkStatus status) {
  if (status != BlkStatus::kOk) {
    failed_.Add();
    log_.Warn("what the guest wrote to its flash is lost when the VM ends: writing '{}' failed: {}",
              node_->node_name(), ErrnoText(request_.sys_errno));
  }
  std::shared_ptr<ParkedExit> token;
  std::vector<UniqueFunction<void()>> idle;
  bool more = false;
  {
    const MutexLock lock(mutex_);
    token = std::move(jobs_.front().token);
    jobs_.pop_front();
    more = !jobs_.empty();
    if (!more) {
      idle = std::move(idle_);
      idle_.clear();
    }
  }
  token->Signal();
  if (more) {
    Start();
  }
  for (UniqueFunction<void()>& done : idle) {
    done();
  }
}

void FlashStore::WhenIdle(UniqueFunction<void()> done) {
  {
    const MutexLock lock(mutex_);
    if (!jobs_.empty()) {
      idle_.push_back(std::move(done));
      return;
    }
  }
  done();
}

bool FlashStore::busy() const {
  const MutexLock lock(mutex_);
  return !jobs_.empty();
}

}  // namespace nandu
