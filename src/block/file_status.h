// errno as a request's one-byte status.
#pragma once

#include <cerrno>

#include <nandu/block.h>

namespace nandu {

inline BlkStatus StatusOfErrno(int sys_errno) {
  switch (sys_errno) {
    case ENOSPC: return BlkStatus::kNoSpace;  // and not a quota's EDQUOT, as QEMU
    case EOPNOTSUPP:
    case ENOSYS: return BlkStatus::kUnsupported;
    default: return BlkStatus::kIoError;
  }
}

}  // namespace nandu
