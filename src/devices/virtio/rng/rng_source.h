// Where random bytes come from. Any thread, one at a time.
#pragma once

#include <cstddef>
#include <span>
#include <sys/uio.h>

namespace nandu {

class EntropySource {
 public:
  EntropySource() = default;
  EntropySource(const EntropySource&) = delete;
  EntropySource& operator=(const EntropySource&) = delete;
  virtual ~EntropySource() = default;
  // Fills the first `bytes` of `into` and returns how many it filled. Does not block.
  virtual size_t Fill(std::span<const iovec> into, size_t bytes) = 0;
};

// getrandom(2).
class HostEntropy final : public EntropySource {
 public:
  size_t Fill(std::span<const iovec> into, size_t bytes) override;
};

}  // namespace nandu
