// Fuzzes virtio-balloon's data half: a driver that gives away, takes back, reports and tells whatever it
// likes, in buffers of any shape, with pauses in between. Memory it did not name stays as it was; a state can
// always be loaded again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "devices/virtio/balloon/balloon_queues.h"
#include "input.h"
#include "support/driver_ring.h"
#include "support/fake_clock.h"
#include "support/fake_control_loop.h"
#include "support/fake_driver.h"
#include "support/fake_guest.h"
#include "support/manual_loop.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

constexpr uint64_t kMemoryBytes = uint64_t{1} << 20;
constexpr uint64_t kHeap = 0x40000;     // rings and buffers lie below, pages to give away above
constexpr uint64_t kWitness = 0xff000;  // never named
constexpr uint32_t kFirstPage = kHeap / 4096;
constexpr uint32_t kPages = (kWitness - kHeap) / 4096;

struct Machine {
  explicit Machine(bool packed) {
    for (unsigned index = 0; index < balloon::kMaxQueues; ++index) {
      rings.push_back(std::make_unique<DriverRing>(guest, DriverRing::Options{.size = 8, .packed = packed}));
      bells.push_back(std::make_unique<Doorbell>(UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))));
    }
    guest.Store<uint64_t>(kWitness, 0x5a5a);
    control->SetStatsTimer(timer.get());
    control->FeaturesAccepted(balloon::kFeaturePagePoison);
    Activate();
  }
  ~Machine() {
    queues.Quiesce();
    control->SetStatsTimer(nullptr);
  }

  void Activate() {
    ActivateArgs args;
    args.dma = &guest.dma();
    args.features = balloon::kFeaturePagePoison;
    std::vector<RequeuedChains> requeue;
    for (unsigned index = 0; index < rings.size(); ++index) {
      Virtqueue queue(index, guest.dma(), rings[index]->config(), rings[index]->features(), positions[index],
                      notifier, counters);
      args.queues.push_back({index, std::move(queue), bells[index].get()});
      requeue.push_back({index, parked[index]});
    }
    queues.Activate(std::move(args), requeue);
  }
  void PauseAndGoOn() {
    for (QueueAtRest& rest : queues.Quiesce()) {
      positions[rest.index] = rest.queue.position();
      parked[rest.index] = std::move(rest.parked);
      NANDU_CHECK(rest.index == balloon::kStatsQueue || parked[rest.index].empty(),
                  "only statistics are parked");
    }
    Activate();
  }
  // A chain of up to four buffers: the driver's own bytes, or memory named by address.
  void Send(Input& input) {
    const unsigned index = input.Byte() % balloon::kMaxQueues;
    DriverRing& ring = *rings[index];
    if (ring.free_descriptors() < 4 || guest.used_bytes() + 4096 > kHeap) {
      return;
    }
    auto request = ring.Chain();
    const uint8_t shape = input.Byte();
    for (unsigned i = 0; i <= shape % 4U; ++i) {
      if ((shape & 0x80) != 0) {  // a report: from anywhere above the heap to before the witness
        const uint64_t at = kHeap + input.Word() * 8 % (kWitness - kHeap);
        const uint64_t length = 1 + input.Word() * 8 % (kWitness - at);
        request.At(at, static_cast<uint32_t>(length), kDescWrite);
      } else {
        std::string text(input.Text(1 + input.Byte()));
        text.resize(std::max<size_t>(text.size(), 1));
        if (index == balloon::kInflateQueue) {
          // Page numbers with a zero in every upper byte, so that some are RAM; the witness' and the rings'
          // are not given away.
          for (size_t at = 0; at + 4 <= text.size(); at += 4) {
            uint32_t page = 0;
            std::memcpy(&page, text.data() + at, 4);
            page = (page & 0x80) != 0 ? page | 0x100 : kFirstPage + page % kPages;
            std::memcpy(text.data() + at, &page, 4);
          }
          text.resize(text.size() < 4 ? text.size() : text.size() / 4 * 4);
        }
        request.Readable(text);
        if (index == balloon::kInflateQueue && text.size() < 4) {
          break;  // what followed would be other pages than were meant
        }
      }
    }
    request.Send();
    bells[index]->Ring();
  }

  FakeGuest guest{kMemoryBytes};
  ManualLoop loop;
  FakeControlLoop control_loop;
  FakeClock clock;
  FakeNotifier notifier;
  QueueCounters counters;
  std::vector<std::unique_ptr<DriverRing>> rings;
  std::vector<std::unique_ptr<Doorbell>> bells;
  std::array<QueuePosition, balloon::kMaxQueues> positions;
  std::array<std::vector<ParkedChain>, balloon::kMaxQueues> parked;
  std::shared_ptr<BalloonControl> control = std::make_shared<BalloonControl>(control_loop, clock, [] {});
  BalloonQueues queues{loop, control};
  std::unique_ptr<Timer> timer = clock.CreateTimer([this] { queues.PollStats(); });
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16 * 1024) {
    return 0;
  }
  Input input(data, size);
  Machine machine((input.Byte() & 1) != 0);
  while (!input.empty()) {
    switch (input.Byte() % 8) {
      case 0: machine.loop.RunUntilIdle(); break;
      case 1: machine.queues.Serve(input.Byte() % balloon::kMaxQueues); break;
      case 2: machine.PauseAndGoOn(); break;
      case 3:
        machine.control->SetStatsInterval(input.Byte() % 4);
        machine.clock.Advance(int64_t{1'000'000} * static_cast<int64_t>(input.Word()));
        break;
      case 4: {
        const uint8_t value = input.Byte();
        const uint32_t offset = input.Byte() % sizeof(balloon::Config);
        (void)machine.control->WriteConfig(offset, std::as_bytes(std::span(&value, 1)));
        break;
      }
      case 5:
        for (const std::unique_ptr<DriverRing>& ring : machine.rings) {
          while (ring->NextUsed()) {
          }
        }
        break;
      default: machine.Send(input); break;
    }
  }
  machine.loop.RunUntilIdle();
  NANDU_CHECK(machine.guest.Load<uint64_t>(kWitness) == 0x5a5a, "memory that was not named stays");
  return 0;
}
