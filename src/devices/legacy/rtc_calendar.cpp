#include "devices/legacy/rtc_calendar.h"

#include <algorithm>
#include <chrono>

namespace nandu::rtc {
namespace {

constexpr int64_t kDaySeconds = 86400;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// What one alarm byte asks for; nullopt: don't care.
struct AlarmTime {
  std::optional<unsigned> hour;
  std::optional<unsigned> minute;
  std::optional<unsigned> second;
};

AlarmTime AlarmOf(const Cmos& cmos) {
  const uint8_t b = cmos[kRegisterB];
  AlarmTime alarm;
  if (cmos[kHoursAlarm] < kDontCare) {
    alarm.hour = DecodeHour(cmos[kHoursAlarm], b);
  }
  if (cmos[kMinutesAlarm] < kDontCare) {
    alarm.minute = Decode(cmos[kMinutesAlarm], b);
  }
  if (cmos[kSecondsAlarm] < kDontCare) {
    alarm.second = Decode(cmos[kSecondsAlarm], b);
  }
  return alarm;
}

bool Matches(const std::optional<unsigned>& wanted, unsigned value) { return !wanted || *wanted == value; }

}  // namespace

uint8_t Encode(unsigned value, uint8_t register_b) {
  return static_cast<uint8_t>((register_b & kBinary) != 0 ? value : value / 10 % 10 << 4 | value % 10);
}

unsigned Decode(uint8_t value, uint8_t register_b) {
  return (register_b & kBinary) != 0 ? value : (value >> 4) * 10u + (value & 0xfu);
}

uint8_t EncodeHour(unsigned hour, uint8_t register_b) {
  if ((register_b & k24Hours) != 0) {
    return Encode(hour, register_b);
  }
  const unsigned twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<uint8_t>(Encode(twelve, register_b) | (hour >= 12 ? kPm : 0));
}

unsigned DecodeHour(uint8_t value, uint8_t register_b) {
  if ((register_b & k24Hours) != 0) {
    return Decode(value, register_b);
  }
  const unsigned twelve = Decode(value & static_cast<uint8_t>(~kPm), register_b) % 12;
  return twelve + ((value & kPm) != 0 ? 12 : 0);
}

void SetTime(int64_t seconds, Cmos* cmos) {
  const uint8_t b = (*cmos)[kRegisterB];
  const int64_t days = FloorDiv(seconds, kDaySeconds);
  const auto second_of_day = static_cast<unsigned>(seconds - days * kDaySeconds);
  const std::chrono::sys_days date{std::chrono::days{days}};
  const std::chrono::year_month_day calendar{date};
  const auto year = static_cast<unsigned>(std::clamp(static_cast<int>(calendar.year()), 0, 9999));
  (*cmos)[kSeconds] = Encode(second_of_day % 60, b);
  (*cmos)[kMinutes] = Encode(second_of_day / 60 % 60, b);
  (*cmos)[kHours] = EncodeHour(second_of_day / 3600, b);
  (*cmos)[kDayOfWeek] = Encode(std::chrono::weekday{date}.c_encoding() + 1, b);
  (*cmos)[kDayOfMonth] = Encode(static_cast<unsigned>(calendar.day()), b);
  (*cmos)[kMonth] = Encode(static_cast<unsigned>(calendar.month()), b);
  (*cmos)[kYear] = Encode(year % 100, b);
  (*cmos)[kCentury] = Encode(year / 100, b);
  (*cmos)[kCenturyPs2] = (*cmos)[kCentury];
}

int64_t GetTime(const Cmos& cmos) {
  const uint8_t b = cmos[kRegisterB];
  const unsigned year =
      std::min(Decode(cmos[kCentury], b), 99u) * 100 + std::min(Decode(cmos[kYear], b), 99u);
  const std::chrono::month month{std::clamp(Decode(cmos[kMonth], b), 1u, 12u)};
  const std::chrono::year_month first{std::chrono::year{static_cast<int>(year)}, month};
  const auto last_day = static_cast<unsigned>((first / std::chrono::last).day());
  const std::chrono::day day{std::clamp(Decode(cmos[kDayOfMonth], b), 1u, last_day)};
  const std::chrono::sys_days date{first / day};
  return date.time_since_epoch().count() * kDaySeconds +
         std::min(DecodeHour(cmos[kHours], b), 23u) * int64_t{3600} +
         std::min(Decode(cmos[kMinutes], b), 59u) * int64_t{60} + std::min(Decode(cmos[kSeconds], b), 59u);
}

std::optional<int64_t> NextAlarm(int64_t after, const Cmos& cmos) {
  const AlarmTime alarm = AlarmOf(cmos);
  int64_t at = after + 1;
  const int64_t end = at + kDaySeconds;
  while (at < end) {
    const auto second_of_day = static_cast<unsigned>(at - FloorDiv(at, kDaySeconds) * kDaySeconds);
    // Skips whole hours, then whole minutes: some 24 + 60 + 60 steps for a day.
    if (!Matches(alarm.hour, second_of_day / 3600)) {
      at += 3600 - second_of_day % 3600;
    } else if (!Matches(alarm.minute, second_of_day / 60 % 60)) {
      at += 60 - second_of_day % 60;
    } else if (!Matches(alarm.second, second_of_day % 60)) {
      at++;
    } else {
      return at;
    }
  }
  return std::nullopt;
}

}  // namespace nandu::rtc
