#include "boot/acpi.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <string>

#include "boot/layout.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

// What the board's ISA devices say about themselves.
class BoardDevices final : public AcpiContributor {
 public:
  void ContributeAcpi(AmlSink& sink) const override {
    sink.AddIsaDevice({.name = "KBD", .hid = "PNP0303", .io = {{0x60, 1}, {0x64, 1}}, .irq = 1});
    sink.AddIsaDevice({.name = "MOU", .hid = "PNP0F13", .io = {}, .irq = 12});
    sink.AddIsaDevice({.name = "RTC", .hid = "PNP0B00", .io = {{0x70, 8}}, .irq = 8, .status = false});
    sink.AddIsaDevice({.name = "COM1", .hid = "PNP0501", .uid = 1, .io = {{0x3f8, 8}}, .irq = 4});
    sink.AddIsaDevice({.name = "PEVT", .hid = "QEMU0001", .io = {{0x505, 1}}});
  }
};

AcpiInput Board(std::vector<uint32_t> apic_ids = {0, 1}) {
  static const BoardDevices devices;
  AcpiInput input;
  input.memory = {.low_ram_bytes = 0x80000000, .high_ram_bytes = 0x80000000};
  input.apic_ids = std::move(apic_ids);
  input.root_functions = {0x00, 0x08, 0x10, 0xf8, 0xfa};
  input.isa_devices = {&devices};
  input.fw_cfg = true;
  input.s3 = true;
  SetDefaultPciWindows(&input);
  return input;
}

unsigned Sum(const Bytes& bytes) {
  unsigned sum = 0;
  for (const uint8_t byte : bytes) {
    sum += byte;
  }
  return sum & 0xff;
}

uint64_t Number(const Bytes& bytes, size_t at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{bytes.at(at + i)} << (8 * i);
  }
  return value;
}

Bytes TableAt(const GuestMemory& memory, uint64_t at) {
  uint32_t length = 0;
  EXPECT_TRUE(memory.Load(Gpa{at + 4}, &length));
  Bytes bytes(length);
  EXPECT_TRUE(memory.Read(Gpa{at}, bytes.data(), length));
  return bytes;
}

// The tables a guest finds from the RSDP on, by signature.
std::map<std::string, Bytes> Walk(const GuestMemory& memory) {
  std::map<std::string, Bytes> found;
  uint32_t rsdt_at = 0;
  EXPECT_TRUE(memory.Load(Gpa{layout::kRsdp + 16}, &rsdt_at));
  const Bytes rsdt = TableAt(memory, rsdt_at);
  EXPECT_EQ(Sum(rsdt), 0u);
  for (size_t at = 36; at < rsdt.size(); at += 4) {
    const Bytes table = TableAt(memory, Number(rsdt, at, 4));
    found[std::string(table.begin(), table.begin() + 4)] = table;
  }
  found["DSDT"] = TableAt(memory, Number(found["FACP"], 140, 8));
  return found;
}

class WrittenTables : public testing::Test {
 protected:
  WrittenTables() {
    AcpiInput input = Board();
    input.memory = {.low_ram_bytes = 64 << 20};
    SetDefaultPciWindows(&input);
    const AcpiTables tables = AcpiTables::Build(input).value();
    EXPECT_TRUE(tables.Write(*memory_));
    base_ = tables.base();
    found_ = Walk(*memory_);
  }
  std::shared_ptr<const GuestMemory> memory_ = TestMemory(64 << 20);
  uint64_t base_ = 0;
  std::map<std::string, Bytes> found_;
};

TEST_F(WrittenTables, LieInTheLast128KiBOfLowMemory) { EXPECT_EQ(base_, (64u << 20) - 0x20000u); }

TEST_F(WrittenTables, EveryTableIsThereAndAddsUpToZero) {
  std::vector<std::string> names;
  for (const auto& [name, table] : found_) {
    names.push_back(name);
    EXPECT_EQ(Sum(table), 0u) << name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"APIC", "DSDT", "FACP", "HPET", "MCFG", "WAET"}));
}

TEST_F(WrittenTables, TheRsdpIsTheOneOfQemu) {
  Bytes rsdp(20);
  ASSERT_TRUE(memory_->Read(Gpa{layout::kRsdp}, rsdp.data(), rsdp.size()));
  EXPECT_EQ(std::string(rsdp.begin(), rsdp.begin() + 8), "RSD PTR ");
  EXPECT_EQ(std::string(rsdp.begin() + 9, rsdp.begin() + 15), "BOCHS ");
  EXPECT_EQ(rsdp[15], 0);
  EXPECT_EQ(Sum(rsdp), 0u);
}

TEST_F(WrittenTables, FacsIsAligned) {
  const uint64_t facs = Number(found_["FACP"], 36, 4);
  std::array<char, 4> signature = {};
  EXPECT_EQ(facs % 64, 0u);
  ASSERT_TRUE(memory_->Load(Gpa{facs}, &signature));
  EXPECT_EQ(std::string(signature.data(), 4), "FACS");
}

// Addresses apart, the FADT is byte for byte what QEMU 7.2's q35 has.
TEST_F(WrittenTables, FadtIsQemus) {
  const Bytes& fadt = found_["FACP"];
  EXPECT_EQ(fadt.size(), 244u);
  EXPECT_EQ(fadt[8], 3);
  EXPECT_EQ(Number(fadt, 46, 2), 9u);
  EXPECT_EQ(Number(fadt, 48, 4), 0xb2u);
  EXPECT_EQ(Number(fadt, 56, 4), 0x600u);
  EXPECT_EQ(Number(fadt, 64, 4), 0x604u);
  EXPECT_EQ(Number(fadt, 76, 4), 0x608u);
  EXPECT_EQ(Number(fadt, 80, 4), 0x620u);
  EXPECT_EQ(Number(fadt, 109, 2), 2u);
  EXPECT_EQ(Number(fadt, 112, 4), 0x84a5u);
  EXPECT_EQ(Number(fadt, 120, 8), 0xcf9u);
  EXPECT_EQ(fadt[128], 0x0f);
}

TEST(Madt, IsQemusForTwoProcessors) {
  const std::string qemu =
      "0000e0fe01000000000800000100000000080101010000000"
      "10c00000000c0fe00000000"
      "020a0000020000000000"
      "020a0005050000000d00"
      "020a0009090000000d00"
      "020a000a0a0000000d00"
      "020a000b0b0000000d00"
      "0406ff000001";
  std::string got;
  const Bytes madt = BuildMadt(Board());
  for (size_t i = 36; i < madt.size(); i++) {
    constexpr char kDigits[] = "0123456789abcdef";
    got += {kDigits[madt[i] >> 4], kDigits[madt[i] & 15]};
  }
  EXPECT_EQ(got, qemu);
}

TEST(Madt, LargeApicIdsAreX2Apic) {
  const Bytes madt = BuildMadt(Board({0, 300}));
  EXPECT_EQ(madt[52], 9);
  EXPECT_EQ(Number(madt, 56, 4), 300u);
  EXPECT_EQ(Number(madt, 64, 4), 1u);
  EXPECT_EQ(madt[madt.size() - 12], 10);
}

// QEMU's most: ids up to 254 are processors, those above are devices, and MADT entries to match.
TEST(Dsdt, ProcessorsWhoseIdsNeedMoreThanEightBitsAreDevices) {
  std::vector<uint32_t> ids(288);
  std::iota(ids.begin(), ids.end(), 0U);
  const Bytes dsdt = BuildDsdt(Board(ids));
  const std::string code(dsdt.begin(), dsdt.end());
  const auto count = [&](std::string_view needle) {
    size_t found = 0;
    for (size_t at = code.find(needle); at != std::string::npos; at = code.find(needle, at + 1)) {
      found++;
    }
    return found;
  };
  EXPECT_EQ(count("ACPI0007"), 288u - 255u);
  EXPECT_NE(code.find("C0FE"), std::string::npos);
  EXPECT_NE(code.find("C11F"), std::string::npos);
  const Bytes madt = BuildMadt(Board(ids));
  EXPECT_EQ(Number(madt, 44 + 8 * 254, 4), 0xfefe0800u);  // the last local APIC: type, length, uid, id
  EXPECT_EQ(Number(madt, 44 + 8 * 255, 2), 0x1009u);      // the first x2APIC
  EXPECT_EQ(Number(madt, 44 + 8 * 255 + 4, 4), 255u);
}

TEST(Dsdt, DevicesHaveAStatusWhereQemusHaveOne) {
  using std::string_view_literals::operator""sv;
  const Bytes dsdt = BuildDsdt(Board());
  const std::string code(dsdt.begin(), dsdt.end());
  EXPECT_NE(code.find("_UID\x00\x08_STA\x0a\x0f\x08_CRS"sv), std::string::npos);  // of the HPET
  const size_t clock = code.find("RTC_");
  const std::string until_next = code.substr(clock, code.find("COM1") - clock);
  EXPECT_EQ(until_next.find("_STA"), std::string::npos);
}

TEST(AcpiTables, TooLittleMemoryIsASentence) {
  AcpiInput input = Board();
  input.memory = {.low_ram_bytes = 1 << 20};
  EXPECT_EQ(
      AcpiTables::Build(input).error().message,
      "the guest's 1024 KiB of memory have no room for the ACPI tables; give it 2 MiB at least with -m");
}

TEST(AcpiInput, DefaultWindowsAreThoseOfQemusQ35) {
  AcpiInput input;
  input.memory = {.low_ram_bytes = 0x10000000};
  SetDefaultPciWindows(&input);
  EXPECT_EQ(input.pci_memory32,
            (std::vector<AddressWindow>{{0x10000000, 0xafffffff}, {0xc0000000, 0xfebfffff}}));
  EXPECT_EQ(input.pci_memory64, (AddressWindow{0x100000000, 0x8ffffffff}));
}

// ---- VM generation ID ----

TEST(GenerationId, TableIsQemusByteForByte) {
  constexpr size_t kHeaderBytes = 36;
  const Bytes table = BuildGenerationIdSsdt(0);
  std::string code;
  for (size_t i = kHeaderBytes; i < table.size(); i++) {
    constexpr char kDigits[] = "0123456789abcdef";
    code += {kDigits[table[i] >> 4], kDigits[table[i] & 15]};
  }
  EXPECT_EQ(code,
            "08564749410c000000001041085c5f53425f5b8248075647454e085f4849440d51454d555647494400085f434944"
            "0d564d5f47656e5f436f756e74657200085f44444e0d564d5f47656e5f436f756e7465720014175f53544100700a"
            "0f60a00a935647494100700060a4601420414444520070120202607072564749410a280088600000700088600100"
            "a46014195c2e5f4750455f45303500865c2e5f53425f5647454e0a80");
  EXPECT_EQ(std::string(table.begin() + 16, table.begin() + 24), std::string("VMGENID\0", 8));
  EXPECT_EQ(Sum(table), 0u);
}

TEST(GenerationId, IsInTheLastReservedPage) {
  AcpiInput input = Board();
  input.generation_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const AcpiTables tables = AcpiTables::Build(input).value();
  EXPECT_EQ(tables.generation_id_page(), 0x80000000u - 0x1000);
  EXPECT_EQ(tables.reserved_bytes(), layout::kAcpiMinimumBytes + 0x1000);
  EXPECT_LE(tables.base() + tables.bytes().size(), tables.generation_id_page());
  const auto memory = TestMemory(0x80000000);
  ASSERT_TRUE(tables.Write(*memory));
  std::array<uint8_t, 16> found = {};
  ASSERT_TRUE(memory->Read(Gpa{tables.generation_id_page() + 40}, found.data(), found.size()));
  EXPECT_EQ(found, *input.generation_id);
}

TEST(GenerationId, NobodyHasItWithoutAsking) {
  EXPECT_EQ(AcpiTables::Build(Board()).value().generation_id_page(), 0u);
}

// ---- the judge is Intel's compiler ----

class Iasl : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v iasl >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "iasl is not installed (Debian package acpica-tools)";
    }
    std::string name = (std::filesystem::temp_directory_path() / "nandu-iasl-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    if (!directory_.empty()) {
      std::filesystem::remove_all(directory_);
    }
  }
  // Runs iasl in the directory; its whole output, "exit N" behind it.
  std::string Run(const std::string& arguments) {
    const std::string command =
        "cd '" + directory_ + "' && { iasl " + arguments + "; echo exit $?; } >log 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::ifstream log(directory_ + "/log");
    return {std::istreambuf_iterator<char>(log), {}};
  }
  void Put(const std::string& name, const Bytes& bytes) {
    std::ofstream(directory_ + "/" + name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string directory_;
};

TEST_F(Iasl, DisassemblesEveryTableWithoutAWarning) {
  const std::map<std::string, Bytes> tables = {{"dsdt", BuildDsdt(Board())},
                                               {"facp", BuildFadt(Board(), 0x7ffe0000, 0x7ffe0040)},
                                               {"apic", BuildMadt(Board({0, 300}))},
                                               {"mcfg", BuildMcfg(Board())},
                                               {"hpet", BuildHpetTable()},
                                               {"waet", BuildWaet()},
                                               {"ssdt", BuildGenerationIdSsdt(0x7ffff000)}};
  for (const auto& [name, table] : tables) {
    Put(name + ".dat", table);
    const std::string output = Run("-d " + name + ".dat");
    EXPECT_NE(output.find("exit 0"), std::string::npos) << output;
    EXPECT_EQ(output.find("Warning"), std::string::npos) << output;
    EXPECT_EQ(output.find("Error"), std::string::npos) << output;
  }
}

TEST_F(Iasl, CompilesTheDisassembledDsdtAgainWithoutAnError) {
  Put("dsdt.dat", BuildDsdt(Board({0, 1, 2, 300})));
  Run("-d dsdt.dat");
  const std::string output = Run("-p again dsdt.dsl");
  EXPECT_NE(output.find(" 0 Errors"), std::string::npos) << output;
  EXPECT_NE(output.find("exit 0"), std::string::npos) << output;
}

TEST_F(Iasl, RecompiledDsdtIsTheSameCode) {
  const Bytes dsdt = BuildDsdt(Board());
  Put("dsdt.dat", dsdt);
  Run("-d dsdt.dat");
  Run("-oa -p again dsdt.dsl");  // without optimizing
  std::ifstream file(directory_ + "/again.aml", std::ios::binary);
  const Bytes again{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(again.size(), dsdt.size());
}

}  // namespace
}  // namespace nandu
