// A block request a test makes, submits and looks at.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <nandu/block.h>

namespace nandu {

// Owns its data; `bytes` of it lie in `iov` as the test cut them.
struct TestRequest : BlockRequest {
  explicit TestRequest(Op operation, uint64_t at = 0, uint64_t length = 0) {
    op = operation;
    offset = at;
    bytes = length;
    done = [](BlockRequest* self, BlkStatus ended) {
      auto* request = static_cast<TestRequest*>(self);
      request->status = ended;
      ++request->completions;
    };
    if (op == Op::kRead || op == Op::kWrite) {
      memory.resize(length, std::byte{0xee});
      Cut({});
    }
  }
  static TestRequest Write(uint64_t at, const std::string& text) {
    TestRequest request(Op::kWrite, at, text.size());
    std::memcpy(request.memory.data(), text.data(), text.size());
    return request;
  }
  TestRequest(TestRequest&& other) noexcept
      : BlockRequest(other),
        status(other.status),
        memory(std::move(other.memory)),
        vector(std::move(other.vector)) {
    iov = vector;
  }

  // The memory in pieces of the given lengths, the rest as the last one.
  void Cut(const std::vector<size_t>& lengths) {
    vector.clear();
    size_t at = 0;
    for (const size_t length : lengths) {
      vector.push_back({memory.data() + at, length});
      at += length;
    }
    if (at < memory.size()) {
      vector.push_back({memory.data() + at, memory.size() - at});
    }
    iov = vector;
  }
  std::string text() const { return {reinterpret_cast<const char*>(memory.data()), memory.size()}; }

  std::optional<BlkStatus> status;
  int completions = 0;
  std::vector<std::byte> memory;
  std::vector<iovec> vector;
};

}  // namespace nandu
