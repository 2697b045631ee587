// A machine made of fakes: what a device factory may use, and a record of what devices asked for.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <nandu/block.h>
#include <nandu/device.h>
#include <nandu/net.h>

#include "memory/address_space.h"
#include "support/fake_chardev.h"
#include "support/fake_clock.h"
#include "support/fake_control_loop.h"
#include "support/fake_irq.h"

namespace nandu {

class FakeHost final : public DeviceHost {
 public:
  FakeControlLoop loop;
  FakeClock fake_clock;
  AddressSpace memory{"memory", UINT64_MAX};
  AddressSpace io{"io", 0x10000};
  FakeMsiAllocator vectors;
  std::array<FakeIrqLine, 16> isa;
  std::map<std::string, std::shared_ptr<Chardev>, std::less<>> chardevs;
  std::map<std::string, PciBus*, std::less<>> buses;  // "": the root
  std::map<std::string, EventLoop*, std::less<>> io_loops;
  std::map<std::string, std::shared_ptr<BlockNode>, std::less<>> nodes;
  std::map<std::string, std::shared_ptr<NetBackend>, std::less<>> nets;
  std::map<std::string, std::vector<uint8_t>, std::less<>> firmware_files;
  std::vector<std::string> asked;  // "reset guest-reset", "shutdown guest-shutdown", "exit 3", "panic run"

  ControlLoop& control() override { return loop; }
  Clock& clock() override { return fake_clock; }
  AddressSpace& memory_space() override { return memory; }
  AddressSpace& io_space() override { return io; }
  MsiAllocator& msi() override { return vectors; }
  std::unique_ptr<IrqLine> ClaimIsaIrq(unsigned line) override {
    return std::make_unique<FakeIrqShare>(isa.at(line));
  }
  Result<PciBus*> FindPciBus(std::string_view id) override { return Find(buses, id, "bus"); }
  Result<EventLoop*> FindIoLoop(std::string_view id) override { return Find(io_loops, id, "iothread"); }
  Result<std::shared_ptr<BlockNode>> ClaimBlockNode(std::string_view drive,
                                                    std::string_view /*user*/) override {
    return Find(nodes, drive, "drive");
  }
  Result<std::shared_ptr<NetBackend>> ClaimNetBackend(std::string_view id,
                                                      std::string_view /*user*/) override {
    return Find(nets, id, "netdev");
  }
  Result<std::shared_ptr<Chardev>> ClaimChardev(std::string_view id, std::string_view /*user*/) override {
    return Find(chardevs, id, "chardev");
  }
  Result<std::vector<uint8_t>> ReadFirmwareFile(const std::string& name) override {
    return Find(firmware_files, name, "firmware file");
  }
  std::string DefaultMac() override { return "52:54:00:12:34:56"; }
  void GuestPanicked(std::string_view why) override { Note("panic", why); }
  void GuestCrashLoaded() override { Note("crash", "loaded"); }
  void WatchdogExpired() override { Note("watchdog", "expired"); }
  void RaiseGpe(unsigned bit) override { Note("gpe", std::to_string(bit)); }
  void RequestReset(std::string_view cause) override { Note("reset", cause); }
  void RequestShutdown(std::string_view cause) override { Note("shutdown", cause); }
  void RequestExit(int status) override { Note("exit", std::to_string(status)); }

  std::shared_ptr<FakeChardev> AddChardev(const std::string& id) {
    auto chardev = std::make_shared<FakeChardev>(id);
    chardevs[id] = chardev;
    return chardev;
  }

 private:
  template <class Map>
  Result<typename Map::mapped_type> Find(const Map& map, std::string_view id, std::string_view what) {
    const auto found = map.find(id);
    if (found == map.end()) {
      return Fail(Errc::kNotFound, "there is no {} '{}'", what, id);
    }
    return found->second;
  }
  void Note(std::string_view what, std::string_view why) {
    const std::lock_guard lock(mutex_);
    asked.push_back(std::string(what).append(" ").append(why));
  }
  std::mutex mutex_;
};

}  // namespace nandu
