// Fuzzes virtio-blk over a disk that fails as the input says, behind the block layer's policies: what a guest
// reads and writes stays within the disk, errors follow rerror and werror, and what waits for cont is done
// then.
#include <cstring>

#include "block/policy_channel.h"
#include "devices/virtio/blk/blk_device.h"
#include "support/manual_loop.h"
#include "virtio_driver.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

constexpr uint64_t kDiskBytes = 64 << 10;
using Disk = std::vector<std::byte>;

struct Fault {
  uint8_t every = 0;  // so many requests succeed between two that fail; 0: all do
  BlkStatus status = BlkStatus::kIoError;
  unsigned served = 0;
};

class Channel final : public BlockChannel {
 public:
  Channel(EventLoop& loop, Disk& disk, Fault& fault) : loop_(loop), disk_(disk), fault_(fault) {}
  void Submit(BlockRequest* request) override {
    loop_.Post([this, request] { request->done(request, Serve(*request)); });
  }

 private:
  BlkStatus Serve(const BlockRequest& request) {
    NANDU_CHECK(request.op == BlockRequest::Op::kFlush ||
                    (request.offset <= disk_.size() && request.bytes <= disk_.size() - request.offset),
                "requests lie within the disk");
    if (fault_.every != 0 && ++fault_.served % fault_.every == 0) {
      return fault_.status;
    }
    std::byte* at = disk_.data() + request.offset;
    for (const iovec& part : request.iov) {
      const bool reads = request.op == BlockRequest::Op::kRead;
      std::memcpy(reads ? part.iov_base : at, reads ? at : part.iov_base, part.iov_len);
      at += part.iov_len;
    }
    if (request.op == BlockRequest::Op::kDiscard || request.op == BlockRequest::Op::kWriteZeroes) {
      std::memset(at, 0, request.bytes);
    }
    return BlkStatus::kOk;
  }
  EventLoop& loop_;
  Disk& disk_;
  Fault& fault_;
};

class Node final : public BlockNode {
 public:
  explicit Node(NodePolicy policy) : policy_(std::move(policy)) {}
  const std::string& node_name() const override { return name_; }
  std::string_view driver() const override { return "raw"; }
  std::string_view engine() const override { return "fuzz"; }
  BlockLimits limits() const override {
    BlockLimits limits;
    limits.size_bytes = *policy_.size_bytes;
    limits.can_discard = limits.can_write_zeroes = true;
    return limits;
  }
  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override {
    return std::make_unique<PolicyChannel>(loop, std::make_unique<Channel>(loop, disk, fault), policy_);
  }
  Result<> ReleaseImage() override { return {}; }
  Result<> ClaimImage() override { return {}; }
  void SizeChanged() const { TellSize(); }

  Disk disk = Disk(kDiskBytes + 4096);
  Fault fault;

 private:
  const std::string name_ = "disk";
  const NodePolicy policy_;
};

// One request as drivers make it, with everything in it the input's.
void SendRequest(FuzzDriver& driver, Input& input) {
  DriverRing& ring = driver.guest().ring(0);
  constexpr unsigned kBuffers = 3;
  if (ring.free_descriptors() < kBuffers) {
    return;
  }
  constexpr uint32_t kTypes[] = {blk::kTypeIn, blk::kTypeOut, 4, 8, 11, 13};
  const uint32_t type = kTypes[input.Byte() % std::size(kTypes)];
  auto request = ring.Chain();
  request.Header(blk::RequestHeader{type, 0, input.Word() % (kDiskBytes / 512 + 8)});
  const uint32_t bytes = 512U * (1 + input.Byte() % 8);
  if (type == blk::kTypeIn || type == 8) {
    request.Writable(bytes);
  } else if (type != 4) {
    std::string text(input.Text(type == blk::kTypeOut ? input.Byte() : 16));
    text.resize(type == blk::kTypeOut ? bytes : 16);
    request.Readable(text);
  }
  request.Writable(1).Send();
  driver.guest().Kick(0);
}

BlkErrorPolicy PolicyOf(uint8_t byte) {
  constexpr BlkErrorPolicy kAll[] = {BlkErrorPolicy::kReport, BlkErrorPolicy::kIgnore,
                                     BlkErrorPolicy::kEnospc, BlkErrorPolicy::kStop};
  return kAll[byte % std::size(kAll)];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, std::min<size_t>(size, 16 * 1024));
  ManualLoop loop;
  const uint8_t setup = input.Byte();
  auto disk_bytes = std::make_shared<std::atomic<uint64_t>>(kDiskBytes);
  NodePolicy policy;
  policy.offset = (setup & 2) != 0 ? 4096 : 0;
  policy.size_bytes = disk_bytes;
  policy.unmap = (setup & 4) != 0;
  policy.detect_zeroes =
      (setup & 8) != 0 ? (policy.unmap ? DetectZeroes::kUnmap : DetectZeroes::kOn) : DetectZeroes::kOff;
  policy.guard_format = (setup & 16) != 0;
  auto node = std::make_shared<Node>(policy);
  bool stopped = false;
  BlkDeviceConfig config;
  const uint8_t errors = input.Byte();
  config.read_errors = PolicyOf(errors);
  config.write_errors = PolicyOf(errors >> 2);
  config.on_error = [&](const BlkError& error) {
    const BlkErrorPolicy asked = error.is_read ? PolicyOf(errors) : PolicyOf(errors >> 2);
    NANDU_CHECK(error.action == asked || asked == BlkErrorPolicy::kEnospc, "each error follows its policy");
    stopped = stopped || error.action == BlkErrorPolicy::kStop;
    return error.action == BlkErrorPolicy::kStop;
  };
  {
    FuzzDriver driver(
        BlkDevice::Create(std::move(config), loop, node).value(), [&] { loop.RunUntilIdle(); },
        (setup & 1) != 0);
    while (!input.empty() && !driver.exhausted()) {
      switch (input.Byte() % 8) {
        case 0:
          node->fault.every = input.Byte() % 8;
          node->fault.status = static_cast<BlkStatus>(1 + input.Byte() % 3);
          break;
        case 1:  // block_resize
          *disk_bytes = kDiskBytes - 512 * uint64_t{input.Byte()} % kDiskBytes;
          node->SizeChanged();
          break;
        case 2:
        case 3: driver.Step(input); break;
        default: SendRequest(driver, input); break;
      }
      if (std::exchange(stopped, false)) {
        driver.Pause();
        node->fault.every = 0;
        driver.guest().device().Resume();
        loop.RunUntilIdle();
      }
    }
  }
  loop.RunUntilIdle();
  return 0;
}
