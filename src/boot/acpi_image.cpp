#include "boot/acpi_image.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "boot/acpi_user_table.h"
#include "boot/byte_writer.h"

namespace nandu {

namespace {

constexpr size_t kHeaderBytes = 36;
constexpr uint32_t kChecksumOffset = 9;
constexpr int kMakerOffset = 10;  // OEM id and OEM table id
constexpr size_t kGenerationIdPageBytes = 4096;

// Of the FADT: FIRMWARE_CTRL, DSDT, X_DSDT (ACPI 6.5, table 5.9).
constexpr uint32_t kFadtFacs = 36;
constexpr uint32_t kFadtDsdt = 40;
constexpr uint32_t kFadtWideDsdt = 140;
constexpr uint32_t kGenerationIdPointer = 42;  // of its SSDT: VGIA's value

// The table with the maker of the user's SLIC table, if there is one; its checksum is taken later.
std::vector<uint8_t> SameMaker(const AcpiInput& input, std::vector<uint8_t> table) {
  if (const auto maker = SlicMaker(input.user_tables)) {
    std::ranges::copy(*maker, table.begin() + kMakerOffset);
  }
  return table;
}

// Puts table after table into the image, and notes what is to be done to each.
class Assembler {
 public:
  uint32_t Put(std::vector<uint8_t> table) {
    std::vector<uint8_t>& tables = image_.tables();
    const auto at = Narrow<uint32_t>(tables.size());
    tables.insert(tables.end(), table.begin(), table.end());
    return at;
  }
  // A table with a header: its checksum is taken when its pointers are filled in, at SumUp.
  uint32_t PutListed(std::vector<uint8_t> table) {
    table[kChecksumOffset] = 0;
    const uint32_t at = Put(std::move(table));
    listed_.push_back(at);
    return at;
  }
  void Point(AcpiPart part, uint32_t offset, uint8_t bytes, AcpiPart target) {
    AcpiStep step;
    step.pointer = AcpiPointer{part, offset, bytes, target};
    image_.steps.push_back(step);
  }
  void SumUp(AcpiPart part, uint32_t offset, uint32_t start, uint32_t bytes) {
    AcpiStep step;
    step.checksum = AcpiChecksum{part, offset, start, bytes};
    image_.steps.push_back(step);
  }
  void SumUpTable(uint32_t at) {
    SumUp(AcpiPart::kTables, at + kChecksumOffset, at, Narrow<uint32_t>(image_.tables().size() - at));
  }
  void Add(std::vector<uint8_t> table) { SumUpTable(PutListed(std::move(table))); }
  void AddFadt(const AcpiInput& input, uint32_t facs, uint32_t dsdt) {
    const uint32_t at = PutListed(SameMaker(input, BuildFadt(input, facs, dsdt)));
    Point(AcpiPart::kTables, at + kFadtFacs, 4, AcpiPart::kTables);
    Point(AcpiPart::kTables, at + kFadtDsdt, 4, AcpiPart::kTables);
    Point(AcpiPart::kTables, at + kFadtWideDsdt, 8, AcpiPart::kTables);
    SumUpTable(at);
  }
  void AddGenerationId(const std::array<uint8_t, 16>& guid) {
    std::vector<uint8_t>& page = image_.parts[static_cast<size_t>(AcpiPart::kGenerationId)];
    page.resize(kGenerationIdPageBytes);
    std::ranges::copy(guid, page.begin() + acpi::kGenerationIdOffset);
    const uint32_t at = PutListed(BuildGenerationIdSsdt(0));
    AcpiStep step;
    step.tell_generation_id = true;
    image_.steps.push_back(step);
    Point(AcpiPart::kTables, at + kGenerationIdPointer, 4, AcpiPart::kGenerationId);
    SumUpTable(at);
  }
  // 5.2.7: the root table, which lists the others, and 5.2.5.3: what leads to it.
  AcpiImage Finish(const AcpiInput& input) {
    ByteWriter body;
    for (const uint32_t table : listed_) {
      body.U32(table);
    }
    std::vector<uint8_t> root = SameMaker(input, MakeAcpiTable("RSDT", 1, body.bytes()));
    root[kChecksumOffset] = 0;
    const uint32_t at = Put(std::move(root));
    for (size_t i = 0; i < listed_.size(); i++) {
      Point(AcpiPart::kTables, Narrow<uint32_t>(at + kHeaderBytes + 4 * i), 4, AcpiPart::kTables);
    }
    SumUpTable(at);
    constexpr uint32_t kRootPointer = 16;
    constexpr uint32_t kRsdpChecksum = 8;
    ByteWriter rsdp;
    rsdp.Text("RSD PTR ", 8).U8(0).Text("BOCHS ", 6).U8(0).U32(at);
    image_.parts[static_cast<size_t>(AcpiPart::kRsdp)] = std::move(rsdp.bytes());
    Point(AcpiPart::kRsdp, kRootPointer, 4, AcpiPart::kTables);
    SumUp(AcpiPart::kRsdp, kRsdpChecksum, 0, Narrow<uint32_t>(image_.rsdp().size()));
    return std::move(image_);
  }

 private:
  AcpiImage image_;
  std::vector<uint32_t> listed_;
};

std::string_view FileOf(AcpiPart part) {
  switch (part) {
    case AcpiPart::kTables: return acpi_file::kTables;
    case AcpiPart::kRsdp: return acpi_file::kRsdp;
    case AcpiPart::kGenerationId: return acpi_file::kGenerationId;
  }
  return {};
}

// QEMU's docs/specs name four commands, each 128 bytes long.
class ScriptWriter {
 public:
  void Allocate(AcpiPart part, uint32_t alignment, uint8_t zone) {
    ByteWriter command;
    Name(command.U32(1), FileOf(part)).U32(alignment).U8(zone);
    Append(command);
  }
  void Do(const AcpiPointer& pointer) {
    ByteWriter command;
    command.U32(2);
    Name(Name(command, FileOf(pointer.part)), FileOf(pointer.target)).U32(pointer.offset).U8(pointer.bytes);
    Append(command);
  }
  void Do(const AcpiChecksum& checksum) {
    ByteWriter command;
    Name(command.U32(3), FileOf(checksum.part)).U32(checksum.offset).U32(checksum.start).U32(checksum.bytes);
    Append(command);
  }
  void TellGenerationId() {
    ByteWriter command;
    command.U32(4);
    Name(Name(command, acpi_file::kGenerationIdAddress), acpi_file::kGenerationId)
        .U32(0)
        .U32(acpi::kGenerationIdOffset)
        .U8(8);
    Append(command);
  }
  std::vector<uint8_t> Take() {
    constexpr size_t kUnit = 4096;
    script_.resize(AlignUp(script_.size(), kUnit));
    return std::move(script_);
  }

 private:
  static constexpr size_t kNameBytes = 56;
  static constexpr size_t kCommandBytes = 128;
  static ByteWriter& Name(ByteWriter& to, std::string_view name) { return to.Text(name, kNameBytes); }
  void Append(const ByteWriter& command) {
    const size_t end = script_.size() + kCommandBytes;
    const std::vector<uint8_t>& bytes = command.bytes();
    script_.insert(script_.end(), bytes.begin(), bytes.end());
    script_.resize(end);
  }
  std::vector<uint8_t> script_;
};

uint8_t* At(AcpiImage& image, AcpiPart part, uint32_t offset, size_t bytes) {
  std::vector<uint8_t>& in = image.parts.at(static_cast<size_t>(part));
  NANDU_CHECK(offset <= in.size() && bytes <= in.size() - offset, "a step lies within its part");
  return in.data() + offset;
}

}  // namespace

AcpiImage BuildAcpiImage(const AcpiInput& input) {
  Assembler tables;
  ByteWriter facs;
  facs.Text("FACS", 4).U32(64).Zeroes(56);  // 5.2.10; the first, so that it is aligned to 64 bytes
  const uint32_t facs_at = tables.Put(std::move(facs.bytes()));
  std::vector<uint8_t> dsdt = BuildDsdt(input);
  dsdt[kChecksumOffset] = 0;
  const uint32_t dsdt_at = tables.Put(std::move(dsdt));
  tables.SumUpTable(dsdt_at);
  tables.AddFadt(input, facs_at, dsdt_at);
  tables.Add(BuildMadt(input));
  if (input.generation_id) {
    tables.AddGenerationId(*input.generation_id);
  }
  if (input.hpet) {
    tables.Add(BuildHpetTable());
  }
  if (!input.numa.node_bytes.empty()) {
    tables.Add(BuildSrat(input));
    if (!input.numa.distances.empty()) {
      tables.Add(BuildSlit(input.numa));
    }
  }
  if (input.mcfg) {
    tables.Add(BuildMcfg(input));
  }
  tables.Add(BuildWaet());
  for (const std::vector<uint8_t>& table : input.user_tables) {
    tables.Add(table);
  }
  return tables.Finish(input);
}

AcpiImage PlaceAcpiImage(const AcpiImage& image, const std::array<uint64_t, kAcpiParts>& addresses) {
  AcpiImage placed = image;
  for (const AcpiStep& step : image.steps) {
    if (step.pointer) {
      const AcpiPointer& pointer = *step.pointer;
      uint8_t* const at = At(placed, pointer.part, pointer.offset, pointer.bytes);
      uint64_t value = addresses.at(static_cast<size_t>(pointer.target));
      for (unsigned i = 0; i < pointer.bytes; i++) {
        value += uint64_t{at[i]} << (8 * i);
      }
      for (unsigned i = 0; i < pointer.bytes; i++) {
        at[i] = static_cast<uint8_t>(value >> (8 * i));
      }
    }
    if (step.checksum) {
      const AcpiChecksum& sum = *step.checksum;
      uint8_t* const at = At(placed, sum.part, sum.offset, 1);
      *at = ChecksumOf(At(placed, sum.part, sum.start, sum.bytes), sum.bytes);
    }
  }
  return placed;
}

std::vector<uint8_t> LoaderScript(const AcpiImage& image) {
  constexpr uint32_t kRsdpAlignment = 16;
  constexpr uint32_t kTablesAlignment = 64;
  constexpr uint32_t kPage = 4096;
  constexpr uint8_t kHigh = 1;  // where there is room below 4 GiB
  constexpr uint8_t kFseg = 2;  // 0xf0000, where a guest without UEFI looks for it
  ScriptWriter script;
  script.Allocate(AcpiPart::kRsdp, kRsdpAlignment, kFseg);
  if (!image.generation_id().empty()) {
    script.Allocate(AcpiPart::kGenerationId, kPage, kHigh);
  }
  script.Allocate(AcpiPart::kTables, kTablesAlignment, kHigh);
  for (const AcpiStep& step : image.steps) {
    if (step.tell_generation_id) {
      script.TellGenerationId();
    }
    if (step.pointer) {
      script.Do(*step.pointer);
    }
    if (step.checksum) {
      script.Do(*step.checksum);
    }
  }
  return script.Take();
}

}  // namespace nandu
