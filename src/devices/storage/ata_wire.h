// ATA as it goes over the wire: command codes, status and error bits. ATA8-ACS. Constants only.
#pragma once

#include <cstdint>

namespace nandu::ata {

enum class Op : uint8_t {
  kNop = 0x00,
  kDataSetManagement = 0x06,
  kDeviceReset = 0x08,
  kRecalibrate = 0x10,
  kReadSectors = 0x20,
  kReadSectorsExt = 0x24,
  kReadDmaExt = 0x25,
  kReadNativeMaxExt = 0x27,
  kReadMultipleExt = 0x29,
  kReadLogExt = 0x2f,
  kWriteSectors = 0x30,
  kWriteSectorsExt = 0x34,
  kWriteDmaExt = 0x35,
  kWriteMultipleExt = 0x39,
  kWriteDmaFuaExt = 0x3d,
  kVerify = 0x40,
  kVerifyExt = 0x42,
  kReadFpdma = 0x60,
  kWriteFpdma = 0x61,
  kSeek = 0x70,
  kInitializeParameters = 0x91,
  kPacket = 0xa0,
  kIdentifyPacket = 0xa1,
  kSmart = 0xb0,
  kReadMultiple = 0xc4,
  kWriteMultiple = 0xc5,
  kSetMultiple = 0xc6,
  kReadDma = 0xc8,
  kWriteDma = 0xca,
  kWriteMultipleFuaExt = 0xce,
  kStandbyImmediate = 0xe0,
  kIdleImmediate = 0xe1,
  kStandby = 0xe2,
  kIdle = 0xe3,
  kCheckPower = 0xe5,
  kSleep = 0xe6,
  kFlush = 0xe7,
  kFlushExt = 0xea,
  kIdentify = 0xec,
  kSetFeatures = 0xef,
  kSecurityFreeze = 0xf5,
  kReadNativeMax = 0xf8,
};

inline constexpr uint8_t kStatusError = 0x01;
inline constexpr uint8_t kStatusDataRequest = 0x08;
inline constexpr uint8_t kStatusSeekComplete = 0x10;
inline constexpr uint8_t kStatusReady = 0x40;
inline constexpr uint8_t kStatusGood = kStatusReady | kStatusSeekComplete;
inline constexpr uint8_t kErrorAborted = 0x04;
inline constexpr uint8_t kErrorIdNotFound = 0x10;
inline constexpr uint8_t kErrorUncorrectable = 0x40;
inline constexpr uint8_t kDeviceFua = 0x80;  // of queued commands
inline constexpr uint8_t kDeviceLba = 0x40;

inline constexpr uint32_t kSectorBytes = 512;

}  // namespace nandu::ata
