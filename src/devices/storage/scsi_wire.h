// SCSI and MMC as they go over the wire: operation codes, status, sense. SPC-4, SBC-3, MMC-5. Constants only.
#pragma once

#include <cstdint>

namespace nandu::scsi {

enum class Op : uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kFormatUnit = 0x04,
  kRead6 = 0x08,
  kWrite6 = 0x0a,
  kSeek6 = 0x0b,
  kInquiry = 0x12,
  kModeSelect6 = 0x15,
  kReserve6 = 0x16,
  kRelease6 = 0x17,
  kModeSense6 = 0x1a,
  kStartStopUnit = 0x1b,
  kPreventAllow = 0x1e,
  kReadCapacity10 = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2a,
  kSeek10 = 0x2b,
  kWriteVerify10 = 0x2e,
  kVerify10 = 0x2f,
  kSynchronizeCache10 = 0x35,
  kWriteSame10 = 0x41,
  kUnmap = 0x42,
  kReadToc = 0x43,
  kGetConfiguration = 0x46,
  kGetEventStatus = 0x4a,
  kReadDiscInformation = 0x51,
  kModeSelect10 = 0x55,
  kModeSense10 = 0x5a,
  kRead16 = 0x88,
  kWrite16 = 0x8a,
  kWriteVerify16 = 0x8e,
  kVerify16 = 0x8f,
  kSynchronizeCache16 = 0x91,
  kWriteSame16 = 0x93,
  kServiceActionIn16 = 0x9e,
  kReportLuns = 0xa0,
  kRead12 = 0xa8,
  kWrite12 = 0xaa,
  kReadDvdStructure = 0xad,
  kWriteVerify12 = 0xae,
  kVerify12 = 0xaf,
  kSetCdSpeed = 0xbb,
  kMechanismStatus = 0xbd,
  kReadCd = 0xbe,
};
inline constexpr uint8_t kReadCapacity16 = 0x10;  // service action of kServiceActionIn16

enum class Status : uint8_t { kGood = 0x00, kCheckCondition = 0x02, kBusy = 0x08, kTaskAborted = 0x40 };

// SPC-4, 4.5: sense key, additional code and qualifier.
struct Sense {
  uint8_t key = 0;
  uint8_t code = 0;
  uint8_t qualifier = 0;
  bool operator==(const Sense&) const = default;
};
inline constexpr Sense kNoSense = {0x00, 0x00, 0x00};
inline constexpr Sense kNoMedium = {0x02, 0x3a, 0x00};
inline constexpr Sense kReadError = {0x03, 0x11, 0x00};
inline constexpr Sense kWriteError = {0x03, 0x0c, 0x00};
inline constexpr Sense kNoSpace = {0x07, 0x27, 0x07};
inline constexpr Sense kBadParameterLength = {0x05, 0x1a, 0x00};
inline constexpr Sense kUnknownCommand = {0x05, 0x20, 0x00};
inline constexpr Sense kOutOfRange = {0x05, 0x21, 0x00};
inline constexpr Sense kBadField = {0x05, 0x24, 0x00};
inline constexpr Sense kNoSuchUnit = {0x05, 0x25, 0x00};
inline constexpr Sense kBadParameter = {0x05, 0x26, 0x00};
inline constexpr Sense kIncompatibleMedium = {0x05, 0x30, 0x00};
inline constexpr Sense kSavingNotSupported = {0x05, 0x39, 0x00};
inline constexpr Sense kRemovalPrevented = {0x05, 0x53, 0x02};
inline constexpr Sense kNotReadyRemovalPrevented = {0x02, 0x53, 0x02};
inline constexpr Sense kMediumChanged = {0x06, 0x28, 0x00};
inline constexpr Sense kPowerOn = {0x06, 0x29, 0x00};
inline constexpr Sense kCapacityChanged = {0x06, 0x2a, 0x09};
inline constexpr Sense kWriteProtected = {0x07, 0x27, 0x00};

inline constexpr uint8_t kSenseBytes = 18;      // in the fixed format
inline constexpr uint8_t kReadOnlyFlag = 0x80;  // mode parameter header: WP

}  // namespace nandu::scsi
