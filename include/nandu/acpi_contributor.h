// How a device adds itself to the DSDT without knowing how AML is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nandu {

// A builder of AML (ACPI 6.5, section 20), implemented by the boot room.
class AmlSink {
 public:
  AmlSink() = default;
  AmlSink(const AmlSink&) = delete;
  AmlSink& operator=(const AmlSink&) = delete;
  virtual ~AmlSink() = default;

  struct IoResource {
    uint16_t base;
    uint8_t length;
  };
  // Device (NAME) { Name(_HID, EISAID or string) Name(_UID, ...) Name(_STA, 0xF) Name(_CRS, ...) }
  struct IsaDevice {
    std::string_view name;     // four characters: "COM1"
    std::string_view hid;      // "PNP0501"
    uint32_t uid = 0;          // 0: no _UID
    std::initializer_list<IoResource> io;
    int irq = -1;              // -1: none
    bool status = true;        // false: no _STA, which means the same and is what QEMU's device does
  };
  virtual void AddIsaDevice(const IsaDevice& device) = 0;
};

class AcpiContributor {
 public:
  AcpiContributor() = default;
  AcpiContributor(const AcpiContributor&) = delete;
  AcpiContributor& operator=(const AcpiContributor&) = delete;
  virtual ~AcpiContributor() = default;
  virtual void ContributeAcpi(AmlSink& sink) const = 0;
};

}  // namespace nandu
