// -acpitable: headers as QEMU 7.2 writes them, and their place among the board's tables.
#include "boot/acpi_user_table.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

#include "boot/acpi_image.h"

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Of(std::string_view text) { return {text.begin(), text.end()}; }

uint8_t Sum(const Bytes& bytes) {
  return static_cast<uint8_t>(std::accumulate(bytes.begin(), bytes.end(), 0U));
}

std::string Text(const Bytes& bytes, size_t at, size_t size) {
  return std::string(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
}

TEST(UserAcpiTable, ABodyGetsQemusHeader) {
  const auto table = MakeUserAcpiTable({}, false, Of("body"));
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->size(), 40u);
  EXPECT_EQ(Text(*table, 0, 9), std::string("QEMU\x28\0\0\0\1", 9));
  EXPECT_EQ(Text(*table, 10, 26), std::string("QEMUQEQEMUQEMU\1\0\0\0QEMU\1\0\0\0", 26));
  EXPECT_EQ(Text(*table, 36, 4), "body");
  EXPECT_EQ(Sum(*table), 0);
}

TEST(UserAcpiTable, FieldsReplaceThoseOfAWholeTable) {
  Bytes whole = MakeUserAcpiTable({}, false, Of("body")).value();
  AcpiTableFields fields;
  fields.sig = "SLIC";
  fields.rev = 3;
  fields.oem_id = "MAKER";
  fields.oem_table_id = "TABLE-ID";
  fields.oem_rev = 0x01020304;
  fields.asl_compiler_id = "ASL";
  fields.asl_compiler_rev = 7;
  whole[4] = 99;  // a length that is not true
  const auto table = MakeUserAcpiTable(fields, true, whole);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(Text(*table, 0, 9), std::string("SLIC\x28\0\0\0\3", 9));
  EXPECT_EQ(Text(*table, 10, 26), std::string("MAKER\0TABLE-ID\4\3\2\1ASL\0\7\0\0\0", 26));
  EXPECT_EQ(Text(*table, 36, 4), "body");
  EXPECT_EQ(Sum(*table), 0);
}

TEST(UserAcpiTable, WhatDoesNotFitIsRefused) {
  AcpiTableFields fields;
  fields.oem_id = "SEVENCH";
  EXPECT_EQ(MakeUserAcpiTable(fields, false, {}).error().message,
            "oem_id=SEVENCH is longer than 6 characters");
  AcpiTableFields signature;
  signature.sig = "ABC";
  EXPECT_EQ(MakeUserAcpiTable(signature, false, {}).error().message, "sig=ABC: a signature has 4 characters");
  EXPECT_THAT(MakeUserAcpiTable({}, true, Of("short")).error().message,
              testing::HasSubstr("5 bytes are no ACPI table"));
}

TEST(UserAcpiTable, IsListedLastAndItsSlicNamesTheMaker) {
  AcpiInput input;
  input.memory = {.low_ram_bytes = 64 << 20};
  input.apic_ids = {0};
  SetDefaultPciWindows(&input);
  AcpiTableFields fields;
  fields.sig = "SLIC";
  fields.oem_id = "MAKER";
  fields.oem_table_id = "LICENCED";
  input.user_tables.push_back(MakeUserAcpiTable(fields, false, Of("key")).value());
  const AcpiImage placed = PlaceAcpiImage(BuildAcpiImage(input), {0, 0xf0000, 0});
  const Bytes& tables = placed.tables();
  const auto number = [&tables](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, &tables.at(at), sizeof(value));
    return value;
  };
  uint32_t root = 0;
  std::memcpy(&root, &placed.rsdp().at(16), sizeof(root));
  const uint32_t end = root + number(root + 4);
  EXPECT_EQ(Text(tables, number(end - 4), 4), "SLIC");
  EXPECT_EQ(Bytes(tables.begin() + number(end - 4), tables.begin() + number(end - 4) + 39),
            input.user_tables[0]);
  EXPECT_EQ(Text(tables, number(root + 36), 4), "FACP");
  for (const uint32_t table : {root, number(root + 36)}) {
    EXPECT_EQ(Text(tables, table + 10, 14), std::string("MAKER\0LICENCED", 14));
    EXPECT_EQ(Sum(Bytes(tables.begin() + table, tables.begin() + table + number(table + 4))), 0) << table;
  }
  EXPECT_NE(Text(tables, number(root + 40) + 10, 5), "MAKER");  // the MADT keeps QEMU's
}

}  // namespace
}  // namespace nandu
