// -rtc.

#include <chrono>
#include <cstdio>

#include "cli/builder.h"
#include "cli/property_list.h"

namespace nandu {
namespace {

// "2026-11-20T12:32:20", or a day alone for its midnight.
Result<int64_t> DateFrom(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int used = 0;
  const int fields = std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour,
                                 &minute, &second, &used);
  if (fields != 6) {
    hour = minute = second = 0;
    used = 0;
    std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &used);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (static_cast<size_t>(used) != text.size() || used == 0 || year < 1970 || !date.ok() || hour > 23 ||
      minute > 59 || second > 59) {
    return Fail(Errc::kInvalidArgument,
                "base={}: known are utc, localtime, and a date such as 2006-06-17T16:01:21 or 2006-06-17",
                text);
  }
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

}  // namespace

Result<> Builder::Rtc(std::string_view text) {
  PropertyList list = TRY(PropertyList::Parse(text, {}));
  const std::string base = list.Take("base");
  const std::string clock = list.Take("clock");
  const std::string driftfix = list.Take("driftfix");
  TRY(list.Finish());
  RtcConfig& rtc = config_.rtc;
  if (base == "utc") {
    rtc.base = RtcConfig::Base::kUtc;
  } else if (base == "localtime") {
    rtc.base = RtcConfig::Base::kLocaltime;
  } else if (!base.empty()) {
    rtc.date_s = TRY(DateFrom(base));
    rtc.base = RtcConfig::Base::kDate;
  }
  if (clock == "host") {
    rtc.clock = RtcConfig::Clock::kHost;
  } else if (clock == "rt") {
    rtc.clock = RtcConfig::Clock::kRt;
  } else if (clock == "vm") {
    rtc.clock = RtcConfig::Clock::kVm;
  } else if (!clock.empty()) {
    return Fail(Errc::kInvalidArgument, "clock={}: known are host, rt and vm", clock);
  }
  if (driftfix == "none" || driftfix == "slew") {
    rtc.slew = driftfix == "slew";
  } else if (!driftfix.empty()) {
    return Fail(Errc::kInvalidArgument, "driftfix={}: known are none and slew", driftfix);
  }
  return {};
}

}  // namespace nandu
