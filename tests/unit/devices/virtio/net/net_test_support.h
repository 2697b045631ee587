// A guest with one virtio-net card over a backend made of queues.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_factory.h"
#include "support/fake_net.h"
#include "support/fake_virtio_guest.h"
#include "support/manual_loop.h"

namespace nandu {

// An Ethernet frame of `length` bytes: to, from, type, and a pattern.
inline std::string Frame(size_t length, const net::Mac& to = {0x52, 0x54, 0, 0x12, 0x34, 0x56}) {
  std::string frame(length, '\0');
  for (size_t i = 0; i < length; ++i) {
    frame[i] = static_cast<char>(i < to.size() ? to[i] : i * 7);
  }
  if (length >= 14) {
    frame[12] = 0x08;
    frame[13] = 0x00;
  }
  return frame;
}

struct NetSetup {
  FakeNetBackend::Options backend;
  VirtioNetOptions options;
  std::vector<std::shared_ptr<VhostPair>> kernel;
};

class NetGuest {
 public:
  explicit NetGuest(const NetSetup& setup = {}) : backend(std::make_shared<FakeNetBackend>(setup.backend)) {
    backend->kernel = setup.kernel;
    NetDeviceConfig config;
    config.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    config.features = NetFeatures(setup.options, *backend);
    config.pairs = setup.options.mq ? backend->queue_pairs() : 1;
    config.mtu = setup.options.host_mtu;
    std::vector<std::unique_ptr<NetChannel>> channels;
    for (unsigned i = 0; i < config.pairs; ++i) {
      channels.push_back(backend->OpenChannel(i, loop).value());
    }
    auto made = std::make_unique<NetDevice>(config, loop, backend, std::move(channels));
    device = made.get();
    guest = std::make_unique<FakeVirtioGuest>(std::move(made), VirtioPciOptions{}, 2 * config.pairs + 2);
  }
  ~NetGuest() { Pause(); }
  NetGuest(const NetGuest&) = delete;
  NetGuest& operator=(const NetGuest&) = delete;

  void Start(uint64_t without = 0, uint16_t queue_size = 0) {
    FakeVirtioGuest::DriverOptions options;
    options.without = without;
    options.queue_size = queue_size;
    guest->StartModern(options);
    loop.RunUntilIdle();
  }
  void Pause() {
    guest->device().Quiesce([] {});
    loop.RunUntilIdle();
  }
  void Resume() {
    guest->device().Resume();
    loop.RunUntilIdle();
  }
  void Kick(unsigned index) {
    guest->Kick(index);
    loop.RunUntilIdle();
  }
  SentChain GiveBuffer(uint32_t bytes) { return guest->ring(0).Chain().Writable(bytes).Send(); }
  void Deliver(const std::string& frame) {
    backend->Deliver(frame);
    loop.RunUntilIdle();
  }
  std::optional<Used> Received() { return guest->ring(0).NextUsed(); }
  std::string BytesOf(const SentChain& sent) { return guest->ring(0).BytesOf(sent); }
  // What the frame's receiver sees: the header's num_buffers, then the frame.
  static unsigned NumBuffers(const std::string& bytes) {
    return static_cast<unsigned char>(bytes[10]) |
           static_cast<unsigned>(static_cast<unsigned char>(bytes[11])) << 8;
  }
  const NetCounters& counters() const { return device->counters(); }

  ManualLoop loop;
  std::shared_ptr<FakeNetBackend> backend;
  NetDevice* device = nullptr;
  std::unique_ptr<FakeVirtioGuest> guest;
};

}  // namespace nandu
