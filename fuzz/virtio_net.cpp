// Fuzzes virtio-net's rings: frames both ways, through offload headers of any kind, with a link that goes up
// and down. What a driver may say on the control queue alone is net_control.cpp's.
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_factory.h"
#include "support/fake_net.h"
#include "support/manual_loop.h"
#include "virtio_driver.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

void TouchWire(FakeNetBackend& backend, Input& input) {
  switch (input.Byte() % 5) {
    case 0: backend.SetBusy(true); break;
    case 1: backend.SetBusy(false); break;
    case 2: backend.header = std::string(input.Text(10)); break;
    case 3: {
      std::string frame(input.Text(14 + input.Byte()));
      frame.resize(std::max<size_t>(frame.size(), 14) + input.Word() % 9000);
      backend.Deliver(frame);
      break;
    }
    default: backend.wire().sent.clear(); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, std::min<size_t>(size, 16 * 1024));
  ManualLoop loop;
  const uint8_t setup = input.Byte();
  FakeNetBackend::Options wire;
  wire.pairs = (setup & 2) != 0 ? 2 : 1;
  wire.vnet_header = (setup & 4) == 0;
  auto backend = std::make_shared<FakeNetBackend>(wire);
  VirtioNetOptions options;
  options.mq = wire.pairs > 1;
  NetDeviceConfig config;
  config.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  config.features = NetFeatures(options, *backend) & ~(uint64_t{input.Byte()} << 7);
  config.pairs = wire.pairs;
  std::vector<std::unique_ptr<NetChannel>> channels;
  for (unsigned i = 0; i < config.pairs; ++i) {
    channels.push_back(backend->OpenChannel(i, loop).value());
  }
  {
    FuzzDriver driver(
        std::make_unique<NetDevice>(config, loop, backend, std::move(channels)), [&] { loop.RunUntilIdle(); },
        (setup & 1) != 0);
    while (!input.empty() && !driver.exhausted()) {
      if (input.Byte() % 3 == 0) {
        TouchWire(*backend, input);
      } else {
        driver.Step(input);
      }
    }
  }
  loop.RunUntilIdle();
  return 0;
}
