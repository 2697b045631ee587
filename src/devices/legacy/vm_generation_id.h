// The VM generation ID: sixteen bytes in guest memory that change when a guest is another one than it was
// (restored, cloned), with an ACPI event. Microsoft, "Virtual Machine Generation ID" (2012); QEMU,
// docs/specs/vmgenid.txt. `-device vmgenid`. Control thread.
//
// Whoever writes the guest's ACPI tables gives it its page (boot/acpi.h) and tells it where that is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/described.h"
#include "base/result.h"
#include "base/uuid.h"
#include "devices/legacy/legacy_device.h"

namespace nandu {

struct VmGenerationIdState {
  uint64_t address = 0;  // of the sixteen bytes; 0: a guest that does not have them
};
BOOST_DESCRIBE_STRUCT(VmGenerationIdState, (), (address))
Result<> Validate(const VmGenerationIdState& state);

class VmGenerationId final : public LegacyDevice {
 public:
  static constexpr std::string_view kDriver = "vmgenid";
  VmGenerationId(DeviceHost& host, std::string id, const Uuid& uuid);

  const Uuid& uuid() const { return uuid_; }   // in the order it is written
  Uuid guid() const { return ToGuid(uuid_); }  // as it lies in memory
  void SetAddress(uint64_t address) { address_ = address; }

  // The page is written again with the tables around it.
  void Reset() override { changed_ = false; }
  // After a load: the guest learns that it is another one.
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  DeviceHost& host_;
  const Uuid uuid_;
  uint64_t address_ = 0;
  bool changed_ = false;
};

const DeviceFactory& VmGenerationIdFactory();

}  // namespace nandu
