#include "devices/legacy/vmmouse.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr uint32_t kReadId = 0x45414552;
constexpr uint32_t kDisable = 0xf5;
constexpr uint32_t kRequestRelative = 0x4c455252;
constexpr uint32_t kRequestAbsolute = 0x53424152;
constexpr uint32_t kVersion = 0x3442554a;
constexpr uint16_t kError = 0xffff;

}  // namespace

Result<> Validate(const VmmouseState& state) {
  if (state.queue.size() > Vmmouse::kMostWords) {
    return Fail(Errc::kCorrupt, "queue holds {} words, the mouse {}", state.queue.size(),
                Vmmouse::kMostWords);
  }
  return {};
}

void Vmmouse::Command(uint32_t command) {
  switch (command) {
    case kReadId:
      if (state_.queue.size() < kMostWords) {
        state_.queue.push_back(kVersion);
        state_.status = 0;
      }
      break;
    case kRequestRelative:
    case kRequestAbsolute:
      if (state_.status == 0) {
        state_.absolute = command == kRequestAbsolute;
      }
      break;
    case kDisable: state_.status = kError; break;
    default: counters_.unknown_commands.Add();
  }
}

void Vmmouse::Take(Registers* registers) {
  const uint32_t words = registers->at(1);
  if (words == 0 || words > registers->size() || words > state_.queue.size()) {
    counters_.bad_reads.Add();
    state_.status = kError;
    return;
  }
  const auto end = state_.queue.begin() + words;
  std::copy(state_.queue.begin(), end, registers->begin());
  state_.queue.erase(state_.queue.begin(), end);
}

}  // namespace nandu
