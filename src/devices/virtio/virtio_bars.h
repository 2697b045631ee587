// The BARs of a virtio function as I/O handlers: they turn bus accesses into the transport's. Any vCPU
// thread.
#pragma once

#include <string>
#include <utility>

#include "devices/virtio/virtio_pci_transport.h"

namespace nandu {

class VirtioPciTransport::ModernBar final : public IoHandler {
 public:
  ModernBar(VirtioPciTransport& transport, std::string name)
      : transport_(transport), name_(std::move(name) + " modern") {}
  std::string_view name() const override { return name_; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  uint64_t ReadHalves(uint64_t offset);
  VirtioPciTransport& transport_;
  const std::string name_;
};

class VirtioPciTransport::LegacyBar final : public IoHandler {
 public:
  LegacyBar(VirtioPciTransport& transport, std::string name)
      : transport_(transport), name_(std::move(name) + " legacy") {}
  std::string_view name() const override { return name_; }
  uint64_t Read(uint64_t offset, unsigned size) override { return transport_.ReadLegacy(offset, size); }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    return transport_.WriteLegacy(offset, size, value);
  }

 private:
  VirtioPciTransport& transport_;
  const std::string name_;
};

}  // namespace nandu
