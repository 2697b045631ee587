// -device loader, QEMU's generic loader: puts a file or a value into guest memory at every reset, and may set
// where a vCPU starts. It is no hardware; the machine asks it before anything boots. Specification: QEMU,
// docs/system/generic-loader.rst; what is not said there is as QEMU 7.2 does it. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "base/result.h"
#include "boot/memory_image.h"
#include "devices/legacy/legacy_device.h"
#include "memory/guest_memory.h"

namespace nandu {

struct LoaderOptions {
  uint64_t addr = 0;
  uint64_t data = 0;
  uint8_t data_len = 0;  // bytes
  bool data_be = false;
  std::optional<uint32_t> cpu_num = {};
  std::optional<std::string> file = {};
  bool force_raw = false;  // an ELF file as it is
};
BOOST_DESCRIBE_STRUCT(LoaderOptions, (), (addr, data, data_len, data_be, cpu_num, file, force_raw))
Result<> Validate(const LoaderOptions& options);

class LoaderDevice final : public LegacyDevice {
 public:
  struct Start {
    unsigned cpu = 0;
    uint64_t rip = 0;  // the rest of the vCPU is in the reset state
  };

  // Opens the file through the host and checks that all of it fits RAM.
  static Result<std::unique_ptr<LoaderDevice>> Create(DeviceHost& host, const std::string& id,
                                                      const LoaderOptions& options);

  // In QEMU's order: the values of all loaders, then the files of all.
  Result<> WriteValue(const GuestMemory& memory) const;
  Result<> WriteImage(const GuestMemory& memory) const;
  bool Overlaps(const LoaderDevice& other) const;
  std::optional<Start> start() const;

  // It holds no state; what it wrote is memory's.
  void Reset() override {}
  void Resume() override {}
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }

 private:
  LoaderDevice(std::string id, const LoaderOptions& options, std::optional<MemoryImage> image);

  const LoaderOptions options_;
  const std::optional<MemoryImage> image_;
};

const DeviceFactory& LoaderFactory();

}  // namespace nandu
