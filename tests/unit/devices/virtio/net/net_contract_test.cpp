// The contract suite over virtio-net: on each kind of queue it has.
#include <gtest/gtest.h>

#include "devices/virtio/device_contract.h"
#include "devices/virtio/net/net_test_support.h"

namespace nandu {
namespace {

struct NetContract {
  std::unique_ptr<VirtioDevice> Make() {
    NetDeviceConfig config;
    config.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    config.features = NetFeatures({}, *backend);
    std::vector<std::unique_ptr<NetChannel>> channels;
    channels.push_back(backend->OpenChannel(0, loop).value());
    return std::make_unique<NetDevice>(config, loop, backend, std::move(channels));
  }
  void Turn() { loop.RunUntilIdle(); }
  void Settle() {
    backend->SetBusy(false);
    loop.RunUntilIdle();
  }

  ManualLoop loop;
  std::shared_ptr<FakeNetBackend> backend = std::make_shared<FakeNetBackend>();
};

// A buffer, and a frame that waits for it in the backend.
struct NetRxContract : NetContract {
  static constexpr unsigned kQueue = 0;
  SentChain Send(DriverRing& ring) {
    backend->wire().incoming.push_back(Frame(100));
    return ring.Chain().Writable(40).Writable(200).Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(NetRx, VirtioDeviceContract, NetRxContract);

// Its frames wait for a busy backend until Settle lets them go.
struct NetTxContract : NetContract {
  static constexpr unsigned kQueue = 1;
  SentChain Send(DriverRing& ring) {
    backend->SetBusy(true);
    return ring.Chain().Readable(std::string(net::kHeaderBytes, '\0')).Readable(Frame(60)).Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(NetTx, VirtioDeviceContract, NetTxContract);

struct NetControlContract : NetContract {
  static constexpr unsigned kQueue = 2;
  SentChain Send(DriverRing& ring) {
    return ring.Chain().Readable(std::string("\0\0\1", 3)).Writable(1).Send();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(NetControl, VirtioDeviceContract, NetControlContract);

}  // namespace
}  // namespace nandu
