// Fuzzes virtio-rng over its registers and rings, with a limit on bytes a period.
#include <cstring>

#include "devices/virtio/rng/rng_device.h"
#include "support/fake_clock.h"
#include "support/manual_loop.h"
#include "virtio_driver.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

class Ones final : public EntropySource {
 public:
  size_t Fill(std::span<const iovec> into, size_t bytes) override {
    size_t left = bytes;
    for (const iovec& to : into) {
      const size_t part = std::min(to.iov_len, left);
      std::memset(to.iov_base, 1, part);
      left -= part;
    }
    NANDU_CHECK(left == 0, "no more is asked for than there is room for");
    return bytes;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, std::min<size_t>(size, 16 * 1024));
  ManualLoop loop;
  FakeClock clock;
  const uint8_t setup = input.Byte();
  RngLimit limit;
  if ((setup & 2) != 0) {
    limit.max_bytes = 1 + input.Word();
    limit.period_ms = 10;
  }
  {
    FuzzDriver driver(
        std::make_unique<RngDevice>(loop, clock, std::make_unique<Ones>(), limit),
        [&] { loop.RunUntilIdle(); }, (setup & 1) != 0);
    while (!input.empty() && !driver.exhausted()) {
      if (input.Byte() % 4 == 0) {
        clock.Advance(int64_t{1'000'000} * input.Byte());
      } else {
        driver.Step(input);
      }
    }
  }
  loop.RunUntilIdle();
  return 0;
}
