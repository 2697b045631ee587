#include "block/policy_channel.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "block/image_format.h"
#include "loop/event_loop.h"

namespace nandu {

bool IsZero(std::span<const iovec> vector) {
  return std::all_of(vector.begin(), vector.end(), [](const iovec& vec) {
    // A buffer is zero when its first byte is and it equals itself one byte further on.
    const auto* bytes = static_cast<const unsigned char*>(vec.iov_base);
    return vec.iov_len == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, vec.iov_len - 1) == 0);
  });
}

PolicyChannel::PolicyChannel(EventLoop& loop, std::unique_ptr<BlockChannel> child, const NodePolicy& policy)
    : loop_(loop), child_(std::move(child)), policy_(policy) {}

PolicyChannel::~PolicyChannel() {
  NANDU_CHECK(answering_ == 0 && idle_.size() == all_.size(),
              "a channel is destroyed with nothing in flight");
}

void PolicyChannel::Submit(BlockRequest* request) {
  const bool changes_zeroes = request->op == BlockRequest::Op::kWrite &&
                              policy_.detect_zeroes != DetectZeroes::kOff && IsZero(request->iov);
  const bool keeps_blocks =
      request->op == BlockRequest::Op::kWriteZeroes && request->may_unmap && !policy_.unmap;
  const bool guarded =
      policy_.guard_format && request->op == BlockRequest::Op::kWrite && request->offset < kProbeBytes;
  if (request->op == BlockRequest::Op::kDiscard && !policy_.unmap) {
    Answer(request, BlkStatus::kOk);  // a hint that nobody has to follow
    return;
  }
  const uint64_t size_bytes = policy_.size_bytes->load(std::memory_order_relaxed);
  if (request->op != BlockRequest::Op::kFlush &&
      (request->offset > size_bytes || request->bytes > size_bytes - request->offset)) {
    Answer(request, BlkStatus::kIoError);
    return;
  }
  if (policy_.offset == 0 && !changes_zeroes && !keeps_blocks && !guarded) {
    child_->Submit(request);
    return;
  }
  Passed* passed = Take(request);
  if (changes_zeroes) {
    passed->op = BlockRequest::Op::kWriteZeroes;
    passed->may_unmap = policy_.detect_zeroes == DetectZeroes::kUnmap && policy_.unmap;
    passed->iov = {};
  } else if (guarded && !GuardFirstSector(passed)) {
    idle_.push_back(passed);
    Answer(request, BlkStatus::kIoError);
    return;
  }
  passed->may_unmap = passed->may_unmap && policy_.unmap;
  child_->Submit(passed);
}

PolicyChannel::Passed* PolicyChannel::Take(BlockRequest* request) {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Passed>());
    all_.back()->channel = this;
    all_.back()->done = [](BlockRequest* self, BlkStatus status) {
      auto* passed = static_cast<Passed*>(self);
      BlockRequest* caller = passed->caller;
      caller->sys_errno = passed->sys_errno;
      passed->channel->idle_.push_back(passed);
      caller->done(caller, status);
    };
    idle_.push_back(all_.back().get());
  }
  Passed* passed = idle_.back();
  idle_.pop_back();
  passed->caller = request;
  passed->sys_errno = 0;
  passed->op = request->op;
  passed->fua = request->fua;
  passed->may_unmap = request->may_unmap;
  passed->offset = request->offset + policy_.offset;
  passed->bytes = request->bytes;
  passed->iov = request->iov;
  return passed;
}

// Puts a copy in the place of the first sector's bytes, so that the guest cannot change them after the look.
bool PolicyChannel::GuardFirstSector(Passed* passed) {
  const uint64_t offset = passed->caller->offset;
  const auto guarded = static_cast<size_t>(std::min<uint64_t>(kProbeBytes - offset, passed->bytes));
  passed->first_sector.assign(kProbeBytes, std::byte{0});
  passed->vector.assign(1, {passed->first_sector.data() + offset, guarded});
  size_t copied = 0;
  for (const iovec& vec : passed->caller->iov) {
    const size_t part = std::min(guarded - copied, vec.iov_len);
    std::memcpy(passed->first_sector.data() + offset + copied, vec.iov_base, part);
    copied += part;
    if (part < vec.iov_len) {
      passed->vector.push_back({static_cast<std::byte*>(vec.iov_base) + part, vec.iov_len - part});
    }
  }
  passed->iov = passed->vector;
  return GuessFormat(passed->first_sector) == "raw";
}

void PolicyChannel::Answer(BlockRequest* request, BlkStatus status) {
  ++answering_;
  loop_.Post([this, request, status] {
    --answering_;
    request->done(request, status);
  });
}

}  // namespace nandu
