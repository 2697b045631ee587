// What -smbios changes of the board's SMBIOS structures. A field that is not given keeps the board's; one
// given empty is empty. The names are QEMU's properties. Specification: DMTF DSP0134, section 7. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/described.h"

namespace nandu {

struct SmbiosBios {  // type 0
  std::optional<std::string> vendor;
  std::optional<std::string> version;
  std::optional<std::string> date;
  std::optional<std::string> release;  // "MAJOR.MINOR"
  bool uefi = false;
};
BOOST_DESCRIBE_STRUCT(SmbiosBios, (), (vendor, version, date, release, uefi))

struct SmbiosSystem {  // type 1; its uuid is the VM's
  std::optional<std::string> manufacturer;
  std::optional<std::string> product;
  std::optional<std::string> version;
  std::optional<std::string> serial;
  std::optional<std::string> sku;
  std::optional<std::string> family;
};
BOOST_DESCRIBE_STRUCT(SmbiosSystem, (), (manufacturer, product, version, serial, sku, family))

struct SmbiosBoard {  // type 2
  std::optional<std::string> manufacturer;
  std::optional<std::string> product;
  std::optional<std::string> version;
  std::optional<std::string> serial;
  std::optional<std::string> asset;
  std::optional<std::string> location;
};
BOOST_DESCRIBE_STRUCT(SmbiosBoard, (), (manufacturer, product, version, serial, asset, location))

struct SmbiosChassis {  // type 3
  std::optional<std::string> manufacturer;
  std::optional<std::string> version;
  std::optional<std::string> serial;
  std::optional<std::string> asset;
  std::optional<std::string> sku;
};
BOOST_DESCRIBE_STRUCT(SmbiosChassis, (), (manufacturer, version, serial, asset, sku))

struct SmbiosProcessor {  // type 4
  std::string sock_pfx = "CPU";
  std::optional<std::string> manufacturer;
  std::optional<std::string> version;
  std::optional<std::string> serial;
  std::optional<std::string> asset;
  std::optional<std::string> part;
  uint16_t max_speed = 2000;  // MHz
  uint16_t current_speed = 2000;
  std::optional<uint64_t> processor_id;  // absent: CPUID 1's eax and edx
};
inline std::span<const WireName> WireNames(const SmbiosProcessor* /*type*/) {
  static constexpr WireName kNames[] = {{"sock_pfx", "sock_pfx"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(SmbiosProcessor, (),
                      (sock_pfx, manufacturer, version, serial, asset, part, max_speed, current_speed,
                       processor_id))

struct SmbiosPort {  // type 8
  std::optional<std::string> internal_reference;
  std::optional<std::string> external_reference;
  uint8_t connector_type = 0;  // of the external connector; 7.9.2
  uint8_t port_type = 0;       // 7.9.3
};
inline std::span<const WireName> WireNames(const SmbiosPort* /*type*/) {
  static constexpr WireName kNames[] = {{"internal_reference", "internal_reference"},
                                        {"external_reference", "external_reference"},
                                        {"connector_type", "connector_type"},
                                        {"port_type", "port_type"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(SmbiosPort, (), (internal_reference, external_reference, connector_type, port_type))

enum class SmbiosOnboardKind : uint8_t {  // 7.42.1, in its order
  kOther = 1,
  kUnknown,
  kVideo,
  kScsi,
  kEthernet,
  kTokenring,
  kSound,
  kPata,
  kSata,
  kSas,
};
BOOST_DESCRIBE_ENUM(SmbiosOnboardKind, kOther, kUnknown, kVideo, kScsi, kEthernet, kTokenring, kSound, kPata,
                    kSata, kSas)

struct SmbiosOnboard {  // type 41
  std::optional<std::string> designation;
  SmbiosOnboardKind kind = SmbiosOnboardKind::kOther;
  uint8_t instance = 1;
  std::optional<std::string> pcidev;  // the id of a device on the root bus
};
BOOST_DESCRIBE_STRUCT(SmbiosOnboard, (), (designation, kind, instance, pcidev))

struct SmbiosMemoryModule {  // type 17
  std::string loc_pfx = "DIMM";
  std::optional<std::string> bank;
  std::optional<std::string> manufacturer;
  std::optional<std::string> serial;
  std::optional<std::string> asset;
  std::optional<std::string> part;
  uint16_t speed = 0;  // MT/s; 0: unknown
};
inline std::span<const WireName> WireNames(const SmbiosMemoryModule* /*type*/) {
  static constexpr WireName kNames[] = {{"loc_pfx", "loc_pfx"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(SmbiosMemoryModule, (), (loc_pfx, bank, manufacturer, serial, asset, part, speed))

struct SmbiosOptions {
  std::optional<SmbiosBios> bios;  // absent: SeaBIOS's own
  SmbiosSystem system;
  std::optional<SmbiosBoard> board;  // absent: no such structure
  SmbiosChassis chassis;
  SmbiosProcessor processor;
  std::vector<SmbiosPort> ports;
  std::vector<std::string> oem_strings;  // type 11
  SmbiosMemoryModule memory_module;
  std::vector<SmbiosOnboard> onboard;
  std::vector<std::vector<uint8_t>> structures;  // whole ones, which replace the board's of their type
};

// "3.4" as its two bytes' values; fails for anything else.
Result<std::pair<uint8_t, uint8_t>> SmbiosRelease(const std::string& text);
// One structure from beginning to end: header, formatted area, strings, two zeroes (DSP0134, 6.1).
Result<> CheckSmbiosStructure(const std::vector<uint8_t>& bytes);

}  // namespace nandu
