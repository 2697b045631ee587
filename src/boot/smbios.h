// SMBIOS: what the guest is told about its hardware (dmidecode). Structures and strings are those of QEMU's
// q35 with SeaBIOS, so that a guest that moves here sees the machine it knows. Specification: DMTF
// DSP0134 2.8 and 3.0. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "boot/boot_plan.h"
#include "boot/smbios_options.h"
#include "memory/guest_memory.h"

namespace nandu {

enum class SmbiosEntryPoint : uint8_t {
  k28,  // 32-bit "_SM_", what pc-q35-7.2 gives
  k30,  // 64-bit "_SM3_"
};

struct SmbiosInput {
  MemoryLayout memory;
  SmbiosEntryPoint entry_point = SmbiosEntryPoint::k28;
  std::array<uint8_t, 16> uuid = {};  // as written, big-endian; all zeroes: none was given
  std::string bios_vendor = "SeaBIOS";
  std::string bios_version = "1.16.2-debian-1.16.2-1";
  std::string bios_date = "04/01/2014";
  std::string manufacturer = "QEMU";
  std::string product = "Standard PC (Q35 + ICH9, 2009)";
  std::string version = "pc-q35-7.2";
  SmbiosOptions options;
  std::map<std::string, uint8_t, std::less<>> root_functions;  // of the devices that options.onboard names
  unsigned sockets = 1;
  unsigned cores_per_socket = 1;
  unsigned threads_per_core = 1;
  uint32_t cpuid_signature = 0;  // CPUID 1, eax
  uint32_t cpuid_features = 0;   // CPUID 1, edx
};

class SmbiosTables {
 public:
  // Fails when the structures do not fit the BIOS area.
  static Result<SmbiosTables> Build(const SmbiosInput& input);
  // For firmware, which places them itself: addresses and checksums are left to it, and so is the structure
  // about the BIOS, unless the user describes that.
  static Result<SmbiosTables> BuildForFirmware(const SmbiosInput& input);
  const std::vector<uint8_t>& entry() const { return entry_; }            // for layout::kSmbiosEntry
  const std::vector<uint8_t>& structures() const { return structures_; }  // for layout::kSmbiosTables
  Result<> Write(const GuestMemory& memory) const;

 private:
  static Result<SmbiosTables> Assemble(const SmbiosInput& input, bool with_bios);
  std::vector<uint8_t> entry_;
  std::vector<uint8_t> structures_;
};

}  // namespace nandu
