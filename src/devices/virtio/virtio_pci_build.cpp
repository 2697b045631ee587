// What of a virtio device a guest finds by looking: queues and their doorbells, capabilities, BARs.
// virtio 1.2, section 4.1.4. Legacy: the registers are in virtio_pci_legacy.cpp.

#include "base/spare_eventfd.h"
#include "devices/pci/pci_caps.h"
#include "devices/pci/pci_regs.h"
#include "devices/virtio/virtio_bars.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_transport.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {

using namespace virtio;  // NOLINT: the room's own constants

namespace {

// Of the configuration access capability: what follows its first four bytes (bar, offset, length, data) is
// served by the transport.
constexpr uint16_t kWindowAt = 4;
constexpr uint16_t kWindowBytes = 16;

}  // namespace

Result<std::unique_ptr<VirtioPciTransport>> VirtioPciTransport::Create(VirtioDevice& device,
                                                                       PciFunction& function,
                                                                       const VirtioPciTraits& traits,
                                                                       MsiAllocator& msi) {
  std::unique_ptr<VirtioPciTransport> transport(new VirtioPciTransport(device, function, traits));
  TRY(transport->AddQueues());
  if (traits.legacy) {
    TRY(transport->AddLegacyInterface());
  }
  if (traits.modern) {
    TRY(transport->AddModernInterface());
  }
  if (traits.vectors > 0) {
    TRY(function.EnableMsix(traits.vectors, kMsixBar, msi));
  }
  VirtioPciTransport* const raw = transport.get();
  function.SetMsixMaskWatcher([raw] { raw->InterruptsChanged(); });
  function.SetConfigHook([raw](uint16_t, unsigned) { return raw->OnConfigWrite(); });
  function.SetResetHook([raw] { return raw->StopAndWait(/*reset=*/true); });
  device.SetTransport(raw);
  return transport;
}

Result<> VirtioPciTransport::AddQueues() {
  if (device_.queue_count() > kMaxQueues) {
    return Fail(Errc::kInvalidArgument, "{} queues are too many; a virtio device has at most {}",
                device_.queue_count(), kMaxQueues);
  }
  for (unsigned i = 0; i < device_.queue_count(); ++i) {
    auto queue = std::make_unique<Queue>();
    queue->doorbell = std::make_unique<Doorbell>(TakeSpareEventFd());
    counters_.bells_without_eventfd.Add(queue->doorbell->fd() < 0 ? 1 : 0);
    queue->config.size = device_.MaxQueueSize(i);
    queues_.push_back(std::move(queue));
  }
  if (const uint64_t without = counters_.bells_without_eventfd.value(); without != 0) {
    log_.Warn(
        "{} of {} queues are kicked by exits, which is slower, since this process may open no more files; "
        "raise its limit (ulimit -n)",
        without, queues_.size());
  }
  return {};
}

Result<uint8_t> VirtioPciTransport::AddVirtioCapability(CapType type, uint64_t offset, uint32_t length) {
  const bool longer = type == CapType::kNotify || type == CapType::kPciConfig;
  const uint16_t bytes = longer ? 20 : 16;
  CapabilityBody body(CapabilityBody::Space::kLegacy, bytes);
  body.Field(2, 1, bytes);
  body.Field(3, 1, static_cast<uint8_t>(type));
  body.Field(4, 1, type == CapType::kPciConfig ? 0 : kModernBar);
  body.Field(8, 4, static_cast<uint32_t>(offset));
  body.Field(12, 4, length);
  if (type == CapType::kNotify) {
    body.Field(16, 4, kNotifyMultiplier);
  }
  return function_.AddCapability(pci::kCapVendor, body.body(), body.writable());
}

Result<> VirtioPciTransport::AddModernInterface() {
  TRY(AddVirtioCapability(CapType::kCommon, kCommonOffset, kRegionBytes));
  TRY(AddVirtioCapability(CapType::kIsr, kIsrOffset, kRegionBytes));
  TRY(AddVirtioCapability(CapType::kDevice, kDeviceOffset, kRegionBytes));
  TRY(AddVirtioCapability(CapType::kNotify, kNotifyOffset, kRegionBytes));
  const uint8_t window = TRY(AddVirtioCapability(CapType::kPciConfig, 0, 0));
  function_.SetConfigWindow(
      static_cast<uint16_t>(window + kWindowAt), kWindowBytes,
      [this](uint16_t offset, unsigned size) { return ReadWindow(offset, size); },
      [this](uint16_t offset, unsigned size, uint32_t value) { return WriteWindow(offset, size, value); });
  return function_.AddBar(
      kModernBar, BarKind::kMemory64Prefetchable,
      Region::Io(std::make_shared<ModernBar>(*this, function_.name()), kModernBarBytes, ModernEvents()));
}

std::vector<IoEvent> VirtioPciTransport::ModernEvents() const {
  std::vector<IoEvent> events;
  for (size_t i = 0; traits_.ioeventfd && i < queues_.size(); ++i) {
    if (const int fd = queues_[i]->doorbell->fd(); fd >= 0) {
      events.push_back({kNotifyOffset + kNotifyMultiplier * i, 0, std::nullopt, fd});
    }
  }
  return events;
}

}  // namespace nandu
