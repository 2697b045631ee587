// The bytes of fw_cfg items and files that describe the board to firmware, as QEMU 7.2's q35 has them. What
// firmware expects in them: QEMU, docs/specs/fw_cfg.rst, and SeaBIOS, src/fw/paravirt.c. Pure functions, any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "boot/acpi.h"
#include "boot/boot_plan.h"

namespace nandu {

std::vector<uint8_t> LittleEndianItem(uint64_t value, unsigned bytes);
// "etc/e820": RAM, and what no RAM may lie in.
std::vector<uint8_t> E820File(const MemoryLayout& memory);
// "etc/system-states": which sleep states there are, and the values that enter them.
std::vector<uint8_t> SystemStatesFile(bool s3, bool s4);
// The node of each APIC id below `apic_ids`, and the memory of each node.
std::vector<uint8_t> NumaItem(const AcpiInput& input, uint32_t apic_ids);
std::vector<uint8_t> HpetItem(bool present);
// "bootorder": one OpenFirmware path a line, in the order they are tried. `strict`: nothing else is tried.
std::vector<uint8_t> BootOrderFile(const std::vector<std::string>& paths, bool strict);

}  // namespace nandu
