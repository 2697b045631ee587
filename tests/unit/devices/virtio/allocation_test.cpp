// An I/O allocates nothing in steady state: counted with operator new of this program.
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <new>

#include "devices/virtio/blk/blk_queue.h"
#include "support/fake_driver.h"
#include "support/manual_loop.h"

namespace {
thread_local size_t allocations = 0;
}

// Not inlined: g++ 12 would see new's pointer reach free and take it for a mistake.
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) {
    return memory;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t /*bytes*/) noexcept { std::free(memory); }

namespace nandu {
namespace {

// Keeps the requests it is given for the test to finish.
class KeepingChannel final : public BlockChannel {
 public:
  explicit KeepingChannel(std::vector<BlockRequest*>& kept) : kept_(kept) {}
  void Submit(BlockRequest* request) override { kept_.push_back(request); }

 private:
  std::vector<BlockRequest*>& kept_;
};

class AllocationTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Formats, AllocationTest, testing::Bool());

TEST_P(AllocationTest, PopAndCompleteAllocateNothingOnceWarm) {
  FakeDriver driver({.size = 8, .packed = GetParam(), .event_index = true});
  Virtqueue queue = driver.TakeQueue();
  size_t counted = 0;
  for (int i = 0; i < 20; ++i) {
    driver.Chain().Readable("header").Writable(100).Writable(1).Indirect().Send();
    const size_t before = allocations;
    std::optional<DescChain> chain = queue.Pop();
    ASSERT_TRUE(chain.has_value());
    queue.Complete(std::move(*chain), 101);
    counted += i >= 2 ? allocations - before : 0;
    driver.NextUsed();
  }
  EXPECT_EQ(counted, 0U);
}

TEST_P(AllocationTest, DiskReadAllocatesNothingOnceWarm) {
  ManualLoop loop;
  FakeDriver driver({.size = 16, .packed = GetParam()});
  std::vector<BlockRequest*> kept;
  kept.reserve(16);
  auto shared = std::make_shared<BlkShared>();
  shared->size_bytes = 4096;
  BlkQueue queue(loop, std::make_unique<KeepingChannel>(kept), shared, 16);
  queue.Start({0, driver.TakeQueue(), driver.doorbell()}, {});
  size_t counted = 0;
  for (int i = 0; i < 20; ++i) {
    driver.Chain().Header(blk::RequestHeader{}).Writable(512).Writable(1).Send();
    driver.Chain().Header(blk::RequestHeader{}).Writable(512).Writable(1).Send();
    const size_t before = allocations;
    queue.Serve();
    for (BlockRequest* request : kept) {
      request->done(request, BlkStatus::kOk);
    }
    kept.clear();
    counted += i >= 2 ? allocations - before : 0;
    loop.RunUntilIdle();
    EXPECT_TRUE(driver.NextUsed().has_value());
    EXPECT_TRUE(driver.NextUsed().has_value());
  }
  EXPECT_EQ(counted, 0U);
  queue.Stop([](std::optional<QueueAtRest>) {});
}

}  // namespace
}  // namespace nandu
