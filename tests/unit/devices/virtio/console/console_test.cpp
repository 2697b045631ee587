// virtio-serial: ports, messages, bytes both ways, over the device's registers.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/console/console_device.h"
#include "devices/virtio/console/console_factory.h"
#include "state/document.h"
#include "support/fake_chardev.h"
#include "support/fake_control_loop.h"
#include "support/fake_host.h"
#include "support/fake_pci.h"
#include "support/fake_virtio_guest.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

constexpr unsigned kControlIn = console::kControlReceiveQueue;
constexpr unsigned kControlOut = console::kControlTransmitQueue;

struct SerialGuest {
  explicit SerialGuest(const ConsoleDevice::Options& options = {.max_ports = 4, .emergency_write = true}) {
    auto made = std::make_unique<ConsoleDevice>(control, io, options);
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made));
  }
  ~SerialGuest() { Pause(); }
  SerialGuest(const SerialGuest&) = delete;
  SerialGuest& operator=(const SerialGuest&) = delete;

  std::shared_ptr<FakeChardev> AddPort(PortKind kind, const std::string& name = {}, bool connected = true) {
    auto chardev = std::make_shared<FakeChardev>("chr", connected);
    const Result<uint32_t> number = device->AddPort({kind, std::nullopt, name, chardev});
    EXPECT_TRUE(number) << number.error().message;
    Settle();
    return chardev;
  }
  // Both loops, until neither has anything to do.
  void Settle() {
    do {
      io.RunUntilIdle();
      control.RunReady();
      io.RunUntilIdle();
    } while (control.posted() > 0);
  }
  void Start(uint64_t without = 0) {
    FakeVirtioGuest::DriverOptions options;
    options.without = without;
    guest->StartModern(options);
    Settle();
  }
  void Kick(unsigned queue) {
    guest->Kick(queue);
    Settle();
  }
  void Pause() {
    guest->device().Quiesce([] {});
    Settle();
  }
  void Resume() {
    guest->device().Resume();
    Settle();
  }
  void Tell(uint32_t port, console::Event event, uint16_t value) {
    guest->ring(kControlOut)
        .Chain()
        .Header(console::ControlMessage{port, static_cast<uint16_t>(event), value})
        .Send();
    Kick(kControlOut);
    guest->ring(kControlOut).NextUsed();
  }
  void GiveMessageBuffers(int count) {
    for (int i = 0; i < count; ++i) {
      message_buffers.push_back(guest->ring(kControlIn).Chain().Writable(64).Send());
    }
    Kick(kControlIn);
  }
  // "add 1", "console 0", "name 1 agent", "open 1 1": what the device said since.
  std::vector<std::string> Messages() {
    static const char* const kNames[] = {"ready",   "add",    "remove", "port-ready",
                                         "console", "resize", "open",   "name"};
    std::vector<std::string> said;
    while (const std::optional<Used> used = guest->ring(kControlIn).NextUsed()) {
      console::ControlMessage message{};
      const std::string bytes = guest->ring(kControlIn).BytesOf(message_buffers.front());
      message_buffers.erase(message_buffers.begin());
      std::memcpy(&message, bytes.data(), sizeof(message));
      std::string text = std::string(kNames[message.event]) + " " + std::to_string(message.port);
      text += message.event == 6 ? " " + std::to_string(message.value) : "";
      text += used->length > 8 ? " " + bytes.substr(8, used->length - 8) : "";
      said.push_back(text);
    }
    return said;
  }
  // As Linux' driver: ready, then ready for each port and opens it.
  void Open(uint32_t port) {
    GiveMessageBuffers(16);
    Tell(0, console::Event::kDeviceReady, 1);
    Tell(port, console::Event::kPortReady, 1);
    Tell(port, console::Event::kPortOpen, 1);
    Messages();
  }
  unsigned In(uint32_t port) const { return console::ReceiveQueueOf(port); }
  unsigned Out(uint32_t port) const { return console::ReceiveQueueOf(port) + 1; }

  ManualLoop io;
  FakeControlLoop control;
  ConsoleDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
  std::vector<SentChain> message_buffers;
};

TEST(Console, TellsTheDriverAboutItsPorts) {
  SerialGuest vm;
  vm.AddPort(PortKind::kConsole);
  vm.AddPort(PortKind::kSerial, "org.qemu.guest_agent.0");
  vm.Start();
  vm.GiveMessageBuffers(8);
  EXPECT_TRUE(vm.Messages().empty());
  vm.Tell(0, console::Event::kDeviceReady, 1);
  EXPECT_EQ(vm.Messages(), (std::vector<std::string>{"add 0", "add 1"}));
  vm.Tell(0, console::Event::kPortReady, 1);
  EXPECT_EQ(vm.Messages(), (std::vector<std::string>{"console 0", "open 0 1"}));
  vm.Tell(1, console::Event::kPortReady, 1);
  EXPECT_EQ(vm.Messages(), (std::vector<std::string>{"name 1 org.qemu.guest_agent.0", "open 1 1"}));
}

TEST(Console, MessagesWaitForBuffersAndCostNothing) {
  SerialGuest vm;
  vm.AddPort(PortKind::kConsole);
  vm.Start();
  for (int i = 0; i < 100; ++i) {
    vm.Tell(0, console::Event::kDeviceReady, 1);
    vm.Tell(0, console::Event::kPortReady, 1);
  }
  vm.GiveMessageBuffers(8);
  EXPECT_EQ(vm.Messages(), (std::vector<std::string>{"add 0", "console 0", "open 0 1"}));
}

TEST(Console, TheGuestsBytesReachTheChardev) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kConsole);
  vm.Start();
  vm.Open(0);
  const SentChain sent = vm.guest->ring(vm.Out(0)).Chain().Readable("Debian ").Readable("GNU/Linux").Send();
  vm.Kick(vm.Out(0));
  EXPECT_EQ(vm.guest->ring(vm.Out(0)).NextUsed(), (Used{sent.id, 0}));
  EXPECT_EQ(chardev->TakeWritten(), "Debian GNU/Linux");
}

TEST(Console, TheChardevsBytesReachTheGuest) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent");
  vm.Start();
  vm.Open(1);
  const SentChain buffer = vm.guest->ring(vm.In(1)).Chain().Writable(3).Writable(10).Send();
  vm.Kick(vm.In(1));
  chardev->Type("hello");
  vm.Settle();
  EXPECT_EQ(vm.guest->ring(vm.In(1)).NextUsed(), (Used{buffer.id, 5}));
  EXPECT_EQ(vm.guest->ring(vm.In(1)).BytesOf(buffer).substr(0, 5), "hello");
}

TEST(Console, InputWaitsUntilTheGuestOpensThePort) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent");
  vm.Start();
  chardev->Type("early");
  vm.Settle();
  EXPECT_EQ(chardev->undelivered(), 5U);
  const SentChain buffer = vm.guest->ring(vm.In(1)).Chain().Writable(10).Send();
  vm.Open(1);
  EXPECT_EQ(vm.guest->ring(vm.In(1)).NextUsed(), (Used{buffer.id, 5}));
}

TEST(Console, InputIsThrottledByTheGuestsBuffers) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent");
  vm.Start();
  vm.Open(1);
  const std::string flood(300'000, 'x');
  chardev->Type(flood);
  vm.Settle();
  EXPECT_EQ(chardev->undelivered(), flood.size() - ConsolePipe::kCapacity);
  std::string got;
  while (got.size() < flood.size()) {
    const SentChain buffer = vm.guest->ring(vm.In(1)).Chain().Writable(20'000).Send();
    vm.Kick(vm.In(1));
    const std::optional<Used> used = vm.guest->ring(vm.In(1)).NextUsed();
    ASSERT_TRUE(used);
    got += vm.guest->ring(vm.In(1)).BytesOf(buffer).substr(0, used->length);
  }
  EXPECT_TRUE(got == flood);
}

TEST(Console, OutputIsThrottledByTheChardev) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kConsole);
  vm.Start();
  vm.Open(0);
  chardev->SetWriteRoom(1000);
  std::string flood;
  for (int i = 0; i < 200'000; ++i) {
    flood.push_back(static_cast<char>('a' + i % 26));
  }
  const SentChain sent = vm.guest->ring(vm.Out(0)).Chain().Readable(flood).Send();
  vm.Kick(vm.Out(0));
  EXPECT_EQ(vm.guest->ring(vm.Out(0)).NextUsed(), std::nullopt);
  EXPECT_EQ(chardev->written().size(), 1000U);
  EXPECT_GT(vm.device->counters().host_is_full.value(), 0U);
  chardev->SetWriteRoom(1'000'000);
  vm.Settle();
  EXPECT_EQ(vm.guest->ring(vm.Out(0)).NextUsed(), (Used{sent.id, 0}));
  EXPECT_TRUE(chardev->TakeWritten() == flood);
}

TEST(Console, APauseInTheMiddleOfALongWriteRepeatsNothing) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kConsole);
  vm.Start();
  vm.Open(0);
  chardev->SetWriteRoom(10);
  const std::string text(100'000, 'y');
  const SentChain sent = vm.guest->ring(vm.Out(0)).Chain().Readable(text).Send();
  vm.Kick(vm.Out(0));
  vm.Pause();
  chardev->SetWriteRoom(1'000'000);
  vm.Settle();
  EXPECT_EQ(chardev->written().size(), 10U);
  vm.Resume();
  EXPECT_EQ(vm.guest->ring(vm.Out(0)).NextUsed(), (Used{sent.id, 0}));
  EXPECT_TRUE(chardev->TakeWritten() == text);
}

TEST(Console, AClientThatComesAndGoesOpensAndClosesASerialPort) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent", false);
  vm.Start();
  vm.Open(1);
  vm.GiveMessageBuffers(4);
  chardev->Connect();
  vm.Settle();
  EXPECT_EQ(vm.Messages(), std::vector<std::string>{"open 1 1"});
  chardev->Disconnect();
  vm.Settle();
  EXPECT_EQ(vm.Messages(), std::vector<std::string>{"open 1 0"});
}

TEST(Console, WhatAClosedPortDidNotReadIsDropped) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent");
  vm.Start();
  vm.Open(1);
  chardev->Type("for the first");
  vm.Settle();
  vm.Tell(1, console::Event::kPortOpen, 0);
  vm.Tell(1, console::Event::kPortOpen, 1);
  chardev->Type("second");
  const SentChain buffer = vm.guest->ring(vm.In(1)).Chain().Writable(100).Send();
  vm.Kick(vm.In(1));
  EXPECT_EQ(vm.guest->ring(vm.In(1)).NextUsed(), (Used{buffer.id, 6}));
}

TEST(Console, ADriverWithoutMultiportHasOnePort) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kConsole);
  vm.Start(console::kFeatureMultiport);
  vm.guest->ring(1).Chain().Readable("out").Send();
  vm.Kick(1);
  EXPECT_EQ(chardev->TakeWritten(), "out");
  const SentChain buffer = vm.guest->ring(0).Chain().Writable(10).Send();
  chardev->Type("in");
  vm.Kick(0);
  EXPECT_EQ(vm.guest->ring(0).NextUsed(), (Used{buffer.id, 2}));
}

TEST(Console, AnEmergencyWriteNeedsNoDriver) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kConsole);
  vm.guest->MapBars();
  (void)vm.guest->SetModern(virtio::kDeviceOffset + 8, 4, '!');
  vm.Settle();
  EXPECT_EQ(chardev->TakeWritten(), "!");
  (void)vm.guest->SetModern(virtio::kDeviceOffset + 4, 4, 99);
  EXPECT_EQ(vm.guest->Modern(virtio::kDeviceOffset + 4, 4), 4U);
  EXPECT_EQ(vm.device->counters().ignored_config_writes.value(), 1U);
}

TEST(Console, GarbageOnTheControlQueueIsCounted) {
  SerialGuest vm;
  vm.AddPort(PortKind::kConsole);
  vm.Start();
  vm.guest->ring(kControlOut).Chain().Readable("short").Send();
  vm.guest->ring(kControlOut).Chain().Writable(64).Send();
  vm.Kick(kControlOut);
  vm.Tell(77, console::Event::kPortReady, 1);
  vm.Tell(0xffffffff, console::Event::kPortOpen, 1);
  vm.Tell(0, console::Event::kPortName, 1);
  vm.Tell(0, static_cast<console::Event>(0xffff), 1);
  vm.Tell(0, console::Event::kDeviceReady, 0);
  vm.Tell(0, console::Event::kPortReady, 0);
  EXPECT_EQ(vm.device->counters().bad_control_messages.value(), 8U);
  EXPECT_EQ(vm.guest->Status() & 0x40, 0);
}

TEST(Console, BuffersWithNothingToWriteToComeBackEmpty) {
  SerialGuest vm;
  const auto chardev = vm.AddPort(PortKind::kSerial, "agent");
  vm.Start();
  vm.Open(1);
  const SentChain read_only = vm.guest->ring(vm.In(1)).Chain().Readable("x").Send();
  const SentChain good = vm.guest->ring(vm.In(1)).Chain().Writable(10).Send();
  vm.Kick(vm.In(1));
  chardev->Type("hi");
  vm.Settle();
  EXPECT_EQ(vm.guest->ring(vm.In(1)).NextUsed(), (Used{read_only.id, 0}));
  EXPECT_EQ(vm.guest->ring(vm.In(1)).NextUsed(), (Used{good.id, 2}));
  EXPECT_EQ(vm.device->counters().empty_buffers.value(), 1U);
}

TEST(Console, AMalformedRingStopsThatQueue) {
  for (const Malformed what : AllMalformed(false)) {
    SerialGuest vm;
    const auto chardev = vm.AddPort(PortKind::kConsole);
    vm.Start();
    vm.Open(0);
    vm.guest->ring(vm.Out(0)).SendMalformed(what);
    vm.Kick(vm.Out(0));
    EXPECT_EQ(vm.guest->Status() & 0x40, 0x40) << static_cast<int>(what);
    EXPECT_EQ(chardev->TakeWritten(), "");
  }
}

TEST(Console, AShortMessageBufferGetsTheBeginning) {
  SerialGuest vm;
  vm.AddPort(PortKind::kSerial, "a-long-name");
  vm.Start();
  vm.guest->ring(kControlIn).Chain().Writable(8).Send();
  const SentChain tight = vm.guest->ring(kControlIn).Chain().Writable(10).Send();
  vm.Tell(0, console::Event::kDeviceReady, 1);
  vm.Tell(1, console::Event::kPortReady, 1);
  EXPECT_TRUE(vm.guest->ring(kControlIn).NextUsed());
  EXPECT_EQ(vm.guest->ring(kControlIn).NextUsed(), (Used{tight.id, 10}));
  EXPECT_EQ(vm.guest->ring(kControlIn).BytesOf(tight).substr(8), "a-");
  EXPECT_EQ(vm.device->counters().truncated_messages.value(), 1U);
}

TEST(Console, APortThatComesAndGoesIsAnnounced) {
  SerialGuest vm;
  vm.AddPort(PortKind::kConsole);
  vm.Start();
  vm.Open(0);
  vm.GiveMessageBuffers(4);
  const auto chardev = vm.AddPort(PortKind::kSerial, "late");
  EXPECT_EQ(vm.Messages(), std::vector<std::string>{"add 1"});
  vm.device->RemovePort(1);
  vm.Settle();
  EXPECT_EQ(vm.Messages(), std::vector<std::string>{"remove 1"});
  EXPECT_FALSE(chardev->attached());
}

TEST(Console, PortNumbersAreGivenAsQemuGivesThem) {
  ManualLoop io;
  FakeControlLoop control;
  ConsoleDevice bus(control, io, {.max_ports = 4, .emergency_write = true});
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, std::nullopt, "a", nullptr}).value(), 1U);
  EXPECT_EQ(bus.AddPort({PortKind::kConsole, std::nullopt, "", nullptr}).value(), 0U);
  EXPECT_EQ(bus.AddPort({PortKind::kConsole, std::nullopt, "", nullptr}).value(), 2U);
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, 3, "b", nullptr}).value(), 3U);
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, 3, "c", nullptr}).error().message,
            "port 3 is taken; choose another nr=");
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, 0, "c", nullptr}).error().message,
            "port 0 is kept for a virtconsole; use nr=1 or higher");
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, 4, "c", nullptr}).error().message,
            "nr=4 is out of range; this bus has ports 0 to 3 (max_ports=)");
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, std::nullopt, "c", nullptr}).error().message,
            "all 4 ports of this bus are taken; add another virtio-serial-pci");
  bus.RemovePort(2);
  EXPECT_EQ(bus.AddPort({PortKind::kSerial, std::nullopt, "b", nullptr}).error().message,
            "a port named 'b' exists on this bus; choose another name=");
}

TEST(Console, StateAndBytesOnTheirWaySurviveASave) {
  SerialGuest from;
  const auto chardev = from.AddPort(PortKind::kSerial, "agent");
  from.Start();
  from.Open(1);
  chardev->SetWriteRoom(0);
  from.guest->ring(from.Out(1)).Chain().Readable("to the host").Send();
  from.Kick(from.Out(1));
  chardev->Type("to the guest");
  from.Settle();
  from.Pause();
  StateDocument document;
  from.guest->device().Save(StateWriter(document, "/serial"));

  SerialGuest to;
  const auto other = to.AddPort(PortKind::kSerial, "agent");
  to.Pause();
  const Result<> loaded = to.guest->device().Load(StateReader(document, "/serial"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  StateDocument again;
  to.guest->device().Save(StateWriter(again, "/serial"));
  EXPECT_EQ(again.PrettyText(), document.PrettyText());
  EXPECT_EQ(other->TakeWritten(), "");
}

TEST(Console, AHostileStateIsRefused) {
  ConsoleState state;
  state.ports.push_back({});
  EXPECT_TRUE(CheckConsoleState(state, {0}));
  EXPECT_FALSE(CheckConsoleState(state, {}));
  EXPECT_FALSE(CheckConsoleState(state, {1}));
  EXPECT_FALSE(CheckConsoleState(state, {0, 1}));
  state.ports[0].to_host.resize(ConsolePipe::kCapacity + 1);
  EXPECT_FALSE(CheckConsoleState(state, {0}));
}

struct SerialFactoryTest : testing::Test {
  FakePciBoard board;
  ManualLoop io;
  FakeHost host;
  std::vector<std::unique_ptr<Device>> made;  // taken down in reverse

  void SetUp() override {
    host.buses[""] = &board.root;
    host.io_loops[""] = &io;
  }
  void TearDown() override {
    while (!made.empty()) {
      made.pop_back();
    }
  }
  std::string Create(const DeviceFactory& factory, const std::string& id,
                     const boost::json::object& options) {
    Result<std::unique_ptr<Device>> device = factory.create(host, id, options);
    if (!device) {
      return device.error().message;
    }
    made.push_back(std::move(*device));
    return "";
  }
};

TEST_F(SerialFactoryTest, PortsFindTheirBus) {
  host.AddChardev("charchannel0");
  EXPECT_EQ(Create(VirtioSerialPciFactory(), "virtio-serial0", {}), "");
  EXPECT_EQ(Create(VirtserialportFactory(), "channel0",
                   {{"bus", "virtio-serial0.0"},
                    {"nr", "1"},
                    {"chardev", "charchannel0"},
                    {"name", "org.qemu.guest_agent.0"}}),
            "");
  EXPECT_EQ(Create(VirtconsoleFactory(), "console0", {}), "");
  EXPECT_EQ(made[1]->StatePath(), made[0]->StatePath() + "/port1");
  EXPECT_EQ(made[2]->StatePath(), made[0]->StatePath() + "/port0");
}

TEST_F(SerialFactoryTest, MistakesAreSentences) {
  EXPECT_EQ(Create(VirtconsoleFactory(), "c", {}),
            "virtconsole: there is no virtio-serial bus; put -device virtio-serial-pci before it");
  EXPECT_EQ(
      Create(VirtioSerialPciFactory(), "vs", {{"max_ports", "0"}}).find("max_ports=0") != std::string::npos,
      true);
  EXPECT_EQ(Create(VirtioSerialPciFactory(), "vs", {}), "");
  EXPECT_EQ(Create(VirtconsoleFactory(), "c", {{"bus", "other.0"}}),
            "virtconsole: there is no virtio-serial bus 'other.0'; name it as ID.0 of a -device "
            "virtio-serial-pci before it");
  EXPECT_NE(Create(VirtserialportFactory(), "p", {{"chardev", "nowhere"}}), "");
  EXPECT_NE(Create(VirtserialportFactory(), "p", {{"nmae", "x"}}).find("name"), std::string::npos);
}

TEST_F(SerialFactoryTest, ABusThatGoesFirstLeavesItsPortsHarmless) {
  EXPECT_EQ(Create(VirtioSerialPciFactory(), "vs", {}), "");
  EXPECT_EQ(Create(VirtconsoleFactory(), "c", {}), "");
  made.erase(made.begin());
  made.clear();
  EXPECT_EQ(host.FindBus("virtio-serial-bus", ""), nullptr);
}

}  // namespace
}  // namespace nandu
