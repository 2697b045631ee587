// Fuzzes virtio-console: a console and two ports, whose chardevs come, go, type and stop taking bytes, and a
// driver that says what it likes on the control queue.
#include "devices/virtio/console/console_device.h"
#include "support/fake_chardev.h"
#include "support/fake_control_loop.h"
#include "support/manual_loop.h"
#include "virtio_driver.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

void TouchChardev(FakeChardev& chardev, Input& input) {
  switch (input.Byte() % 5) {
    case 0: chardev.Connect(); break;
    case 1: chardev.Disconnect(); break;
    case 2: chardev.Type(input.Text(input.Byte())); break;
    case 3: chardev.SetWriteRoom(input.Byte()); break;
    default: chardev.TakeWritten(); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, std::min<size_t>(size, 16 * 1024));
  ManualLoop loop;
  FakeControlLoop control;
  const auto settle = [&] {
    for (int turn = 0; turn < 4; ++turn) {
      loop.RunUntilIdle();
      control.RunReady();
    }
  };
  const uint8_t setup = input.Byte();
  ConsoleDevice::Options options;
  options.max_ports = (setup & 2) != 0 ? 1 : 4;
  auto device = std::make_unique<ConsoleDevice>(control, loop, options);
  ConsoleDevice* const console = device.get();
  std::vector<std::shared_ptr<FakeChardev>> chardevs;
  for (unsigned i = 0; i < (options.max_ports > 1 ? 3U : 1U); ++i) {
    chardevs.push_back(std::make_shared<FakeChardev>(std::string(1, static_cast<char>('a' + i)), i != 1));
    ConsoleDevice::NewPort port;
    port.kind = i == 0 ? PortKind::kConsole : PortKind::kSerial;
    port.name = "port" + std::to_string(i);
    port.chardev = chardevs.back();
    NANDU_CHECK(console->AddPort(std::move(port)).has_value(), "there is room for three ports");
  }
  {
    FuzzDriver driver(std::move(device), settle, (setup & 1) != 0);
    while (!input.empty() && !driver.exhausted()) {
      if (input.Byte() % 4 == 0) {
        TouchChardev(*chardevs[input.Byte() % chardevs.size()], input);
      } else {
        driver.Step(input);
      }
    }
  }
  settle();
  return 0;
}
