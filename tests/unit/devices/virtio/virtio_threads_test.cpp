// The transport against real I/O loops and several vCPU threads at once: what TSan is for.
#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <thread>

#include "devices/virtio/blk/blk_device.h"
#include "loop/io_loop.h"
#include "support/fake_virtio_guest.h"
#include "support/fault_block.h"

namespace nandu {
namespace {

// As a vCPU: until the write is over.
void Wait(const ExitDone& exit) {
  if (exit.token() == nullptr) {
    return;
  }
  std::promise<void> over;
  exit.token()->Observe([&over] { over.set_value(); });
  over.get_future().wait();
}

struct VirtioThreadsTest : testing::Test {
  VirtioThreadsTest() {
    IoLoopOptions options;
    options.poll_max_ns = 0;
    loop = IoLoop::Create("test", options).value();
    EXPECT_TRUE(loop->Start().has_value());
    BlkDeviceConfig config;
    config.queues = 2;
    auto made = BlkDevice::Create(std::move(config), *loop, node).value();
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made));
  }
  ~VirtioThreadsTest() override {
    Pause();
    guest.reset();
    loop->Stop();
  }
  void Pause() {
    std::promise<void> stopped;
    guest->device().Quiesce([&stopped] { stopped.set_value(); });
    stopped.get_future().wait();
  }
  SentChain SendRead(unsigned queue) {
    return guest->ring(queue)
        .Chain()
        .Header(blk::RequestHeader{blk::kTypeIn, 0, 0})
        .Writable(512)
        .Writable(1)
        .Send();
  }
  void WaitForUsed(unsigned queue, unsigned count) {
    for (unsigned used = 0; used < count;) {
      if (guest->ring(queue).NextUsed()) {
        ++used;
      } else {
        std::this_thread::yield();
      }
    }
  }

  std::shared_ptr<MemoryBlockNode> node = std::make_shared<MemoryBlockNode>(64 * 1024);
  std::unique_ptr<IoLoop> loop;
  BlkDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

TEST_F(VirtioThreadsTest, DriverAndLoopShareRings) {
  guest->StartModern({});
  for (int round = 0; round < 300; ++round) {
    SendRead(0);
    SendRead(1);
    guest->Kick(0);
    guest->Kick(1);
    SendRead(0);
    guest->Kick(0);
    WaitForUsed(0, 2);
    WaitForUsed(1, 1);
  }
  EXPECT_EQ(device->counters().reads.value(), 900U);
}

TEST_F(VirtioThreadsTest, SuppressedKicksLoseNoRequest) {
  guest->StartModern({});
  for (int round = 0; round < 500; ++round) {
    SendRead(0);
    if (guest->ring(0).KickWanted()) {
      guest->Kick(0);
    }
    WaitForUsed(0, 1);
  }
  EXPECT_EQ(device->counters().reads.value(), 500U);
}

TEST_F(VirtioThreadsTest, ResetsPausesAndRegistersFromManyThreads) {
  std::atomic<bool> over{false};
  guest->MapBars();
  std::thread other_vcpu([&] {
    while (!over) {
      guest->Kick(0);
      (void)guest->Status();
      (void)guest->Modern(virtio::kDeviceOffset, 4);
      (void)guest->Modern(virtio::kIsrOffset, 1);
      (void)guest->SetModern(virtio::kDeviceOffset + 32, 1, 1);
    }
  });
  std::thread control([&] {
    while (!over) {
      Pause();
      guest->device().Resume();
      guest->transport().ConfigChanged();
      (void)guest->device().StuckRequests();
    }
  });
  for (int round = 0; round < 40; ++round) {
    Wait(guest->SetStatus(0));
    guest->StartModern({.msix = round % 2 == 0});
    for (int i = 0; i < 5; ++i) {
      SendRead(0);
      guest->Kick(0);
    }
    if (round % 4 == 0) {
      WaitForUsed(0, 5);
    }
    if (round % 8 == 1) {
      Wait(guest->SetCommand(pci::kCommandMemory));
    }
  }
  over = true;
  other_vcpu.join();
  control.join();
  Wait(guest->SetStatus(0));
  EXPECT_EQ(guest->Status(), 0);
}

}  // namespace
}  // namespace nandu
