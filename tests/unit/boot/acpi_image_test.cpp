// The tables without a place, and the script that tells firmware how to give them one: QEMU's commands, and
// a firmware of a few lines that obeys them.
#include "boot/acpi_image.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

AcpiInput Board(bool with_generation_id) {
  AcpiInput input;
  input.memory = {.low_ram_bytes = 64 << 20};
  input.apic_ids = {0, 1};
  input.root_functions = {0x00, 0xf8};
  SetDefaultPciWindows(&input);
  if (with_generation_id) {
    input.generation_id = {1, 2, 3};
  }
  return input;
}

uint64_t Number(const Bytes& bytes, size_t at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{bytes.at(at + i)} << (8 * i);
  }
  return value;
}

// What SeaBIOS and OVMF do: 128 bytes a command.
struct Firmware {
  std::map<std::string, Bytes> files;
  std::map<std::string, uint64_t> addresses;
  std::map<std::string, uint64_t> told;
  std::string log;
  uint64_t next = 0x1000000;

  static std::string Name(const Bytes& script, size_t at) {
    return std::string(reinterpret_cast<const char*>(script.data() + at));
  }
  void Run(const Bytes& script) {
    for (size_t at = 0; at < script.size(); at += 128) {
      const uint64_t command = Number(script, at, 4);
      const std::string file = Name(script, at + 4);
      const std::string source = Name(script, at + 60);
      if (command == 1) {
        const uint64_t alignment = Number(script, at + 60, 4);
        next = (next + alignment - 1) / alignment * alignment;
        addresses[file] = next;
        next += files.at(file).size() + 1;
        log += "A";
      } else if (command == 2) {
        const uint64_t offset = Number(script, at + 116, 4);
        const auto size = static_cast<unsigned>(Number(script, at + 120, 1));
        const uint64_t value = Number(files.at(file), offset, size) + addresses.at(source);
        std::memcpy(files.at(file).data() + offset, &value, size);
        log += "P";
      } else if (command == 3) {
        unsigned sum = 0;
        for (uint64_t i = 0; i < Number(script, at + 68, 4); i++) {
          sum += files.at(file).at(Number(script, at + 64, 4) + i);
        }
        uint8_t& checksum = files.at(file).at(Number(script, at + 60, 4));
        checksum = static_cast<uint8_t>(checksum - sum);
        log += "C";
      } else if (command == 4) {
        told[file] = addresses.at(source) + Number(script, at + 120, 4);
        log += "W";
      }
    }
  }
};

Firmware Loaded(const AcpiImage& image) {
  Firmware firmware;
  firmware.files["etc/acpi/tables"] = image.tables();
  firmware.files["etc/acpi/rsdp"] = image.rsdp();
  firmware.files["etc/vmgenid_guid"] = image.generation_id();
  firmware.Run(LoaderScript(image));
  return firmware;
}

TEST(AcpiImage, FirmwareAndNanduMakeTheSameOfIt) {
  const AcpiImage image = BuildAcpiImage(Board(true));
  const Firmware firmware = Loaded(image);
  const AcpiImage placed =
      PlaceAcpiImage(image, {firmware.addresses.at("etc/acpi/tables"), firmware.addresses.at("etc/acpi/rsdp"),
                             firmware.addresses.at("etc/vmgenid_guid")});
  EXPECT_EQ(firmware.files.at("etc/acpi/tables"), placed.tables());
  EXPECT_EQ(firmware.files.at("etc/acpi/rsdp"), placed.rsdp());
  EXPECT_EQ(firmware.told.at("etc/vmgenid_addr"), firmware.addresses.at("etc/vmgenid_guid") + 40);
}

TEST(AcpiImage, EveryTableAddsUpToZeroOnceItIsPlaced) {
  const AcpiImage placed = PlaceAcpiImage(BuildAcpiImage(Board(false)), {0x3ff0000, 0xf0000, 0});
  const Bytes& tables = placed.tables();
  const uint64_t root = Number(placed.rsdp(), 16, 4) - 0x3ff0000;
  unsigned listed = 0;
  for (uint64_t at = 36; at < Number(tables, root + 4, 4); at += 4, listed++) {
    const uint64_t table = Number(tables, root + at, 4) - 0x3ff0000;
    unsigned sum = 0;
    for (uint64_t i = 0; i < Number(tables, table + 4, 4); i++) {
      sum += tables.at(table + i);
    }
    EXPECT_EQ(sum & 0xff, 0u) << table;
  }
  EXPECT_EQ(listed, 5u);
}

// The order of QEMU 7.2's script for the same devices.
TEST(AcpiImage, TheScriptsCommandsAreQemus) {
  EXPECT_EQ(Loaded(BuildAcpiImage(Board(false))).log, "AACPPPCCCCCPPPPPCPC");
  EXPECT_EQ(Loaded(BuildAcpiImage(Board(true))).log, "AAACPPPCCWPCCCCPPPPPPCPC");
}

TEST(AcpiImage, NothingIsPlacedInTheFirstPlace) {
  const AcpiImage image = BuildAcpiImage(Board(false));
  EXPECT_EQ(std::string(image.tables().begin(), image.tables().begin() + 4), "FACS");
  EXPECT_EQ(image.tables().at(64 + 9), 0);  // the DSDT's checksum
  EXPECT_EQ(image.rsdp().at(8), 0);
  EXPECT_EQ(LoaderScript(image).size(), 4096u);
  EXPECT_TRUE(image.generation_id().empty());
}

}  // namespace
}  // namespace nandu
