#include "boot/memory_image.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr std::array<uint8_t, 4> kUImageMagic = {0x27, 0x05, 0x19, 0x56};
constexpr size_t kHexRecordStart = 9;  // ":LLAAAATT": length, address and type of an Intel HEX record

Result<> CheckKind(const BootFile& file) {
  std::array<uint8_t, kHexRecordStart> start = {};
  TRY(file.Read(0, start.data(), std::min<uint64_t>(start.size(), file.size())));
  const bool uimage = std::equal(kUImageMagic.begin(), kUImageMagic.end(), start.begin());
  const bool hex = start[0] == ':' && std::all_of(start.begin() + 1, start.end(),
                                                  [](uint8_t c) { return std::isxdigit(c) != 0; });
  if (uimage || hex) {
    return Fail(Errc::kUnsupported,
                "{}: is {}, which is not unpacked here; give the ELF or raw file it was made from, or "
                "force-raw=on to load it as it is",
                file.name(), uimage ? "a U-Boot image" : "an Intel HEX file");
  }
  return {};
}

bool Meet(const ElfSegment& a, const ElfSegment& b) {
  return a.physical < b.physical + b.memory_bytes && b.physical < a.physical + a.memory_bytes;
}

}  // namespace

Result<MemoryImage> MemoryImage::Open(BootFile file, uint64_t address, Format format) {
  if (format == Format::kByContent) {
    if (TRY(IsElf(file))) {
      ElfFile elf = TRY(ReadElf(file));
      const uint64_t entry = PhysicalEntry(elf);
      return MemoryImage(std::move(file), std::move(elf.segments), entry);
    }
    TRY(CheckKind(file));
  }
  uint64_t end = 0;
  if (AddOverflows(address, file.size(), &end)) {
    return Fail(Errc::kInvalidArgument, "{}: {} bytes do not fit at {:#x}", file.name(), file.size(),
                address);
  }
  std::vector<ElfSegment> segments;
  if (file.size() != 0) {
    segments.push_back({.physical = address, .memory_bytes = file.size(), .file_bytes = file.size()});
  }
  return MemoryImage(std::move(file), std::move(segments), std::nullopt);
}

bool MemoryImage::Overlaps(const MemoryImage& other) const {
  return std::ranges::any_of(segments_, [&other](const ElfSegment& mine) {
    return std::ranges::any_of(other.segments_,
                               [&mine](const ElfSegment& theirs) { return Meet(mine, theirs); });
  });
}

Result<> MemoryImage::Check(const GuestMemory& memory) const {
  for (const ElfSegment& segment : segments_) {
    std::vector<iovec> pieces;
    if (!memory.ToIovecs(Gpa{segment.physical}, segment.memory_bytes, Access::kWrite, &pieces)) {
      return Fail(Errc::kInvalidArgument, "{}: {} bytes at {:#x} do not fit the guest's RAM; {}",
                  file_.name(), segment.memory_bytes, segment.physical,
                  entry_ ? "link it elsewhere, or give the guest more memory with -m"
                         : "give another addr=, or the guest more memory with -m");
    }
  }
  return {};
}

Result<> MemoryImage::Write(const GuestMemory& memory) const {
  for (const ElfSegment& segment : segments_) {
    TRY(WriteElfSegment(memory, file_, segment));
  }
  return {};
}

}  // namespace nandu
