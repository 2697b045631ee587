#include "block/options.h"

namespace nandu {

CacheSwitches SwitchesOf(CacheMode mode) {
  switch (mode) {
    case CacheMode::kNone:
    case CacheMode::kOff: return {.direct = true, .no_flush = false, .write_cache = true};
    case CacheMode::kWriteback: return {.direct = false, .no_flush = false, .write_cache = true};
    case CacheMode::kWritethrough: return {.direct = false, .no_flush = false, .write_cache = false};
    case CacheMode::kDirectsync: return {.direct = true, .no_flush = false, .write_cache = false};
    case CacheMode::kUnsafe: return {.direct = false, .no_flush = true, .write_cache = true};
  }
  return {};
}

Result<> CheckDetectZeroes(DetectZeroes detect_zeroes, bool unmap) {
  if (detect_zeroes == DetectZeroes::kUnmap && !unmap) {
    return Fail(Errc::kInvalidArgument,
                "detect-zeroes=unmap needs discard=unmap; add it, or use detect-zeroes=on");
  }
  return {};
}

Result<> Validate(const DriveOptions& options) {
  if (options.readonly && options.read_only && *options.readonly != *options.read_only) {
    return Fail(Errc::kInvalidArgument,
                "readonly= and read-only= are the same switch and say different things");
  }
  return {};
}

}  // namespace nandu
