#include "devices/virtio/desc_chain.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "devices/virtio/chain_body.h"

namespace nandu {

DescChain::DescChain(std::unique_ptr<ChainBody> body) : body_(std::move(body)) {}
DescChain::DescChain(DescChain&& other) noexcept = default;
DescChain::~DescChain() { NANDU_CHECK(body_ == nullptr, "a popped chain is completed, parked or unpopped"); }

std::span<const iovec> DescChain::readable() const {
  return std::span(body_->iov).subspan(body_->readable_begin, body_->writable_begin - body_->readable_begin);
}
std::span<const iovec> DescChain::writable() const {
  return std::span(body_->iov).subspan(body_->writable_begin, body_->writable_end - body_->writable_begin);
}
uint64_t DescChain::readable_bytes() const { return body_->readable_bytes; }
uint64_t DescChain::writable_bytes() const { return body_->writable_bytes; }
std::span<const GuestSegment> DescChain::writable_segments() const { return body_->written_to; }
uint16_t DescChain::id() const { return body_->id; }
void DescChain::MarkAllWritten() { body_->all_written = true; }

bool DescChain::ReadHeader(void* out, size_t n) {
  ChainBody& body = *body_;
  if (n > body.readable_bytes) {
    return false;
  }
  body.readable_bytes -= n;
  auto* to = static_cast<std::byte*>(out);
  while (n > 0) {
    iovec& from = body.iov[body.readable_begin];
    const size_t here = std::min(n, from.iov_len);
    std::memcpy(to, from.iov_base, here);
    to += here;
    n -= here;
    from.iov_base = static_cast<std::byte*>(from.iov_base) + here;
    from.iov_len -= here;
    body.readable_begin += from.iov_len == 0 ? 1 : 0;
  }
  return true;
}

bool DescChain::Write(uint64_t offset, const void* from, size_t n) const {
  if (offset > body_->writable_bytes || n > body_->writable_bytes - offset) {
    return false;
  }
  const auto* bytes = static_cast<const std::byte*>(from);
  for (const iovec& to : writable()) {
    if (offset >= to.iov_len) {
      offset -= to.iov_len;
      continue;
    }
    const size_t here = std::min<size_t>(n, to.iov_len - offset);
    if (here == 0) {
      break;
    }
    std::memcpy(static_cast<std::byte*>(to.iov_base) + offset, bytes, here);
    bytes += here;
    n -= here;
    offset = 0;
  }
  return true;
}

std::optional<std::vector<iovec>> DescChain::TakeTrailer(size_t n) {
  ChainBody& body = *body_;
  if (n > body.writable_bytes) {
    return std::nullopt;
  }
  body.writable_bytes -= n;
  body.trailer_bytes += n;
  std::vector<iovec> taken;
  while (n > 0) {
    iovec& last = body.iov[body.writable_end - 1];
    const size_t here = std::min(n, last.iov_len);
    last.iov_len -= here;
    taken.push_back({static_cast<std::byte*>(last.iov_base) + last.iov_len, here});
    n -= here;
    body.writable_end -= last.iov_len == 0 ? 1 : 0;
  }
  std::reverse(taken.begin(), taken.end());
  return taken;
}

std::byte* DescChain::TakeLastByte() {
  ChainBody& body = *body_;
  if (body.writable_bytes == 0) {
    return nullptr;
  }
  --body.writable_bytes;
  ++body.trailer_bytes;
  iovec& last = body.iov[body.writable_end - 1];
  --last.iov_len;
  std::byte* const at = static_cast<std::byte*>(last.iov_base) + last.iov_len;
  body.writable_end -= last.iov_len == 0 ? 1 : 0;
  return at;
}

}  // namespace nandu
