// What an ATA disk tells of itself: IDENTIFY DEVICE, SMART and the logs. ATA8-ACS, 7.16, 7.52 and annex A.
#include <algorithm>
#include <bit>

#include "devices/storage/ata_disk.h"
#include "devices/storage/bytes.h"

namespace nandu {
namespace {

// The last byte makes the sum of a page 0.
void PutChecksum(std::span<uint8_t> page) {
  uint8_t sum = 0;
  for (const uint8_t byte : page.first(page.size() - 1)) {
    sum = static_cast<uint8_t>(sum + byte);
  }
  page.back() = static_cast<uint8_t>(0x100 - sum);
}

// Twelve bytes each in the data page; what has no moving parts has nothing to report.
struct SmartAttribute {
  uint8_t number, flags, value, worst;
  uint8_t raw[6];
  uint8_t threshold;
};
constexpr SmartAttribute kAttributes[] = {
    {1, 0x03, 100, 100, {0, 0, 0, 0, 0, 0}, 6},      // raw read error rate
    {3, 0x03, 100, 100, {16, 0, 0, 0, 0, 0}, 0},     // spin-up time
    {4, 0x02, 100, 100, {0, 0, 0, 0, 0, 0}, 20},     // starts and stops
    {5, 0x03, 100, 100, {0, 0, 0, 0, 0, 0}, 36},     // reallocated sectors
    {9, 0x03, 100, 100, {1, 0, 0, 0, 0, 0}, 0},      // hours powered on
    {12, 0x03, 100, 100, {0, 0, 0, 0, 0, 0}, 0},     // power cycles
    {190, 0x03, 69, 69, {31, 0, 31, 31, 0, 0}, 50},  // temperature
};

}  // namespace

void AtaDisk::Identify(AtaCommand& command) {
  std::array<uint8_t, ata::kSectorBytes> page{};
  const auto word = [&page](unsigned at, unsigned value) { PutLe16(&page[2 * size_t{at}], value); };
  const auto dword = [&](unsigned at, uint64_t value) {
    word(at, value & 0xffff);
    word(at + 1, value >> 16 & 0xffff);
  };
  const uint64_t total = sectors();
  const uint64_t cylinders = std::clamp<uint64_t>(total / (16 * 63), 2, 16383);
  word(0, 0x0040);  // not removable
  word(1, static_cast<unsigned>(cylinders));
  word(3, 16);
  word(4, 512 * 63);
  word(5, 512);
  word(6, 63);
  PutAtaText(&page[20], config_.identity.serial, 20);
  word(20, 3);
  word(21, 512);
  word(22, 4);
  PutAtaText(&page[46], config_.identity.version, 8);
  PutAtaText(&page[54], config_.identity.model, 40);
  word(47, 0x8010);  // READ MULTIPLE of up to 16 sectors
  word(48, 1);
  word(49, 0x0b00);  // DMA, LBA, IORDY
  word(51, 0x0200);
  word(52, 0x0200);
  word(53, 0x0007);
  word(54, static_cast<unsigned>(cylinders));
  word(55, 16);
  word(56, 63);
  dword(57, cylinders * 16 * 63);
  word(59, state_.multiple != 0 ? 0x0100u | state_.multiple : 0);
  dword(60, std::min<uint64_t>(total, 0x0fffffff));
  word(62, 0x07u | (state_.dma_kind == 62 ? state_.dma_mode : 0u));
  word(63, 0x07u | (state_.dma_kind == 63 ? state_.dma_mode : 0u));
  word(64, 0x03);
  for (unsigned timing = 65; timing <= 68; ++timing) {
    word(timing, 120);
  }
  word(69, config_.discard ? 0x4000 : 0);  // trimmed sectors read the same each time
  word(75, 31);                            // queue depth, less one
  word(76, 0x0100);                        // NCQ
  word(80, 0x00f0);                        // ATA/ATAPI-4 to 7
  word(81, 0x0016);
  word(82, 0x4021);  // NOP, write cache, SMART
  word(83, 0x7400);  // FLUSH CACHE, EXT, 48 bits
  word(84, config_.identity.wwn != 0 ? 0x4100 : 0x4000);
  word(85, 0x4000u | (state_.smart ? 1u : 0u) | (state_.write_cache ? 0x20u : 0u));
  word(86, 0x3400);
  word(87, config_.identity.wwn != 0 ? 0x4100 : 0x4000);
  word(88, 0x3fu | (state_.dma_kind == 88 ? state_.dma_mode : 0u));
  word(93, 0x6001);
  dword(100, total);
  word(102, static_cast<unsigned>(total >> 32 & 0xffff));
  word(106,
       0x6000u | static_cast<unsigned>(std::countr_zero(config_.physical_block_size / ata::kSectorBytes)));
  if (config_.identity.wwn != 0) {
    for (unsigned i = 0; i < 4; ++i) {
      word(108 + i, config_.identity.wwn >> (48 - 16 * i) & 0xffff);
    }
  }
  word(169, config_.discard ? 1 : 0);
  word(217, config_.rotation_rate);
  ReplyPio(command, page);
}

// ATA8-ACS, 7.52. The key is in the middle and upper LBA bytes.
void AtaDisk::Smart(AtaCommand& command) {
  constexpr uint64_t kKey = 0xc24f;
  const unsigned feature = command.in.feature & 0xff;
  if ((command.in.lba >> 8 & 0xffff) != kKey || (!state_.smart && feature != 0xd8)) {
    Abort(command);
    return;
  }
  std::array<uint8_t, ata::kSectorBytes> page{};
  page[0] = 1;
  switch (feature) {
    case 0xd0:  // data
    case 0xd1:  // thresholds
      for (size_t i = 0; i < std::size(kAttributes); ++i) {
        const SmartAttribute& attribute = kAttributes[i];
        uint8_t* const at = &page[2 + 12 * i];
        at[0] = attribute.number;
        if (feature == 0xd1) {
          at[1] = attribute.threshold;
          continue;
        }
        at[1] = attribute.flags;
        at[3] = attribute.value;
        at[4] = attribute.worst;
        std::copy_n(attribute.raw, 6, at + 5);
      }
      if (feature == 0xd0) {
        page[362] = 0x82;  // off-line collection was completed
        page[364] = 0x20;  // in 288 seconds
        page[365] = 0x01;
        page[367] = 0x19;  // capabilities: immediate, and self-tests
        page[368] = 0x03;
        page[370] = 0x01;
        page[372] = 2;   // minutes a short test takes,
        page[373] = 54;  // and an extended one
        page[374] = 1;
      }
      PutChecksum(page);
      ReplyPio(command, page);
      return;
    case 0xd2:                         // autosave
    case 0xd4: Good(command); return;  // a test at once: passed
    case 0xd5:
      // The summary error log and the self-test log are empty.
      if ((command.in.lba & 0xff) != 0x01 && (command.in.lba & 0xff) != 0x06) {
        Abort(command);
        return;
      }
      PutChecksum(page);
      ReplyPio(command, page);
      return;
    case 0xd8:
    case 0xd9:
      state_.smart = feature == 0xd8;
      Good(command);
      return;
    case 0xda: Good(command); return;  // no threshold is exceeded: the key stays as it is
    default: Abort(command);
  }
}

// Annex A.14: what went wrong with a queued command. Reading it lets the others go on.
void AtaDisk::ReadLog(AtaCommand& command) {
  constexpr uint8_t kNone = 0x80;
  const unsigned log = command.in.lba & 0xff;
  if (log != 0x10 || (command.in.lba >> 8 & 0xff) != 0 || command.in.count != 1) {
    Abort(command);
    return;
  }
  std::array<uint8_t, ata::kSectorBytes> page{};
  page[0] = state_.failed_tag;
  page[2] = state_.failed_status;
  page[3] = state_.failed_error;
  for (unsigned i = 0; i < 6; ++i) {
    page[i < 3 ? 4 + i : 5 + i] = static_cast<uint8_t>(state_.failed_lba >> (8 * i));
  }
  page[7] = ata::kDeviceLba;
  PutChecksum(page);
  state_.failed_tag = kNone;
  ReplyPio(command, page);
}

}  // namespace nandu
