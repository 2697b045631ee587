// Calendar arithmetic of the RTC: seconds since 1970 to registers and back, and when an alarm is due. Pure
// functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "devices/legacy/rtc_registers.h"

namespace nandu::rtc {

using Cmos = std::array<uint8_t, kBytes>;

// In the format register B selects: BCD or binary, 12 or 24 hours.
uint8_t Encode(unsigned value, uint8_t register_b);
// Whatever a guest wrote: nonsense gives some number below 256, never more.
unsigned Decode(uint8_t value, uint8_t register_b);
uint8_t EncodeHour(unsigned hour, uint8_t register_b);
unsigned DecodeHour(uint8_t value, uint8_t register_b);

// Writes the clock and calendar bytes, century included.
void SetTime(int64_t seconds, Cmos* cmos);
// Reads them back; impossible dates are brought to the nearest possible ones, as a real chip counts on from
// nonsense somehow.
int64_t GetTime(const Cmos& cmos);

// The first second after `after` at which the alarm bytes match; nullopt when none in a day does.
std::optional<int64_t> NextAlarm(int64_t after, const Cmos& cmos);

}  // namespace nandu::rtc
