// Registers of the MC146818A real-time clock and the bytes a PC keeps in its RAM. Motorola MC146818A
// datasheet, "Address map" and "Registers"; CMOS bytes as SeaBIOS and QEMU use them.
#pragma once

#include <cstdint>

namespace nandu::rtc {

inline constexpr unsigned kSeconds = 0x00;
inline constexpr unsigned kSecondsAlarm = 0x01;
inline constexpr unsigned kMinutes = 0x02;
inline constexpr unsigned kMinutesAlarm = 0x03;
inline constexpr unsigned kHours = 0x04;
inline constexpr unsigned kHoursAlarm = 0x05;
inline constexpr unsigned kDayOfWeek = 0x06;
inline constexpr unsigned kDayOfMonth = 0x07;
inline constexpr unsigned kMonth = 0x08;
inline constexpr unsigned kYear = 0x09;
inline constexpr unsigned kRegisterA = 0x0a;
inline constexpr unsigned kRegisterB = 0x0b;
inline constexpr unsigned kRegisterC = 0x0c;
inline constexpr unsigned kRegisterD = 0x0d;
inline constexpr unsigned kBytes = 128;

// Register A
inline constexpr uint8_t kUpdateInProgress = 0x80;
inline constexpr uint8_t kDividerMask = 0x70;
inline constexpr uint8_t kDividerReset = 0x60;  // 110 and 111
inline constexpr uint8_t kRateMask = 0x0f;
// Register B
inline constexpr uint8_t kSet = 0x80;
inline constexpr uint8_t kPeriodicEnable = 0x40;
inline constexpr uint8_t kAlarmEnable = 0x20;
inline constexpr uint8_t kUpdateEnable = 0x10;
inline constexpr uint8_t kSquareWave = 0x08;
inline constexpr uint8_t kBinary = 0x04;
inline constexpr uint8_t k24Hours = 0x02;
// Register C
inline constexpr uint8_t kInterruptFlag = 0x80;
inline constexpr uint8_t kPeriodicFlag = 0x40;
inline constexpr uint8_t kAlarmFlag = 0x20;
inline constexpr uint8_t kUpdateFlag = 0x10;
// Register D
inline constexpr uint8_t kValidRam = 0x80;

inline constexpr uint8_t kDontCare = 0xc0;  // alarm bytes from here on match everything
inline constexpr uint8_t kPm = 0x80;        // hours in 12-hour mode

// PC CMOS bytes
inline constexpr unsigned kEquipment = 0x14;
inline constexpr unsigned kBaseMemory = 0x15;       // KiB, two bytes
inline constexpr unsigned kExtendedMemory = 0x17;   // KiB above 1 MiB, two bytes, 65535 at most
inline constexpr unsigned kExtendedMemory2 = 0x30;  // the same
inline constexpr unsigned kCentury = 0x32;
inline constexpr unsigned kMemoryAbove16MiB = 0x34;  // 64 KiB units, two bytes
inline constexpr unsigned kCenturyPs2 = 0x37;
inline constexpr unsigned kBootOrder1 = 0x38;
inline constexpr unsigned kBootOrder2 = 0x3d;
inline constexpr unsigned kMemoryAbove4GiB = 0x5b;  // 64 KiB units, three bytes
inline constexpr unsigned kCpusMinusOne = 0x5f;

}  // namespace nandu::rtc
